#pragma once

#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/frames/frame_sampler.hpp"
#include "caprl/frames/spread.hpp"

namespace caprl {

/// The video's key frames: those that decode alone, so the cheapest to read. Encoders place them at cuts and at regular
/// distances. More than `maximum` are thinned evenly, the first and the last kept.
struct KeyFrames {
  Index maximum = 64;

  std::vector<Index> operator()(const VideoTimeline& timeline, FrameLook&) const {
    require(maximum >= 1, "[KeyFrames] expected a maximum of at least 1");
    std::vector<Index> keys;
    for (Index frame = 0; frame < timeline.frames(); ++frame) {
      if (timeline.is_key[static_cast<std::size_t>(frame)]) keys.push_back(frame);
    }
    if (keys.empty() && timeline.frames() > 0) keys.push_back(0);
    std::vector<Index> chosen;
    for (const Index place : spread_evenly(static_cast<Index>(keys.size()), maximum)) {
      chosen.push_back(keys[static_cast<std::size_t>(place)]);
    }
    return chosen;
  }
};

}  // namespace caprl
