#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// The logit of a token that is excluded.
inline constexpr float excluded_logit = -std::numeric_limits<float>::infinity();

/// Throws an Error that names the sampler if a logit is NaN or plus infinity, or if none is finite.
inline void require_drawable(std::span<const float> logits, const std::string& sampler) {
  bool any = false, broken = false;
  for (const float logit : logits) {
    broken |= !(logit < std::numeric_limits<float>::infinity());
    any |= logit > excluded_logit;
  }
  if (any && !broken) return;
  const auto at = std::ranges::find_if(logits, [](float z) { return !(z < std::numeric_limits<float>::infinity()); });
  if (broken) {
    throw Error("[" + sampler + "] expected finite logits, got " + (std::isnan(*at) ? "NaN" : "infinity") +
                    " for token " + std::to_string(at - logits.begin()) + " of " + std::to_string(logits.size()),
                "", "The weights or activations have diverged: lower the learning rate, or load the last checkpoint.");
  }
  throw Error("[" + sampler + "] expected at least one finite logit, got none of " + std::to_string(logits.size()));
}

/// The token with the largest logit; among equal ones that with the lowest id. `logits` [V], V > 0.
inline Token largest_logit(std::span<const float> logits) {
  return static_cast<Token>(std::ranges::max_element(logits) - logits.begin());
}

}  // namespace caprl
