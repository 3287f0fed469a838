#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "caprl/core/random.hpp"
#include "caprl/io/safetensors.hpp"
#include "caprl/io/safetensors_writer.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

namespace {

const std::string reference_path = std::string(CAPRL_TEST_DATA) + "/io/reference.safetensors";

template <class T>
std::vector<T> values(const Tensor<T>& tensor) {
  return {tensor.data(), tensor.data() + tensor.elements()};
}

template <class T>
NamedTensor tensor_of(const std::string& name, const std::vector<T>& elements, const Shape& shape) {
  return named_tensor(name, Tensor<T>::from(elements, shape));
}

/// The reference file's half-precision tensor, as bits: the library has no such element type.
NamedTensor half_tensor() {
  const std::vector<std::uint16_t> bits{0x0000, 0x8000, 0x3C00, 0xC100, 0x7BFF, 0x0400, 0x0001, 0x3555};
  NamedTensor tensor = tensor_of("half", bits, {8});
  tensor.type = StoredType::F16;
  return tensor;
}

/// A file of the given header and data.
std::string file_of(const std::string& header, const std::string& data = "") {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

void parse(const std::string& content) {
  static const TemporaryFolder folder;
  const SafetensorsHeader header = read_safetensors_header(InputFile(folder.file("x.safetensors", content)));
  for (const auto& [name, tensor] : header.tensors) {
    if (header.data_begin + tensor.end > content.size()) FAIL("a tensor outside the file was believed");
    if (static_cast<std::uint64_t>(tensor.shape.elements() * bytes_of(tensor.type)) != tensor.end - tensor.begin) {
      FAIL("a tensor of another size than its shape was believed");
    }
  }
}

}  // namespace

TEST_CASE("a file of the reference implementation is read") {
  const SafetensorsFile file(reference_path);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  CHECK(file.tensors().size() == 14);
  CHECK(values(file.read<float>("float", {2, 3})) == std::vector<float>{-0.5f, -0.25f, 0, 0.25f, 0.5f, 0.75f});
  CHECK(values(file.read<float>("half")) ==
        std::vector<float>{0, -0.0f, 1, -2.5f, 65504, 6.103515625e-05f, 5.9604644775390625e-08f, 0.333251953125f});
  CHECK(std::signbit(file.read<float>("half").data()[1]));
  CHECK(values(file.read<float>("bfloat")) == std::vector<float>{1.5f, -2, 0.15625f});
  CHECK(values(file.read<bf16>("bfloat")) == std::vector<bf16>{bf16(1.5f), bf16(-2.0f), bf16(0.15625f)});
  CHECK(values(file.read<bf16>("half"))[7] == bf16(0.333251953125f));
  CHECK(values(file.read<double>("double")) == std::vector<double>{0.1});
  CHECK(values(file.read<float>("double")) == std::vector<float>{0.1f});
  CHECK(values(file.read<double>("float"))[5] == 0.75);
  CHECK(values(file.read<std::int32_t>("int32", {2, 1})) == std::vector<std::int32_t>{1, -2});
  CHECK(values(file.read<std::int64_t>("int32")) == std::vector<std::int64_t>{1, -2});
  CHECK(values(file.read<std::int64_t>("int64")) == std::vector<std::int64_t>{std::int64_t{1} << 40, -1});
  CHECK(values(file.read<std::uint32_t>("uint32")) == std::vector<std::uint32_t>{4294967295u});
  CHECK(values(file.read<std::uint16_t>("uint16")) == std::vector<std::uint16_t>{65535});
  CHECK(values(file.read<std::uint8_t>("byte")) == std::vector<std::uint8_t>{7, 8, 9});
  CHECK(values(file.read<float>("scalar", Shape{})) == std::vector<float>{3.25f});
  CHECK(file.read<float>("empty").shape() == Shape{0, 4});
  CHECK(reinterpret_cast<std::uintptr_t>(file.read<float>("float").data()) % 64 == 0);
}

TEST_CASE("the same tensors give the reference implementation's bytes, whatever their order") {
  const TemporaryFolder folder;
  std::vector<NamedTensor> tensors{
      tensor_of<float>("float", {-0.5f, -0.25f, 0, 0.25f, 0.5f, 0.75f}, {2, 3}),
      half_tensor(),
      named_tensor_bf16("bfloat", Tensor<float>::from(std::vector<float>{1.5f, -2, 0.15625f}, {3})),
      tensor_of<std::int32_t>("int32", {1, -2}, {2, 1}),
      tensor_of<std::int64_t>("int64", {std::int64_t{1} << 40, -1}, {2}),
      tensor_of<std::uint32_t>("uint32", {4294967295u}, {1}),
      tensor_of<std::uint16_t>("uint16", {65535}, {1}),
      tensor_of<std::int16_t>("int16", {-3}, {1}),
      tensor_of<std::uint64_t>("uint64", {std::uint64_t{1} << 63}, {1}),
      tensor_of<double>("double", {0.1}, {1}),
      tensor_of<std::uint8_t>("byte", {7, 8, 9}, {3}),
      tensor_of<std::int8_t>("int8", {-7}, {1}),
      tensor_of<float>("scalar", {3.25f}, {}),
      tensor_of<float>("empty", {}, {0, 4})};
  for (int round = 0; round < 3; ++round) {
    write_safetensors(folder / "ours.safetensors", tensors, {{"format", "pt"}});
    CHECK(content_of(folder / "ours.safetensors") == content_of(reference_path));
    RandomStream({.seed = static_cast<std::uint64_t>(round)}).shuffle(tensors);
  }
  CHECK(folder.entries() == 1);
}

TEST_CASE("a tensor that is rounded block by block is whole and in order") {
  const TemporaryFolder folder;
  const Index elements = 2 * (Index{1} << 19) + 3;
  const Tensor<float> numbers({elements});
  for (Index i = 0; i < elements; ++i) numbers.data()[i] = static_cast<float>(i) * 1.01f;
  write_safetensors(folder / "x.safetensors", {named_tensor_bf16("x", numbers), named_tensor("y", numbers)});
  const SafetensorsFile file(folder / "x.safetensors");
  const auto rounded = file.read<bf16>("x", {elements});
  Index wrong = 0;
  for (Index i = 0; i < elements; ++i) wrong += rounded.data()[i] == bf16(numbers.data()[i]) ? 0 : 1;
  CHECK(wrong == 0);
  CHECK(values(file.read<float>("y")) == values(numbers));
}

TEST_CASE("half precision is exact for every number") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
    if (exponent == 31) continue;
    const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    const double expected = (bits & 0x8000u) != 0 ? -magnitude : magnitude;
    if (static_cast<double>(detail::half_to_float(static_cast<std::uint16_t>(bits))) != expected) FAIL(bits);
  }
  CHECK(std::isinf(detail::half_to_float(0x7C00)));
  CHECK(std::isnan(detail::half_to_float(0x7E00)));
}

