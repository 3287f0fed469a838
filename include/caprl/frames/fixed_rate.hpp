#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/frames/frame_sampler.hpp"
#include "caprl/frames/spread.hpp"

namespace caprl {

/// The frames on the screen at 0, 1 / rate, 2 / rate, ... seconds.
///
/// Where these are fewer than `minimum` or more than `maximum`, that many frames spread evenly over the video instead,
/// the first and the last included: the frames that Qwen2.5-VL's and Qwen3-VL's preprocessing takes when its limits
/// bite (`smart_nframes`, then `linspace(0, frames - 1, n).round()`). A video of fewer than `minimum` frames gives all.
struct FixedRate {
  double frames_per_second = 2;
  Index minimum = 4;
  Index maximum = 768;

  std::vector<Index> operator()(const VideoTimeline& timeline, FrameLook&) const {
    require(frames_per_second > 0, "[FixedRate] expected frames_per_second above 0");
    require(minimum >= 1 && maximum >= minimum, "[FixedRate] expected 1 <= minimum <= maximum");
    std::vector<Index> chosen;
    for (double tick = 0;
         timeline.frames() > 0 && (tick == 0 || tick / frames_per_second < timeline.duration_seconds);) {
      const Index frame = timeline.frame_at(tick / frames_per_second);
      if (chosen.empty() || frame > chosen.back()) chosen.push_back(frame);
      if (static_cast<Index>(chosen.size()) > maximum) return spread_evenly(timeline.frames(), maximum);
      if (frame + 1 == timeline.frames()) break;
      tick = std::max(tick + 1, first_tick_from(timeline.seconds[static_cast<std::size_t>(frame + 1)]));
    }
    return static_cast<Index>(chosen.size()) < minimum ? spread_evenly(timeline.frames(), minimum) : chosen;
  }

 private:
  /// The first multiple of 1 / rate at which a frame shown from `seconds` on is on the screen.
  double first_tick_from(double seconds) const { return std::ceil((seconds - 1e-6) * frames_per_second); }
};

}  // namespace caprl
