#pragma once

#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// A value of a GGUF file's metadata. Integers of all widths are an Index, both kinds of float a double.
using GgufValue = std::variant<bool, Index, double, std::string, std::vector<bool>, std::vector<Index>,
                               std::vector<double>, std::vector<std::string>>;

/// Typed access to the metadata of a GGUF file, with errors that name the file and the key:
/// "model.gguf: key llama.block_count: expected an integer, got a string".
class GgufMetadata {
 public:
  /// `where`: the file, for messages.
  GgufMetadata(std::map<std::string, GgufValue> values, std::string where)
      : values_(std::move(values)), where_(std::move(where)) {}

  const std::map<std::string, GgufValue>& values() const { return values_; }
  const std::string& where() const { return where_; }
  bool has(const std::string& key) const { return values_.count(key) != 0; }

  /// The value as a T: bool, Index, double, std::string, or a std::vector of these. Throws Error if
  /// the key is absent or its value of another type.
  template <class T>
  const T& get(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) throw error(key, "expected " + std::string(name_of_type<T>()) + ", but it is missing");
    if (const T* value = std::get_if<T>(&found->second)) return *value;
    throw error(key, "expected " + std::string(name_of_type<T>()) + ", got " + type_of(found->second));
  }

  /// The same, or `fallback` if the key is absent.
  template <class T>
  T get_or(const std::string& key, T fallback) const {
    return has(key) ? get<T>(key) : std::move(fallback);
  }

  /// An error about a key, for checks that go beyond its type.
  Error error(const std::string& key, const std::string& problem) const {
    const auto slash = where_.find_last_of('/');
    const std::string file = slash == std::string::npos ? where_ : where_.substr(slash + 1);
    return Error(file + ": key " + key + ": " + problem, where_);
  }

 private:
  template <class T>
  static constexpr const char* name_of_type() {
    if constexpr (std::is_same_v<T, bool>) return "true or false";
    if constexpr (std::is_same_v<T, Index>) return "an integer";
    if constexpr (std::is_same_v<T, double>) return "a fractional number";
    if constexpr (std::is_same_v<T, std::string>) return "a string";
    if constexpr (std::is_same_v<T, std::vector<bool>>) return "a list of true and false";
    if constexpr (std::is_same_v<T, std::vector<Index>>) return "a list of integers";
    if constexpr (std::is_same_v<T, std::vector<double>>) return "a list of fractional numbers";
    if constexpr (std::is_same_v<T, std::vector<std::string>>) return "a list of strings";
  }

  static std::string type_of(const GgufValue& value) {
    return std::visit([](const auto& held) { return name_of_type<std::decay_t<decltype(held)>>(); }, value);
  }

  std::map<std::string, GgufValue> values_;
  std::string where_;
};

}  // namespace caprl
