#pragma once

#include <cstdint>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/data/item.hpp"

namespace caprl {

/// A sampled caption.
struct Rollout {
  std::vector<Token> tokens;             ///< as drawn, the token that ended it included
  std::vector<float> log_probabilities;  ///< of each, under softmax(z / temperature) of the sampling policy, unfiltered
  Caption caption;                       ///< what judges see
};

/// All captions that were sampled for one prompt.
using RolloutGroup = std::vector<Rollout>;

struct GenerateSettings {
  Index samples = 8;           ///< captions for each prompt
  Index maximum_tokens = 128;  ///< of a caption, the end token included; a longer one is truncated
  std::uint64_t seed = 0;
  std::uint32_t step = 0;                ///< part of the random key: the same step draws the same
  std::vector<std::uint32_t> item_keys;  ///< [prompts]: part of the random key; empty: the prompt's index in the call
};

}  // namespace caprl
