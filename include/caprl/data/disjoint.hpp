#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/hash.hpp"
#include "caprl/data/item.hpp"
#include "caprl/io/input_file.hpp"

namespace caprl {

/// A part of a data set, by name: "train", "validation", "test".
struct DataSplit {
  std::string name;
  std::span<const CaptionItem> items;
};

namespace detail {

/// The block of a file that begins at `offset`; empty at its end.
inline std::string read_block(const InputFile& file, std::uint64_t offset) {
  constexpr std::uint64_t largest = std::uint64_t{1} << 20;
  std::string block(static_cast<std::size_t>(std::min(largest, file.size() - offset)), '\0');
  file.read(offset, std::as_writable_bytes(std::span(block)));
  return block;
}

/// Equal hashes are only a hint: contents are compared.
inline std::uint64_t content_hash(const std::filesystem::path& path) {
  const InputFile file(path);
  Fnv1a hash;
  for (std::uint64_t at = 0; at < file.size();) {
    const std::string block = read_block(file, at);
    hash.add(block);
    at += block.size();
  }
  return hash.value();
}

inline bool same_content(const std::filesystem::path& a, const std::filesystem::path& b) {
  const InputFile first(a), second(b);
  if (first.size() != second.size()) return false;
  for (std::uint64_t at = 0; at < first.size();) {
    const std::string block = read_block(first, at);
    if (block != read_block(second, at)) return false;
    at += block.size();
  }
  return true;
}

}  // namespace detail

/// Throws Error if two splits share a media file: one with the same bytes, whatever its name. Every file
/// is read once, and again beside each of another split whose hash is the same.
inline void require_disjoint(std::span<const DataSplit> splits) {
  struct Place {
    const DataSplit* split;
    const CaptionItem* item;
    std::filesystem::path path;
  };
  std::multimap<std::uint64_t, Place> seen;
  for (const DataSplit& split : splits) {
    std::set<std::filesystem::path> done;  // items of one split may share a file
    for (const CaptionItem& item : split.items) {
      for (const MediaFile& media : item.media) {
        if (!done.insert(media.path).second) continue;
        const std::uint64_t hash = detail::content_hash(media.path);
        const auto [begin, end] = seen.equal_range(hash);
        for (auto entry = begin; entry != end; ++entry) {
          const Place& place = entry->second;
          if (place.split == &split || !detail::same_content(place.path, media.path)) continue;
          throw Error("[require_disjoint] expected splits without a common media file, got " + place.path.string() +
                          " in " + place.split->name + " (" + place.item->where + ") and " + media.path.string() +
                          " in " + split.name + " (" + item.where + "), which are the same",
                      item.where, "take the item out of one of the splits");
        }
        seen.emplace(hash, Place{&split, &item, media.path});
      }
    }
  }
}

}  // namespace caprl
