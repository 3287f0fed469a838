#pragma once

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/io/input_file.hpp"

namespace caprl {

using Json = nlohmann::json;

namespace detail {

/// "12:5", line and column from 1, of a byte offset.
inline std::string line_and_column(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  std::size_t line = 1, line_start = 0;
  for (std::size_t i = 0; i < offset; ++i) {
    if (text[i] == '\n') {
      ++line;
      line_start = i + 1;
    }
  }
  return std::to_string(line) + ":" + std::to_string(offset - line_start + 1);
}

/// The part of nlohmann's message that speaks about the text: after "parse error at line 1, column 2: ".
inline std::string parse_problem(const std::string& message) {
  const auto mark = message.find("column ");
  const auto colon = message.find(": ", mark == std::string::npos ? 0 : mark);
  return colon == std::string::npos ? message : message.substr(colon + 2);
}

/// Values nested more deeply are refused: far more than any file needs, and few enough that whoever walks through them
/// by recursion has stack for it.
inline constexpr std::size_t deepest_json = 100;

/// Remembers the keys of every open object, and so finds keys that occur twice, of which parsers keep but one.
class DuplicateKeys {
 public:
  bool operator()(int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open_.emplace_back();
    if (event == Json::parse_event_t::object_end && !open_.empty()) open_.pop_back();
    if (event == Json::parse_event_t::key && !open_.empty()) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!open_.back().insert(key).second && duplicate_.empty()) duplicate_ = "\"" + key + "\"";
    }
    return true;
  }
  const std::string& duplicate() const { return duplicate_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::string duplicate_;
};

}  // namespace detail

/// What a message calls a value's type: "string", "number", "list", "object", "true or false", "null".
inline std::string json_type(const Json& value) {
  if (value.is_number_float()) return "fractional number";
  if (value.is_number()) return "integer";
  if (value.is_string()) return "string";
  if (value.is_array()) return "list";
  if (value.is_boolean()) return "true or false";
  return value.is_object() ? "object" : "null";
}

namespace detail {

/// `place(offset)` says where in the file a byte of `text` is.
template <class Place>
Json parse_json_at(std::string_view text, const std::string& where, const std::string& remedy, const Place& place) {
  DuplicateKeys keys;
  Json value;
  try {
    value = Json::parse(text, [&](int depth, Json::parse_event_t event, Json& parsed) {
      const bool opens = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
      if (opens && static_cast<std::size_t>(depth) >= deepest_json) {
        throw Error("[json] expected values nested at most " + std::to_string(deepest_json) + " deep, got more", where);
      }
      return keys(depth, event, parsed);
    });
  } catch (const Json::parse_error& error) {
    throw Error("[json] " + parse_problem(error.what()), place(error.byte == 0 ? 0 : error.byte - 1), remedy);
  } catch (const Json::exception& error) {  // a number too large for a double
    throw Error(std::string("[json] ") + error.what(), where);
  }
  if (!keys.duplicate().empty()) {
    throw Error("[json] expected each key of an object once, got " + keys.duplicate() + " twice", where);
  }
  return value;
}

}  // namespace detail

/// Parses one JSON value. Throws Error with `where` followed by the line and column within `text`; an object with a key
/// that occurs twice is an error too.
inline Json parse_json(std::string_view text, const std::string& where) {
  return detail::parse_json_at(text, where, "",
                               [&](std::size_t offset) { return where + ":" + detail::line_and_column(text, offset); });
}

/// The same for one line of a file, `where` being "file:line"; errors add the column.
inline Json parse_json_line(std::string_view line, const std::string& where) {
  return detail::parse_json_at(line, where, "a JSON Lines file holds one JSON object on each line",
                               [&](std::size_t offset) { return where + ":" + std::to_string(offset + 1); });
}

/// Reads a JSON file. Throws Error with the file, line and column.
inline Json load_json(const std::filesystem::path& path) { return parse_json(read_text_file(path), path.string()); }

}  // namespace caprl