TEST_CASE("a file cut anywhere is an error") {
  const std::string whole = content_of(reference_path);
  CHECK_NOTHROW(parse(whole));
  std::size_t errors = 0;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    try {
      parse(whole.substr(0, length));
    } catch (const Error& error) {
      errors += std::string(error.what()).find("x.safetensors") != std::string::npos ? 1 : 0;
    }
  }
  CHECK(errors == whole.size());
  const TemporaryFolder folder;
  for (const std::size_t length : {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() - 1}) {
    const auto path = folder.file("cut.safetensors", whole.substr(0, length));
    CHECK(fails_with([&] { SafetensorsFile{path}; }, "cut.safetensors"));
  }
}

TEST_CASE("a file with any byte changed is read within its bounds or is an error") {
  const std::string whole = content_of(reference_path);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char other : {'\0', '\xff', '"', '9', '-', '}', static_cast<char>(whole[at] ^ 1)}) {
      std::string changed = whole;
      changed[at] = other;
      try {
        parse(changed);
      } catch (const Error&) {
      }
    }
  }
}

TEST_CASE("headers that lie are errors") {
  const auto header = [](const std::string& shape, const std::string& offsets, const std::string& type = "F32") {
    return R"({"a":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  CHECK_NOTHROW(parse(file_of(header("[2]", "[0,8]"), "12345678")));
  const auto fails = [&](const std::string& text, const char* message) {
    return fails_with([&] { parse(file_of(text, "12345678")); }, message, "x.safetensors");
  };
  CHECK(fails(header("[3]", "[0,8]"), "expected 12 bytes for F32 [3], got 8"));
  CHECK(fails(header("[2]", "[0,9]"), "expected begin <= end <= 8"));
  CHECK(fails(header("[2]", "[8,0]"), "expected begin <= end"));
  CHECK(fails(header("[2]", "[-8,0]"), "data_offsets[0]: expected an integer between 0"));
  CHECK(fails(header("[2]", "[0]"), "expected begin <= end"));
  CHECK(fails(header("[2]", "[0,8.5]"), "expected an integer, got fractional number"));
  CHECK(fails(header("[-2]", "[0,8]"), "expected dimensions of 0 or more"));
  CHECK(fails(header("[2.0]", "[0,8]"), "expected dimensions of 0 or more"));
  CHECK(fails(header("2", "[0,8]"), "expected a list, got integer"));
  CHECK(fails(header("[4294967296,4294967296,2]", "[0,8]"), "too many elements"));
  CHECK(fails(header("[18446744073709551615]", "[0,8]"), "expected dimensions"));
  CHECK(fails(header("[1,1,1,1,1,2]", "[0,8]"), "at most 5 dimensions"));
  CHECK(fails(header("[2]", "[0,8]", "F33"), "unknown element type F33"));
  CHECK(fails(header("[1]", "[4,8]"), "without holes or overlaps"));
  CHECK(fails(header("[1]", "[0,4]"), "expected 4 bytes of data, got 8"));
  CHECK(fails("{}", "expected 0 bytes of data, got 8"));
  CHECK(fails("[]", "expected an object, got list"));
  CHECK(fails("{", "header:1:2"));
  CHECK(fails(R"({"a":5})", "expected an object, got integer"));
  CHECK(fails(R"({"a":{"dtype":"F32","shape":[2]}})", "field a.data_offsets: expected a value"));
  CHECK(fails(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"b":1}})", "field a.b: unknown field"));
  CHECK(fails(R"({"__metadata__":{"x":1}})", "field __metadata__.x: expected a string"));
  const std::string half = R"("shape":[1],"data_offsets":)", a = R"({"dtype":"F32",)" + half + "[0,4]}";
  CHECK(fails(R"({"a":)" + a + R"(,"a":)" + a + "}", "\"a\" twice"));
  CHECK(fails(R"({"a":)" + a + R"(,"b":)" + a + "}", "without holes or overlaps"));
  CHECK(fails_with([] { parse(std::string(8, '\xff')); }, "header length of 18446744073709551615"));
  CHECK(fails_with([] { parse(std::string("\x09\0\0\0\0\0\0\0{}", 10)); }, "header length of 9"));
}

