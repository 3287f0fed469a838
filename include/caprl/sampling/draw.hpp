#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "caprl/core/index.hpp"
#include "caprl/core/random.hpp"
#include "caprl/sampling/fixed_point.hpp"
#include "caprl/sampling/logits.hpp"

namespace caprl {

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
