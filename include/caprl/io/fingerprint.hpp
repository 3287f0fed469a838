#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "caprl/core/hash.hpp"
#include "caprl/io/input_file.hpp"
#include "caprl/io/json_file.hpp"

/// What files hold, as a short text: a run records it, so that it does not go on with other weights or other data that
/// happen to have the same name.
namespace caprl {

/// 16 digits.
inline std::string hexadecimal(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

/// Of a file, or of all files of a folder and their names. Throws Error naming a file that cannot be read.
inline std::string fingerprint(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(path)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::ranges::sort(files);
  } else {
    files.push_back(path);
  }
  Fnv1a hash;
  for (const auto& file : files) {
    if (file != path) hash.add(file.lexically_relative(path).generic_string());
    hash.add(read_text_file(file));
  }
  return hexadecimal(hash.value());
}

inline Json fingerprints(std::span<const std::filesystem::path> paths) {
  Json list = Json::array();
  for (const auto& path : paths) list.push_back(fingerprint(path));
  return list;
}

}  // namespace caprl
