#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "caprl/core/random.hpp"
#include "caprl/io/gguf.hpp"
#include "caprl/io/safetensors.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

namespace {

/// tests/reference/io_gguf.py makes them.
const std::string blocks_path = std::string(CAPRL_TEST_DATA) + "/io/blocks.gguf";
const std::string expected_path = std::string(CAPRL_TEST_DATA) + "/io/blocks.safetensors";

template <class T>
std::string bytes_of_number(T number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}
std::string text(const std::string& content) { return bytes_of_number<std::uint64_t>(content.size()) + content; }

/// A file by hand: `keys` and `tensors` are how many follow in `rest`.
std::string file_of(std::uint64_t tensors, std::uint64_t keys, const std::string& rest, std::uint32_t version = 3) {
  return "GGUF" + bytes_of_number(version) + bytes_of_number(tensors) + bytes_of_number(keys) + rest;
}

template <class T>
std::string key(const std::string& name, std::uint32_t type, T value) {
  return text(name) + bytes_of_number(type) + bytes_of_number(value);
}

/// The description of a tensor; dimensions innermost first.
std::string tensor(const std::string& name, const std::vector<std::uint64_t>& dimensions, std::uint32_t type,
                   std::uint64_t offset) {
  std::string description = text(name) + bytes_of_number(static_cast<std::uint32_t>(dimensions.size()));
  for (const std::uint64_t dimension : dimensions) description += bytes_of_number(dimension);
  return description + bytes_of_number(type) + bytes_of_number(offset);
}

/// Pads the header as files do and appends data.
std::string with_data(std::string header, std::size_t bytes) {
  header.resize((header.size() + 31) / 32 * 32);
  return header + std::string(bytes, '\0');
}

/// Opens a file of that content, and reads its tensors.
void open(const std::string& content) {
  static const TemporaryFolder folder;
  const GgufFile file(folder.file("x.gguf", content));
  for (const auto& [name, tensor] : file.tensors()) file.read<float>(name, Finite::any);
}

template <class... Parts>
bool refuses(const std::string& content, const Parts&... parts) {
  return fails_with([&] { open(content); }, "x.gguf", parts...);
}

}  // namespace

TEST_CASE("tensors of every type are to the bit what the package gguf makes of them") {
  const GgufFile file(blocks_path);
  const SafetensorsFile expected(expected_path);
  CHECK(file.tensors().size() == gguf_types.size());
  require_names(file, [&] {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : expected.tensors()) names.push_back(name);
    return names;
  }());
  for (const auto& [name, tensor] : file.tensors()) {
    CAPTURE(name);
    const auto got = file.read<float>(name);
    const auto wanted = expected.read<float>(name, got.shape());
    CHECK(std::memcmp(got.data(), wanted.data(), static_cast<std::size_t>(got.elements()) * sizeof(float)) == 0);
    CHECK(file.read<double>(name).data()[1] == static_cast<double>(wanted.data()[1]));
    CHECK(file.read<bf16>(name).data()[1] == bf16(wanted.data()[1]));
    CHECK(reinterpret_cast<std::uintptr_t>(got.data()) % 64 == 0);
  }
  CHECK(file.info("plain.f16").shape == Shape{2, 3, 4});
  CHECK(fails_with(
      [&] {
        file.read<float>("plain.f16", {4, 3, 2});
      },
      "expected shape [4, 3, 2]", "got [2, 3, 4]", "blocks.gguf"));
  CHECK(fails_with([&] { file.read<float>("absent"); }, "no tensor named absent"));
}

