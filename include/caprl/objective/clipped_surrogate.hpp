#pragma once

#include <cmath>

#include "caprl/core/host_device.hpp"
#include "caprl/objective/token_loss.hpp"

namespace caprl {

/// The clipped policy-gradient surrogate (Schulman et al., arXiv 1707.06347, equation 7), with clips of their own for
/// ratios below and above 1 (Yu et al., arXiv 2503.14476, equation 10):
///     ratio r = exp(log_probability - recorded)
///     loss = -min(r A, clamp(r, 1 - clip_low, 1 + clip_high) A)
/// and, with dual_clip c > 1, for A < 0 at most -c A (Ye et al., arXiv 1912.09729, equation 5). `recorded` is the
/// log-probability that the sampler recorded; in the first update after sampling r is 1.
struct ClippedSurrogate {
  double clip_low = 0.2;
  double clip_high = 0.2;
  double dual_clip = 0;  ///< 0 is off, else above 1; usual is 3

  CAPRL_HD TokenLoss operator()(double log_probability, double recorded, double advantage) const {
    constexpr double most = 20;  // a log-ratio beyond it only overflows
    const double log_ratio = log_probability - recorded;
    const double ratio = std::exp(log_ratio < -most ? -most : log_ratio > most ? most : log_ratio);
    const bool above = advantage > 0 && ratio > 1 + clip_high;
    const bool below = advantage < 0 && ratio < 1 - clip_low;
    const bool far = advantage < 0 && (ratio == std::exp(most) || (dual_clip > 0 && ratio > dual_clip));
    if (above) return {-(1 + clip_high) * advantage, 0, true};
    if (below) return {-(1 - clip_low) * advantage, 0, true};
    if (far) return {-(dual_clip > 0 ? dual_clip : ratio) * advantage, 0, true};
    return {-ratio * advantage, -ratio * advantage, false};
  }
};

}  // namespace caprl
