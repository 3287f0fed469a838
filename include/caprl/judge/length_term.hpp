#pragma once

#include <span>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/core/recorded_numbers.hpp"
#include "caprl/data/item.hpp"
#include "caprl/judge/per_caption.hpp"
#include "caprl/judge/reward_judge.hpp"

namespace caprl {

namespace detail {

template <class Term>
std::vector<std::vector<Reward>> score_by_length(const Term& term, std::span<const JudgeRequest> requests) {
  return score_each_caption(
      requests, [&](const CaptionItem&, const Caption& caption) { return Reward::of(term.value(caption.tokens)); });
}

}  // namespace detail

/// The length reward of CapRL++ (arXiv 2606.09393): 1 up to `full_tokens`, falling linearly to 0 at `zero_tokens`.
struct LengthTerm {
  Index full_tokens = 2048;  ///< of the policy's tokenizer, without special ones
  Index zero_tokens = 3072;

  double value(Index tokens) const {
    require(0 <= full_tokens && full_tokens < zero_tokens, "[LengthTerm] expected 0 <= full_tokens < zero_tokens");
    if (tokens <= full_tokens) return 1;
    if (tokens >= zero_tokens) return 0;
    return static_cast<double>(zero_tokens - tokens) / static_cast<double>(zero_tokens - full_tokens);
  }

  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) const {
    return detail::score_by_length(*this, requests);
  }
  std::vector<std::string> part_names() const { return {"length"}; }
  RecordedNumbers recorded() const { return {{"full_tokens", full_tokens}, {"zero_tokens", zero_tokens}}; }
};

/// A two-sided gate: 0 up to `lowest`, rising to 1 at `low`, 1 up to `high`, falling to 0 at `highest`.
struct LengthGate {
  Index lowest = 0;
  Index low = 16;
  Index high = 2048;
  Index highest = 3072;

  double value(Index tokens) const {
    require(0 <= lowest && lowest < low && low <= high && high < highest,
            "[LengthGate] expected 0 <= lowest < low <= high < highest");
    if (tokens >= low) return LengthTerm{.full_tokens = high, .zero_tokens = highest}.value(tokens);
    if (tokens <= lowest) return 0;
    return static_cast<double>(tokens - lowest) / static_cast<double>(low - lowest);
  }

  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) const {
    return detail::score_by_length(*this, requests);
  }
  std::vector<std::string> part_names() const { return {"length"}; }
  RecordedNumbers recorded() const { return {{"lowest", lowest}, {"low", low}, {"high", high}, {"highest", highest}}; }
};

static_assert(RewardJudge<LengthTerm> && RewardJudge<LengthGate>);

}  // namespace caprl
