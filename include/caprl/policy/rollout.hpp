#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "caprl/core/error.hpp"
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

/// The tokens of all captions.
inline std::size_t tokens_in(std::span<const RolloutGroup> groups) {
  std::size_t tokens = 0;
  for (const RolloutGroup& group : groups) {
    for (const Rollout& rollout : group) tokens += rollout.tokens.size();
  }
  return tokens;
}

/// The end of a micro-batch: the groups [begin, end) have at most `maximum_tokens` caption tokens, or are one group.
inline std::size_t micro_batch_end(std::span<const RolloutGroup> groups, std::size_t begin, Index maximum_tokens) {
  std::size_t end = begin;
  for (Index tokens = 0; end < groups.size(); ++end) {
    tokens += static_cast<Index>(tokens_in(groups.subspan(end, 1)));
    if (end > begin && tokens > maximum_tokens) break;
  }
  return end;
}

/// Throws Error unless the rollout holds what its policy recorded: captions that somebody wrote do not.
inline void require_recorded(const Rollout& rollout) {
  require(rollout.log_probabilities.size() == rollout.tokens.size(),
          "[rollout] expected a recorded log-probability of each token", "",
          "captions that were not sampled are for supervised training");
}

/// A token as it is drawn, for those who watch.
struct DrawnToken {
  Index prompt = 0;
  Index sample = 0;
  Token token = 0;
};

struct GenerateSettings {
  Index samples = 8;           ///< captions for each prompt
  Index maximum_tokens = 128;  ///< of a caption, the end token included; a longer one is truncated
  std::uint64_t seed = 0;
  std::uint32_t step = 0;                ///< part of the random key: the same step draws the same
  std::vector<std::uint32_t> item_keys;  ///< [prompts]: part of the random key; empty: the prompt's index in the call
  /// On the CPU, a decoder whose weights take at most so many bytes has a second copy laid out for each call that
  /// writes two captions or more, which pays after a few steps. 0: never.
  Index packed_bytes = Index{1} << 30;
  /// Told of each token while captions are made: those of one step after the other, each step in the order of prompts
  /// and samples. `StreamingDecoder` makes text of them.
  std::function<void(const DrawnToken&)> on_token{};
};

}  // namespace caprl
