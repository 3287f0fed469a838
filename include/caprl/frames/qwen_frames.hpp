#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/frames/frame_sampler.hpp"
#include "caprl/frames/spread.hpp"

namespace caprl {

namespace detail {

/// How many frames a rate gives of a video, by its own average rate; a fraction.
inline double frames_by_rate(const VideoTimeline& timeline, double frames_per_second) {
  if (timeline.frames() == 0) return 0;
  const double rate = timeline.frames_per_second > 0
                          ? timeline.frames_per_second
                          : static_cast<double>(timeline.frames()) / timeline.duration_seconds;
  return static_cast<double>(timeline.frames()) / rate * frames_per_second;
}

/// Throws unless 1 <= minimum <= maximum and the rate, or the number of frames in its place, is above 0.
inline void require_frame_limits(const char* sampler, double frames_per_second, Index minimum, Index maximum,
                                 const std::optional<Index>& frames) {
  if (frames_per_second > 0 && minimum >= 1 && maximum >= minimum && frames.value_or(1) >= 1) return;
  throw Error(std::string("[") + sampler +
              "] expected frames_per_second above 0, 1 <= minimum <= maximum and frames of at least 1");
}

}  // namespace detail

/// The frames that Qwen2VLVideoProcessor samples (Qwen2-VL, Qwen2.5-VL; `sample_frames` of transformers 5.24): a whole
/// number of patches, from `frames_per_second` within the limits, at 0, step, 2 step, ... rounded down.
///
/// Where that class fails, this gives what there is: of a video shorter than a patch its first frame, and never more
/// frames than the video has whole patches.
struct Qwen2VlFrames {
  double frames_per_second = 2;
  Index minimum = 4;
  Index maximum = 768;
  Index frames_per_patch = 2;
  std::optional<Index> frames = {};  ///< that many (to the nearest whole patch) in place of the rate and its limits

  std::vector<Index> operator()(const VideoTimeline& timeline, FrameLook&) const {
    detail::require_frame_limits("Qwen2VlFrames", frames_per_second, minimum, maximum, frames);
    require(frames_per_patch >= 1, "[Qwen2VlFrames] expected frames_per_patch of at least 1");
    const Index count = timeline.frames(), chosen = std::min(wanted(timeline), whole_patches(count));
    if (chosen < 1) return count < 1 ? std::vector<Index>{} : std::vector<Index>{0};
    // torch.arange(0, count, count / chosen).int(): steps in double, each place rounded to float, then down.
    const double step = static_cast<double>(count) / static_cast<double>(chosen);
    std::vector<Index> places;
    for (Index i = 0; i < chosen; ++i) {
      places.push_back(static_cast<Index>(static_cast<float>(static_cast<double>(i) * step)));
    }
    return places;
  }

 private:
  Index whole_patches(Index count) const { return count / frames_per_patch * frames_per_patch; }

  Index wanted(const VideoTimeline& timeline) const {
    if (frames) {
      const auto patches = std::nearbyint(static_cast<double>(*frames) / static_cast<double>(frames_per_patch));
      return static_cast<Index>(patches) * frames_per_patch;
    }
    const auto least = static_cast<double>(minimum),
               most = static_cast<double>(whole_patches(std::min(maximum, timeline.frames())));
    const double by_rate = std::max(detail::frames_by_rate(timeline, frames_per_second), least);
    return whole_patches(static_cast<Index>(std::min(by_rate, most)));
  }
};

/// The frames that Qwen3VLVideoProcessor samples (`sample_frames` of transformers 5.24): as many as `frames_per_second`
/// gives within the limits, spread evenly from the first to the last. All frames of a video that has no more.
struct Qwen3VlFrames {
  double frames_per_second = 2;
  Index minimum = 4;
  Index maximum = 768;
  std::optional<Index> frames = {};  ///< that many in place of the rate and its limits

  std::vector<Index> operator()(const VideoTimeline& timeline, FrameLook&) const {
    detail::require_frame_limits("Qwen3VlFrames", frames_per_second, minimum, maximum, frames);
    if (frames) return spread_evenly(timeline.frames(), *frames);
    const double by_rate = std::floor(detail::frames_by_rate(timeline, frames_per_second));
    const double chosen = std::clamp(by_rate, static_cast<double>(minimum), static_cast<double>(maximum));
    return spread_evenly(timeline.frames(), static_cast<Index>(chosen));
  }
};

}  // namespace caprl
