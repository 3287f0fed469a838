#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/random.hpp"
#include "caprl/sampling/sampler.hpp"

namespace caprl::test {

inline std::vector<float> random_logits(std::size_t size, std::uint64_t seed, double scale = 2) {
  RandomStream stream({.seed = seed});
  std::vector<float> logits(size);
  for (float& logit : logits) logit = static_cast<float>(scale * stream.normal());
  return logits;
}

/// The laws of `Sampler`, for a sampler whose choice is not fixed by its settings alone.
template <Sampler S>
void check_sampler_laws(const S& sampler) {
  const std::vector<Token> history{3, 5, 5, 0};
  const float infinity = std::numeric_limits<float>::infinity();
  for (std::uint32_t draw = 0; draw < 200; ++draw) {
    const RandomKey key{.seed = 9, .purpose = Purpose::sampling, .step = draw};
    std::vector<float> logits = random_logits(1 + draw % 90 + 6, draw);
    for (std::size_t t = draw % 3; t + 1 < logits.size(); t += 3) logits[t] = -infinity;
    std::vector<float> first = logits, second = logits;
    const Token token = sampler(first, history, key);
    REQUIRE(token >= 0);
    REQUIRE(token < static_cast<Token>(logits.size()));
    CHECK(std::isfinite(logits[static_cast<std::size_t>(token)]));
    CHECK(sampler(second, history, key) == token);

    // Equal logits: the choice depends on the ids alone, whatever the value.
    std::vector<float> low(17, -3.5f), high(17, 8.25f);
    CHECK(sampler(low, {}, key) == sampler(high, {}, key));
  }
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), infinity}) {
    std::vector<float> logits(5, 0.0f);
    logits[3] = bad;
    CHECK_THROWS_AS(sampler(logits, {}, RandomKey{}), Error);
  }
  std::vector<float> none(5, -infinity), empty;
  CHECK_THROWS_AS(sampler(none, {}, RandomKey{}), Error);
  CHECK_THROWS_AS(sampler(empty, {}, RandomKey{}), Error);
  CHECK(sampler.temperature() >= 0);
}

}  // namespace caprl::test
