#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "caprl/frames/frame_sampler.hpp"

namespace caprl {

/// Brightness that changes with every frame, and abruptly every 25th.
struct BlinkingLook final : FrameLook {
  Thumbnail operator()(Index frame) override {
    const Index level = frame / 25 % 2 * 120 + frame % 25;
    return {4, 4, std::vector<std::uint8_t>(16, static_cast<std::uint8_t>(level))};
  }
};

/// `frames` frames at a rate; where `uneven`, each frame lasts longer than the one before.
inline VideoTimeline timeline_of(Index frames, double frames_per_second, Index key_distance = 12, bool uneven = false) {
  VideoTimeline timeline;
  timeline.frames_per_second = frames_per_second;
  for (Index frame = 0; frame <= frames; ++frame) {
    const auto count = static_cast<double>(frame);
    const double seconds = (uneven ? count * (1 + 0.05 * count) : count) / frames_per_second;
    timeline.duration_seconds = seconds;
    if (frame == frames) break;
    timeline.seconds.push_back(seconds);
    timeline.is_key.push_back(frame % key_distance == 0);
  }
  return timeline;
}

/// The laws of a frame sampler (see `FrameSampler`) on videos of many lengths and rates; `maximum` is the sampler's
/// own.
template <FrameSampler Sampler>
void check_frame_sampler_laws(const Sampler& sampler, Index maximum) {
  BlinkingLook look;
  for (const Index frames : {1, 2, 3, 5, 12, 13, 100, 701}) {
    for (const double rate : {0.5, 10.0, 23.976, 60.0}) {
      for (const bool uneven : {false, true}) {
        const VideoTimeline timeline = timeline_of(frames, rate, 12, uneven);
        CAPTURE(frames);
        CAPTURE(rate);
        CAPTURE(uneven);
        const std::vector<Index> chosen = sampler(timeline, look);
        CHECK_FALSE(chosen.empty());
        CHECK(static_cast<Index>(chosen.size()) <= maximum);
        for (std::size_t i = 0; i < chosen.size(); ++i) {
          REQUIRE(chosen[i] >= 0);
          REQUIRE(chosen[i] < frames);
          if (i > 0) REQUIRE(chosen[i] > chosen[i - 1]);
        }
        CHECK(sampler(timeline, look) == chosen);
      }
    }
  }
}

}  // namespace caprl
