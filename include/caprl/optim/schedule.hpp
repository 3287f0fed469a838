#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include "caprl/core/index.hpp"

namespace caprl {

/// The learning rate over a run's steps: linear warm-up, then constant or a cosine down to a share of the peak.
struct LearningRate {
  double peak = 1e-3;
  Index warmup_steps = 0;
  Index decay_steps = 0;     ///< length of the cosine after the warm-up; 0: constant
  double final_share = 0.1;  ///< of the peak, at and after the cosine's end

  /// The rate of `step`, counted from 0.
  double operator()(Index step) const {
    if (step < warmup_steps) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
    if (decay_steps <= 0) return peak;
    const double progress = std::min(1.0, static_cast<double>(step - warmup_steps) / static_cast<double>(decay_steps));
    const double share = 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
    return peak * (final_share + (1.0 - final_share) * share);
  }
};

}  // namespace caprl
