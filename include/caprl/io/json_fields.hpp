#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/io/json_file.hpp"

namespace caprl {

/// Typed access to the fields of one JSON object, with errors that name the file and the field:
/// "config.json: field vision_config.depth: expected an integer, got string".
///
/// A view: the JSON value must outlive it.
class JsonFields {
 public:
  /// `where` is the file (or file and line); `path` is the object's place in it, empty for the top.
  JsonFields(const Json& value, std::string where, std::string path = {})
      : value_(&value), where_(std::move(where)), path_(std::move(path)) {
    if (!value.is_object()) throw wrong_type(path_, "an object", value);
  }

  /// True if the field is there and not null.
  bool has(const std::string& name) const {
    const auto found = value_->find(name);
    return found != value_->end() && !found->is_null();
  }

  /// The field as a T: bool, an integer type, float, double, std::string, or a std::vector of these.
  template <class T>
  T get(const std::string& name) const {
    return convert<T>(raw(name), path_to(name));
  }

  /// The same, or `fallback` if the field is absent or null.
  template <class T>
  T get_or(const std::string& name, T fallback) const {
    return has(name) ? get<T>(name) : std::move(fallback);
  }

  /// The field as an object of its own.
  JsonFields object(const std::string& name) const { return JsonFields(raw(name), where_, path_to(name)); }

  /// The field as it stands.
  const Json& raw(const std::string& name) const {
    const auto found = value_->find(name);
    if (found == value_->end()) throw error(name, "expected a value, but the field is missing");
    return *found;
  }

  /// Throws Error for a field that is not among `names`: settings that would be ignored silently.
  void require_only(std::initializer_list<std::string_view> names) const {
    for (const auto& [name, value] : value_->items()) {
      bool known = false;
      for (const std::string_view candidate : names) known = known || candidate == name;
      if (!known) throw error(name, "unknown field");
    }
  }

  /// An error about the field `name`, for checks that go beyond its type.
  Error error(const std::string& name, const std::string& problem) const {
    return Error(file_name() + ": field " + path_to(name) + ": " + problem, where_);
  }

  const Json& value() const { return *value_; }
  const std::string& where() const { return where_; }

 private:
  std::string path_to(const std::string& name) const { return path_.empty() ? name : path_ + "." + name; }

  std::string file_name() const {
    const auto slash = where_.find_last_of('/');
    return slash == std::string::npos ? where_ : where_.substr(slash + 1);
  }

  Error wrong_type(const std::string& path, const std::string& expected, const Json& value) const {
    const std::string field = path.empty() ? "" : "field " + path + ": ";
    return Error(file_name() + ": " + field + "expected " + expected + ", got " + json_type(value), where_);
  }

  template <class T>
  T convert(const Json& value, const std::string& path) const {
    if constexpr (std::is_same_v<T, bool>) {
      if (!value.is_boolean()) throw wrong_type(path, "true or false", value);
      return value.get<bool>();
    } else if constexpr (std::is_integral_v<T>) {
      return convert_integer<T>(value, path);
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!value.is_number()) throw wrong_type(path, "a number", value);
      const auto number = value.get<double>();
      if (std::abs(number) > static_cast<double>(std::numeric_limits<T>::max())) {
        throw wrong_type(path, "a number within single precision", value);
      }
      return static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!value.is_string()) throw wrong_type(path, "a string", value);
      return value.get<std::string>();
    } else {
      if (!value.is_array()) throw wrong_type(path, "a list", value);
      T values;
      for (std::size_t i = 0; i < value.size(); ++i) {
        values.push_back(convert<typename T::value_type>(value[i], path + "[" + std::to_string(i) + "]"));
      }
      return values;
    }
  }

  template <class T>
  T convert_integer(const Json& value, const std::string& path) const {
    if (!value.is_number_integer()) throw wrong_type(path, "an integer", value);
    const bool fits = value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                                 : std::in_range<T>(value.get<std::int64_t>());
    if (!fits) {
      throw Error(file_name() + ": field " + path + ": expected an integer between " +
                      std::to_string(std::numeric_limits<T>::min()) + " and " +
                      std::to_string(std::numeric_limits<T>::max()) + ", got " + value.dump(),
                  where_);
    }
    return value.get<T>();
  }

  const Json* value_;
  std::string where_;
  std::string path_;
};

}  // namespace caprl
