#pragma once

#include <vector>

#include "caprl/nn/rotary_frequencies.hpp"
#include "caprl/nn/rotary_table.hpp"

namespace caprl {

/// The angles of Qwen's vision towers: the first half of a head's pairs turns with the height, the second with the
/// width, equally fast.
inline RotarySettings vision_rotary(double theta, Index head_size) {
  RotarySettings angles;
  for (Index axis = 0; axis < 2; ++axis) {
    for (const double frequency : frequencies_of_pairs({.theta = theta}, head_size / 2)) {
      angles.frequencies.push_back(frequency);
      angles.axis_of_pair.push_back(axis);
    }
  }
  return angles;
}

}  // namespace caprl
