#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/random.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/tensor/storage.hpp"
#include "support/temporary_folder.hpp"

/// Files that are wrong in one place, and what becomes of those who load them.
namespace caprl::testing {

/// How many mutants of each file there are: CAPRL_MUTANTS if it is set, for a long search.
inline std::uint32_t mutants_of_each(std::uint32_t usual) {
  const char* count = std::getenv("CAPRL_MUTANTS");
  return count == nullptr ? usual : static_cast<std::uint32_t>(std::strtoul(count, nullptr, 10));
}

using Mutation = std::function<std::string(const std::string& whole, RandomStream& random)>;

/// A few bytes of the first `extent` changed, left out or doubled, or the rest cut off.
inline std::string byte_mutant(std::string text, RandomStream& random, std::size_t extent) {
  const std::size_t at = random.below(static_cast<std::uint32_t>(extent));
  switch (random.below(5)) {
    case 0:
      return text.substr(0, at);
    case 1:
      text[at] = static_cast<char>(text[at] ^ (1 << random.below(8)));
      return text;
    case 2:
      std::memset(text.data() + at, random.below(2) == 0 ? 0xFF : 0x7F, std::min<std::size_t>(8, text.size() - at));
      return text;
    case 3:
      return text.erase(at, 1 + random.below(16));
    default:
      return text.insert(at, text.substr(random.below(static_cast<std::uint32_t>(extent)), 1 + random.below(64)));
  }
}

namespace detail {

/// What a value is replaced by, as JSON text or nearly so.
inline const std::vector<std::string>& wrong_values() {
  static const std::vector<std::string> values = [] {
    std::vector<std::string> texts{
        "-1",   "0",       "1",       "2",        "3",           "1.5",         "-0.0",
        "4096", "65536",   "1048576", "16777216", "16777217",    "2147483647",  "4294967296",
        "1e30", "1e308",   "1e-308",  "1e999",    "NaN",         "-Infinity",   "4611686018427387904",
        "null", "true",    "false",   "\"\"",     "\"x\"",       "\"\\u0000\"", "9223372036854775807",
        "[]",   "{}",      "[[]]",    "[null]",   "[-1]",        "{\"x\": 1}",  "18446744073709551615",
        "[1]",  "[\"x\"]", "[0, 0]",  "[1e300]",  "\"\\ud800\"", "\"\xFF\"",    "-9223372036854775808"};
    for (const std::size_t depth : {20, 100'000}) texts.push_back(std::string(depth, '[') + std::string(depth, ']'));
    std::string objects, list = "[0";
    for (int i = 0; i < 20'000; ++i) objects += "{\"a\": ", list += ", 1";
    texts.push_back(objects + "1" + std::string(20'000, '}'));
    texts.push_back(list + "]");
    texts.push_back('"' + std::string(100'000, '(') + '"');
    return texts;
  }();
  return values;
}

/// The places of a value and of all within it.
inline void collect_places(const Json& value, const Json::json_pointer& at, std::vector<Json::json_pointer>& places) {
  places.push_back(at);
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) collect_places(inner, at / key, places);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) collect_places(value[i], at / i, places);
  }
}

/// What an integer could be mistaken for.
inline std::string near_integer(std::int64_t value, RandomStream& random) {
  const std::int64_t near[] = {value - 1, value + 1, -value, 2 * value, value / 2, value * (1 << 16), value * 1009};
  return std::to_string(near[random.below(7)]);
}

}  // namespace detail

/// The JSON text with one value of its tree replaced, left out, given twice or exchanged for another.
inline std::string json_mutant(const std::string& text, RandomStream& random) {
  static constexpr std::string_view marker = "\"<here>\"";
  Json json = Json::parse(text);
  std::vector<Json::json_pointer> places;
  detail::collect_places(json, Json::json_pointer(), places);
  const auto any_place = [&] { return places[random.below(static_cast<std::uint32_t>(places.size()))]; };
  const Json::json_pointer place = any_place();
  const Json before = json[place];
  const bool inside_object = !place.empty() && json[place.parent_pointer()].is_object();
  std::string put = detail::wrong_values()[random.below(static_cast<std::uint32_t>(detail::wrong_values().size()))];
  switch (random.below(8)) {
    case 0:
      put = json[any_place()].dump();
      break;
    case 1:
      if (inside_object) put = before.dump() + ", \"" + place.back() + "\": " + before.dump();
      break;
    case 2:
      if (inside_object) {
        json[place.parent_pointer()].erase(place.back());
        return json.dump();
      }
      break;
    case 3:
    case 4:
      if (before.is_number_integer() && std::abs(before.get<std::int64_t>()) < 1 << 30) {
        put = detail::near_integer(before.get<std::int64_t>(), random);
      }
      break;
    default:
      break;
  }
  json[place] = "<here>";
  std::string mutant = json.dump();
  return mutant.replace(mutant.find(marker), marker.size(), put);
}

/// A JSON file's mutant: mostly of its values, now and then of its bytes.
inline std::string json_file_mutant(const std::string& text, RandomStream& random) {
  return random.below(5) == 0 ? byte_mutant(text, random, text.size()) : json_mutant(text, random);
}

/// A safetensors file's mutant: of the header's values, or of the bytes up to the data.
inline std::string safetensors_mutant(const std::string& file, RandomStream& random) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const std::size_t data = sizeof length + static_cast<std::size_t>(length);
  if (random.below(3) == 0) return byte_mutant(file, random, data);
  const std::string header = json_mutant(file.substr(sizeof length, static_cast<std::size_t>(length)), random);
  length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + file.substr(data);
}

/// Calls load() with `count` mutants in the place of `file`, which is as before at the end. Each must load, or throw an
/// Error that names one of the files `named`, and take no more than `most_bytes` of tensors. Returns how many threw.
template <class Load>
std::uint32_t refused_mutants(const std::filesystem::path& file, std::uint32_t count, const Mutation& mutate,
                              const std::vector<std::string>& named, const Load& load,
                              Index most_bytes = Index{1} << 24) {
  const std::string whole = content_of(file);
  const auto write = [&](const std::string& text) { std::ofstream(file, std::ios::binary) << text; };
  const auto names_a_file = [&](const std::string& message) {
    return std::ranges::any_of(named, [&](const auto& name) { return message.find(name) != std::string::npos; });
  };
  load();
  std::uint32_t refused = 0;
  for (std::uint32_t round = 0; round < count; ++round) {
    RandomStream random({.seed = 11, .item = round});
    const std::string mutant = mutate(whole, random);
    write(mutant);
    CpuAllocator::instance().reset_peak();
    const Index before = CpuAllocator::instance().counters().in_use;
    const std::string what =
        file.filename().string() + ", mutant " + std::to_string(round) + " (" + mutant.substr(0, 400) + ") ";
    try {
      load();
    } catch (const Error& error) {
      ++refused;
      if (!names_a_file(error.what())) FAIL_CHECK(what << "is not named: " << std::string(error.what()));
    } catch (const std::exception& other) {
      FAIL_CHECK(what << "throws " << std::string(other.what()));
    }
    const Index taken = CpuAllocator::instance().counters().peak - before;
    if (taken > most_bytes) FAIL_CHECK(what << "takes " << taken << " bytes");
  }
  write(whole);
  return refused;
}

}  // namespace caprl::testing