TEST_CASE("metadata of every type is read") {
  const GgufFile file(blocks_path);
  const GgufMetadata& metadata = file.metadata();
  CHECK(metadata.get<Index>("value.uint8") == 255);
  CHECK(metadata.get<Index>("value.int8") == -128);
  CHECK(metadata.get<Index>("value.uint16") == 65535);
  CHECK(metadata.get<Index>("value.int16") == -32768);
  CHECK(metadata.get<Index>("value.uint32") == 4294967295);
  CHECK(metadata.get<Index>("value.int32") == -2147483648LL);
  CHECK(metadata.get<Index>("value.uint64") == std::numeric_limits<Index>::max());
  CHECK(metadata.get<Index>("value.int64") == std::numeric_limits<Index>::min());
  CHECK(metadata.get<double>("value.float32") == static_cast<double>(0.1F));
  CHECK(metadata.get<double>("value.float64") == 0.1);
  CHECK(metadata.get<bool>("value.bool"));
  CHECK(metadata.get<std::string>("value.string") == "für «alle»");
  CHECK(metadata.get<std::vector<Index>>("list.integers") == std::vector<Index>{1, -2, 3});
  CHECK(metadata.get<std::vector<double>>("list.numbers") == std::vector<double>{0.5, -1.25});
  CHECK(metadata.get<std::vector<bool>>("list.flags") == std::vector<bool>{true, false, true});
  CHECK(metadata.get<std::vector<std::string>>("list.strings") == std::vector<std::string>{"", "a", "zwei Wörter"});
  CHECK(metadata.get_or<Index>("absent", 7) == 7);
  CHECK(fails_with([&] { metadata.get<Index>("absent"); }, "blocks.gguf: key absent: expected an integer"));
  CHECK(fails_with([&] { metadata.get<Index>("value.string"); }, "key value.string", "an integer, got a string"));
  CHECK(fails_with([&] { metadata.get<std::string>("list.flags"); }, "a string, got a list of true and false"));
}

TEST_CASE("files of version 2 and of another alignment are read") {
  open(file_of(0, 0, "", 2));
  std::string content = file_of(1, 1, key<std::uint32_t>("general.alignment", 4, 8) + tensor("a", {2}, 0, 8));
  content.resize((content.size() + 7) / 8 * 8);
  const TemporaryFolder folder;
  const GgufFile file(
      folder.file("a.gguf", content + std::string(8, 'x') + bytes_of_number(1.5F) + bytes_of_number(2.5F)));
  CHECK(file.read<float>("a").data()[0] == 1.5F);
  CHECK(file.read<float>("a").data()[1] == 2.5F);
}

TEST_CASE("what a file may not say is refused with its name and what was found") {
  CHECK(refuses("", "4 bytes", "the end of the file"));
  CHECK(refuses("GGML" + std::string(100, '\0'), "expected a file that begins with \"GGUF\""));
  CHECK(refuses(file_of(0, 0, "", 1), "expected 2 or 3", "got 1"));
  CHECK(refuses(file_of(0, 0, "", 0x03000000), "little-endian"));
  CHECK(refuses(file_of(~std::uint64_t{0}, 0, ""), "the number of tensors", "18446744073709551615"));
  CHECK(refuses(file_of(0, std::uint64_t{1} << 60, ""), "the number of keys"));
  CHECK(refuses(file_of(0, 1, bytes_of_number(~std::uint64_t{0}) + "abcdefgh"), "the name of key 0",
                "the end of the file"));
  CHECK(refuses(file_of(0, 1, key<std::uint64_t>("a", 13, 0)), "key a", "a type of values from 0 to 12", "13"));
  CHECK(refuses(file_of(0, 1, key<std::uint8_t>("a.b", 7, 2)), "key a.b", "true or false"));
  CHECK(refuses(file_of(0, 1, key<std::uint64_t>("a", 10, ~std::uint64_t{0})), "an integer up to"));
  CHECK(refuses(file_of(0, 1, key<std::uint64_t>("a", 8, 1000)), "key a", "1000 bytes"));
  const auto list = [](std::uint32_t type, std::uint64_t count) {
    return text("a") + bytes_of_number<std::uint32_t>(9) + bytes_of_number(type) + bytes_of_number(count);
  };
  CHECK(refuses(file_of(0, 1, list(8, std::uint64_t{1} << 61) + "12345678"), "key a", "a count of at most 1"));
  CHECK(refuses(file_of(0, 1, list(4, std::uint64_t{1} << 62)), "a count of at most 0"));
  CHECK(refuses(file_of(0, 1, list(9, 1)), "a list of lists"));
  const std::string once = key<std::uint8_t>("a", 0, 1);
  CHECK(refuses(file_of(0, 2, once + once), "key a", "a second one"));
  for (const std::uint32_t alignment : {0u, 3u, 1u << 20}) {
    CHECK(refuses(file_of(0, 1, key("general.alignment", 4, alignment)), "key general.alignment", "a power of 2"));
  }
  const auto one = [](const std::string& description) { return with_data(file_of(1, 0, description), 256); };
  open(one(tensor("t", {32, 2}, 8, 0)));
  CHECK(refuses(one(tensor("t", {32, 2}, 8, 4)), "tensor t", "a multiple of 32", "got 4"));
  CHECK(refuses(one(tensor("t", {32, 2}, 8, 224)), "the 256 bytes of data, got t, which ends at byte 292"));
  CHECK(refuses(one(tensor("t", {32, 2}, 8, ~std::uint64_t{31})), "tensor t", "an offset"));
  CHECK(refuses(one(tensor("t", {16, 4}, 8, 0)), "tensor t", "a multiple of 32 elements (Q8_0)", "[4, 16]"));
  CHECK(refuses(one(tensor("t", {32, 2}, 10, 0)), "tensor t", "one of the types F32, F16", "got Q2_K"));
  CHECK(refuses(one(tensor("t", {32, 2}, 5, 0)), "got number 5"));
  CHECK(refuses(one(tensor("t", {}, 0, 0)), "1 to 4 dimensions", "got 0"));
  CHECK(refuses(one(tensor("t", {1, 1, 1, 1, 1}, 0, 0)), "1 to 4 dimensions", "got 5"));
  CHECK(refuses(one(tensor("t", {32, 0}, 0, 0)), "a dimension of 0"));
  CHECK(refuses(one(tensor("t", {std::uint64_t{1} << 40, std::uint64_t{1} << 40}, 0, 0)), "at most 2^48 elements"));
  const auto two = [](const std::string& descriptions) { return with_data(file_of(2, 0, descriptions), 256); };
  open(two(tensor("t", {8}, 0, 0) + tensor("u", {8}, 0, 32)));
  CHECK(refuses(two(tensor("t", {9}, 0, 0) + tensor("u", {8}, 0, 32)), "without overlaps, got t up to byte 36 and u"));
  CHECK(refuses(two(tensor("t", {8}, 0, 0) + tensor("t", {8}, 0, 32)), "tensor t", "a second one"));
}