TEST_CASE("what is asked for must fit what is stored") {
  const SafetensorsFile file(reference_path);
  CHECK(fails_with([&] { file.read<float>("absent"); }, "no tensor named absent", "reference.safetensors"));
  CHECK(fails_with([&] { file.read<float>("float", {3, 2}); }, "expected shape [3, 2] for tensor float, got [2, 3]"));
  CHECK(fails_with([&] { file.read<float>("int32"); }, "expected F32 for tensor int32, got I32"));
  CHECK(fails_with([&] { file.read<std::int32_t>("int64"); }, "expected I32 for tensor int64, got I64"));
  const TensorNameDifference difference = compare_names(file, {"float", "half", "absent"});
  CHECK(difference.missing == std::vector<std::string>{"absent"});
  CHECK(difference.extra.size() == 12);
  CHECK(fails_with([&] { require_names(file, {"float", "absent"}); }, "missing: 1 (absent); extra: 13 (", ", ...)"));
  std::vector<std::string> all;
  for (const auto& [name, tensor] : file.tensors()) all.push_back(name);
  CHECK_NOTHROW(require_names(file, all));
}

TEST_CASE("numbers that are not finite are an error unless they are allowed") {
  const TemporaryFolder folder;
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  write_safetensors(folder / "nan.safetensors",
                    {tensor_of<float>("a", {1, 2, nan}, {3}), tensor_of<float>("b", {-infinite}, {1})});
  const SafetensorsFile file(folder / "nan.safetensors");
  CHECK(fails_with([&] { file.read<float>("a"); }, "tensor a, got nan at element 2", "nan.safetensors", "diverged"));
  CHECK(fails_with([&] { file.read<bf16>("b", {1}); }, "tensor b, got -inf at element 0"));
  CHECK(std::isnan(file.read<float>("a", {3}, Finite::any).data()[2]));
  write_safetensors(folder / "large.safetensors", {tensor_of<double>("a", {1e300}, {1})});
  const SafetensorsFile large(folder / "large.safetensors");
  CHECK(large.read<double>("a").data()[0] == 1e300);
  CHECK(fails_with([&] { large.read<float>("a"); }, "tensor a, got inf at element 0"));
}

