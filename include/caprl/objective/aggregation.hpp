#pragma once

#include <span>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// How many rollouts and tokens an optimizer step has in all, whatever micro-batches or devices they are spread over.
/// Rollouts that leave the loss (missing groups, masked truncated ones) are not counted; those with advantage 0 are.
struct BatchCounts {
  Index sequences = 0;
  Index tokens = 0;

  /// `lengths`: the tokens of each rollout that the loss sees.
  static BatchCounts of(std::span<const Index> lengths) {
    BatchCounts counts{.sequences = static_cast<Index>(lengths.size()), .tokens = 0};
    for (const Index length : lengths) counts.tokens += length;
    return counts;
  }
};

/// How the losses of tokens become one number: the weight of each token. As weights come from the whole batch's counts,
/// the split into micro-batches changes nothing.
struct Aggregation {
  enum class Kind {
    token_mean,                   ///< 1 / tokens of the batch (DAPO, arXiv 2503.14476)
    sequence_mean_of_token_mean,  ///< 1 / (sequences * own length) (GRPO; what CapRL++ trains with)
    constant,                     ///< 1 / (sequences * constant_tokens) (Dr. GRPO, arXiv 2503.20783)
  };
  Kind kind = Kind::sequence_mean_of_token_mean;
  double constant_tokens = 0;  ///< for `constant`: usually the largest length a response may have

  /// The weight of every token of a rollout of `sequence_tokens` tokens. Throws Error if a count is not positive.
  double token_weight(const BatchCounts& batch, Index sequence_tokens) const {
    switch (kind) {
      case Kind::token_mean:
        return 1.0 / positive(static_cast<double>(batch.tokens), "tokens in the batch");
      case Kind::sequence_mean_of_token_mean:
        return 1.0 / (positive(static_cast<double>(batch.sequences), "sequences in the batch") *
                      positive(static_cast<double>(sequence_tokens), "tokens in the sequence"));
      case Kind::constant:
        break;
    }
    return 1.0 / (positive(static_cast<double>(batch.sequences), "sequences in the batch") *
                  positive(constant_tokens, "constant_tokens"));
  }

 private:
  static double positive(double count, const char* what) {
    if (count > 0) return count;
    throw Error("[Aggregation] expected " + std::string(what) + " above 0, got " + std::to_string(count));
  }
};

}  // namespace caprl