TEST_CASE("numbers that are not finite are refused by tensor and element") {
  std::string content = with_data(file_of(1, 0, tensor("t", {32, 2}, 8, 0)), 68);
  const std::uint16_t infinite = 0x7C00;
  std::memcpy(content.data() + content.size() - 34, &infinite, sizeof infinite);
  content.back() = 1;
  const TemporaryFolder folder;
  const GgufFile file(folder.file("x.gguf", content));
  CHECK(fails_with([&] { file.read<float>("t"); }, "[gguf] expected finite numbers in tensor t", "at element 32"));
  CHECK(std::isinf(file.read<float>("t", Finite::any).data()[63]));
}

TEST_CASE("a file cut anywhere is an error") {
  const std::string whole = content_of(blocks_path);
  CHECK_NOTHROW(open(whole));
  for (std::size_t length = 0; length < whole.size(); length += length < 2200 ? 1 : 97) {
    if (!error_message([&] { open(whole.substr(0, length)); }).starts_with("[gguf]")) FAIL_CHECK(length);
  }
}

TEST_CASE("a file with bytes changed is read within its bounds or is an error") {
  const std::string whole = content_of(blocks_path);
  const auto header = static_cast<std::uint32_t>(whole.find("blocks.q6_k") + 64);
  RandomStream random({.seed = 5});
  std::size_t errors = 0;
  for (int round = 0; round < 800; ++round) {
    std::string changed = whole;
    const std::size_t at = random.below(header);
    switch (round % 4) {
      case 0:
        changed[at] = static_cast<char>(random.below(256));
        break;
      case 1:  // a huge count, length or offset
        std::memset(changed.data() + at, round % 8 == 1 ? 0xFF : 0x7F, 8);
        break;
      case 2:
        changed.erase(at, 1 + random.below(16));
        break;
      default:
        changed.insert(at, changed.substr(random.below(header), random.below(64)));
    }
    const std::string message = error_message([&] { open(changed); });
    errors += message != "no error";
  }
  CHECK(errors > 400);
}