TEST_CASE("what cannot be written is an error and leaves nothing") {
  const TemporaryFolder folder;
  const NamedTensor one = tensor_of<float>("a", {1}, {1});
  CHECK(fails_with([&] { write_safetensors(folder / "x.safetensors", {one, one}); }, "got a twice", "x.safetensors"));
  CHECK(fails_with([&] { write_safetensors(folder / "x.safetensors", {tensor_of<float>("__metadata__", {1}, {1})}); },
                   "may not be named __metadata__"));
  CHECK(fails_with([&] { write_safetensors(folder / "no/x.safetensors", {one}); }, "No such file", "x.safetensors"));
  CHECK(folder.entries() == 0);
}

TEST_CASE("a file that is cut short after it was opened is an error, for every way of reading") {
  const TemporaryFolder folder;
  const auto path = folder / "weights.safetensors";
  write_safetensors(path, {named_tensor("a", Tensor<float>::zeros({1 << 20}))});
  const SafetensorsFile file(path);
  std::filesystem::resize_file(path, 1 << 20);
  CHECK(fails_with([&] { file.read<float>("a"); }, "[read file] expected 4194", "got fewer", "weights.safetensors"));
  CHECK(fails_with([&] { file.read<double>("a"); }, "got fewer", "weights.safetensors", "cut the file short"));
}

TEST_CASE("tensors of several blocks are converted whole") {
  const TemporaryFolder folder;
  std::vector<double> numbers(300'001);  // 2.4 MB
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
  write_safetensors(folder / "x.safetensors", {tensor_of<double>("a", numbers, {300'001})});
  const Tensor<float> read = SafetensorsFile(folder / "x.safetensors").read<float>("a");
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) wrong += read.data()[i] == static_cast<float>(i) ? 0 : 1;
  CHECK(wrong == 0);
}

TEST_CASE("tensors are equal in type, shape and every byte, in one file or in two") {
  const TemporaryFolder folder;
  std::vector<float> numbers(300'000, 1.0f);  // more than a block of 1 MiB
  std::vector<float> changed = numbers;
  changed.back() = 2.0f;
  write_safetensors(folder / "one.safetensors",
                    {tensor_of("a", numbers, {300, 1000}), tensor_of("turned", numbers, {1000, 300})});
  write_safetensors(folder / "two.safetensors",
                    {tensor_of("same", numbers, {300, 1000}), tensor_of("changed", changed, {300, 1000}),
                     tensor_of("whole", std::vector<std::int32_t>(300'000, 1), {300, 1000})});
  const SafetensorsFile one(folder / "one.safetensors"), two(folder / "two.safetensors");
  CHECK(one.equals("a", one, "a"));
  CHECK(one.equals("a", two, "same"));
  CHECK_FALSE(one.equals("a", two, "changed"));
  CHECK_FALSE(one.equals("a", one, "turned"));
  CHECK_FALSE(one.equals("a", two, "whole"));
}
