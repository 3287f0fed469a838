#pragma once

#include <span>

#include "caprl/core/index.hpp"
#include "caprl/core/random.hpp"
#include "caprl/core/recorded_numbers.hpp"
#include "caprl/sampling/logits.hpp"
#include "caprl/sampling/sampler.hpp"

namespace caprl {

/// The most probable token; among equal ones that with the lowest id.
struct Greedy {
  Token operator()(std::span<float> logits, std::span<const Token> /*history*/, const RandomKey& /*key*/) const {
    require_drawable(logits, "Greedy");
    return largest_logit(logits);
  }
  double temperature() const { return 0; }
  bool filters() const { return true; }
  RecordedNumbers recorded() const { return {{"greedy", 1}}; }
};

static_assert(Sampler<Greedy>);

}  // namespace caprl
