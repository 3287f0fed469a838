#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/hash.hpp"
#include "caprl/data/item.hpp"
#include "caprl/io/mapped_file.hpp"

namespace caprl {

/// A part of a data set, by name: "train", "validation", "test".
struct DataSplit {
  std::string name;
  std::span<const CaptionItem> items;
};

namespace detail {

/// Equal hashes are only a hint: contents are compared.
inline std::uint64_t content_hash(std::span<const std::byte> bytes) {
  return Fnv1a().add(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())).value();
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
