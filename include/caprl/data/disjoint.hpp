#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/data/item.hpp"
#include "caprl/io/mapped_file.hpp"

namespace caprl {

/// A part of a data set, by name: "train", "validation", "test".
struct DataSplit {
  std::string name;
  std::span<const CaptionItem> items;
};

namespace detail {

/// FNV-1a (Fowler, Noll, Vo) over words of eight bytes and the rest, with the length at the end. Equal hashes are only
/// a hint: contents are compared.
inline std::uint64_t content_hash(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto mix = [&hash](std::uint64_t word) {
    hash = (hash ^ word) * 0x100000001b3u;
    hash ^= hash >> 32;
  };
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    mix(word);
    bytes = bytes.subspan(8);
  }
  for (const std::byte byte : bytes) mix(static_cast<std::uint64_t>(byte));
  mix(bytes.size());
  return hash;
}

inline bool same_content(const std::filesystem::path& a, const std::filesystem::path& b) {
  const MappedFile first(a), second(b);
  return std::ranges::equal(first.bytes(), second.bytes());
}

}  // namespace detail

/// Throws Error if two splits share a media file: one with the same bytes, whatever its name. Every file is read once.
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
        const std::uint64_t hash = detail::content_hash(MappedFile(media.path).bytes());
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
