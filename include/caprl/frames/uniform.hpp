#pragma once

#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/frames/frame_sampler.hpp"

namespace caprl {

/// The frames on the screen in the middle of `frames` equal parts of the video's time. Fewer where one frame fills
/// several parts; all frames of a video that has no more.
struct Uniform {
  Index frames = 8;

  std::vector<Index> operator()(const VideoTimeline& timeline, FrameLook&) const {
    require(frames >= 1, "[Uniform] expected frames of at least 1");
    std::vector<Index> chosen;
    const Index parts = std::min(frames, timeline.frames());
    if (parts == timeline.frames()) {
      for (Index frame = 0; frame < parts; ++frame) chosen.push_back(frame);
      return chosen;
    }
    for (Index part = 0; part < parts; ++part) {
      const double middle = (static_cast<double>(part) + 0.5) * timeline.duration_seconds / static_cast<double>(parts);
      const Index frame = timeline.frame_at(middle);
      if (chosen.empty() || frame > chosen.back()) chosen.push_back(frame);
    }
    return chosen;
  }
};

}  // namespace caprl
