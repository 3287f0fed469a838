#pragma once

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/frames/frame_sampler.hpp"

namespace caprl {

/// The first frame, and each frame that differs from the one before it: by the mean absolute difference of the
/// thumbnails' brightness, as a share of the full range. Looks at every frame, so it costs a whole decode.
///
/// A change within `minimum_gap_seconds` of the last chosen frame is passed over. Of more than `maximum` the strongest
/// stay, the earlier of equals, and the first frame always.
struct SceneChange {
  double threshold = 0.1;  ///< share of the brightness range
  double minimum_gap_seconds = 0.5;
  Index maximum = 64;

  std::vector<Index> operator()(const VideoTimeline& timeline, FrameLook& look) const {
    require(threshold >= 0 && minimum_gap_seconds >= 0 && maximum >= 1,
            "[SceneChange] expected threshold and minimum_gap_seconds of at least 0, maximum of at least 1");
    if (timeline.frames() == 0) return {};
    std::vector<Change> changes;
    double last_seconds = timeline.seconds[0];
    Thumbnail before = look(0);
    for (Index frame = 1; frame < timeline.frames(); ++frame) {
      Thumbnail now = look(frame);
      const double seconds = timeline.seconds[static_cast<std::size_t>(frame)];
      const double difference = mean_difference(before, now);
      before = std::move(now);
      if (difference <= threshold || seconds - last_seconds < minimum_gap_seconds) continue;
      changes.push_back({frame, difference});
      last_seconds = seconds;
    }
    return strongest(std::move(changes));
  }

 private:
  struct Change {
    Index frame;
    double difference;
  };

  static double mean_difference(const Thumbnail& a, const Thumbnail& b) {
    require(a.luma.size() == b.luma.size() && !a.luma.empty(), "[SceneChange] expected thumbnails of one size");
    Index sum = 0;
    for (std::size_t i = 0; i < a.luma.size(); ++i) sum += std::abs(int{a.luma[i]} - int{b.luma[i]});
    return static_cast<double>(sum) / (255.0 * static_cast<double>(a.luma.size()));
  }

  std::vector<Index> strongest(std::vector<Change> changes) const {
    std::stable_sort(changes.begin(), changes.end(),
                     [](const Change& a, const Change& b) { return a.difference > b.difference; });
    if (static_cast<Index>(changes.size()) > maximum - 1) changes.resize(static_cast<std::size_t>(maximum - 1));
    std::vector<Index> chosen = {0};
    for (const Change& change : changes) chosen.push_back(change.frame);
    std::sort(chosen.begin(), chosen.end());
    return chosen;
  }
};

}  // namespace caprl
