#pragma once

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// What a wrong answer costs so that a guess among `options` real options earns 0 in expectation: 1 / (options - 1).
inline double guess_penalty(Index options) {
  require(options >= 2, "[guess_penalty] expected at least 2 options");
  return 1.0 / static_cast<double>(options - 1);
}

/// The score of one question in one order: s = P(gold) - penalty * P(other options). Abstaining, and whatever the judge
/// puts on tokens that are no letter, earns 0. The published recipe has penalty 0.
inline double prompt_score(double gold_probability, double other_options_probability, double penalty) {
  return gold_probability - penalty * other_options_probability;
}

}  // namespace caprl
