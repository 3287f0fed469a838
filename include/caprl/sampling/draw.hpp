#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/core/random.hpp"
#include "caprl/sampling/fixed_point.hpp"

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

/// Draws a token from softmax(logits): token t with probability weight[t] / sum(weight), weight = fixed_point_weight.
/// `bits` are 64 uniform random bits; the first token whose cumulated weight exceeds bits / 2^64 of the sum is taken.
/// `logits` [V] must be drawable, see `require_drawable`.
inline Token draw_token(std::span<const float> logits, std::uint64_t bits) {
  constexpr std::size_t parts = 64;
  const float largest = logits[static_cast<std::size_t>(largest_logit(logits))];
  const std::size_t size = logits.size();
  std::array<std::uint64_t, parts> sums{};  // of equal parts of the vocabulary, so that only one is walked again
  std::uint64_t total = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    for (std::size_t t = size * part / parts; t < size * (part + 1) / parts; ++t) {
      sums[part] += fixed_point_weight(logits[t], largest);
    }
    total += sums[part];
  }
  std::uint64_t remaining = multiply_high(bits, total);
  std::size_t part = 0;
  while (remaining >= sums[part]) remaining -= sums[part++];
  std::size_t token = size * part / parts;
  for (;; ++token) {
    const std::uint64_t weight = fixed_point_weight(logits[token], largest);
    if (remaining < weight) return static_cast<Token>(token);
    remaining -= weight;
  }
}

}  // namespace caprl
