#pragma once

#include <algorithm>
#include <span>

#include "caprl/data/item.hpp"
#include "caprl/media/read_video.hpp"

namespace caprl {

/// Reads how long the items' videos are, which the terms that look at times go by: of each item the first video's
/// duration. Items without a video are left as they are. Throws Error naming a file that is no video.
inline void read_durations(std::span<CaptionItem> items) {
  for (CaptionItem& item : items) {
    const auto video = std::ranges::find(item.media, MediaKind::video, &MediaFile::kind);
    if (video == item.media.end()) continue;
    item.duration_seconds = VideoReader(video->path.string()).timeline().duration_seconds;
  }
}

}  // namespace caprl
