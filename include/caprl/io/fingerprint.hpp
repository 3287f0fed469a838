#pragma once

#include <algorithm>
#include <cstddef>
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

namespace detail {

/// Adds what a file holds, block by block: weights are larger than what is free.
inline void add_file(const std::filesystem::path& path, Fnv1a& hash) {
  const InputFile file(path);
  std::vector<std::uint8_t> block;
  for (std::uint64_t at = 0; at < file.size(); at += block.size()) {
    block.resize(static_cast<std::size_t>(std::min(std::uint64_t{1} << 20, file.size() - at)));
    file.read(at, std::as_writable_bytes(std::span(block)));
    hash.add(block);
  }
}

}  // namespace detail

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
    detail::add_file(file, hash);
  }
  return hexadecimal(hash.value());
}

inline Json fingerprints(std::span<const std::filesystem::path> paths) {
  Json list = Json::array();
  for (const auto& path : paths) list.push_back(fingerprint(path));
  return list;
}

}  // namespace caprl
