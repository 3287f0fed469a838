#pragma once

#include <algorithm>
#include <vector>

#include "caprl/core/index.hpp"

namespace caprl {

/// When each frame of a video is shown. Frames are numbered from 0 in the order in which they are shown.
struct VideoTimeline {
  std::vector<double> seconds;   ///< [F] time of each frame; the first is 0, strictly increasing
  std::vector<bool> is_key;      ///< [F] whether decoding can start at the frame
  double duration_seconds = 0;   ///< time of the last frame and how long that one is shown
  double frames_per_second = 0;  ///< the stream's average rate

  Index frames() const { return static_cast<Index>(seconds.size()); }

  /// The frame on the screen at a time: the last one shown at or before it (a microsecond of rounding forgiven);
  /// the first frame for times before the first. The timeline must not be empty.
  Index frame_at(double time_seconds) const {
    const auto after = std::upper_bound(seconds.begin(), seconds.end(), time_seconds + 1e-6);
    return std::max<Index>(0, static_cast<Index>(after - seconds.begin()) - 1);
  }
};

}  // namespace caprl
