#pragma once

#include <CLI/CLI.hpp>

#include "caprl/frames/fixed_rate.hpp"

namespace examples {

/// What the example captioners see of a video: a frame a second, at most 16.
inline caprl::FixedRate default_frames() { return {.frames_per_second = 1, .minimum = 1, .maximum = 16}; }

inline void add_frame_options(CLI::App& app, caprl::FixedRate& frames) {
  app.add_option("--frames-per-second", frames.frames_per_second, "That the captioner sees of a video")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--maximum-frames", frames.maximum, "That the captioner sees of a video")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
}

}  // namespace examples
