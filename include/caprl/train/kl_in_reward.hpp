#pragma once

#include <span>
#include <vector>

#include "caprl/judge/reward_judge.hpp"
#include "caprl/objective/kl.hpp"
#include "caprl/train/policy_gradient.hpp"

namespace caprl {

/// Takes coefficient * (the sum of k1 over its tokens) off the total of each rollout's reward, and adds the negative
/// sum to the parts, whose weight is the coefficient: a KL penalty to a frozen reference. Missing rewards stay missing.
/// `micro_tokens` bounds the caption tokens in memory at once.
template <Policy P>
void subtract_kl(const P& reference, const Collected<P>& collected, double coefficient, double temperature,
                 Index micro_tokens, std::vector<std::vector<Reward>>& rewards) {
  const NoGradient silent;
  const std::span<const RolloutGroup> all(collected.groups);
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    end = detail::micro_batch_end(all, begin, micro_tokens);
    const auto groups = all.subspan(begin, end - begin);
    const auto of_reference =
        reference.log_probabilities(std::span(collected.prompts).subspan(begin, groups.size()), groups, temperature);
    std::span<const typename P::value_type> left = of_reference.value().span();
    require(left.size() == tokens_in(groups),
            "[subtract_kl] expected a log-probability of each token from the reference");
    for (std::size_t g = 0; g < groups.size(); ++g) {
      for (std::size_t r = 0; r < groups[g].size(); ++r) {
        const Rollout& rollout = groups[g][r];
        require_recorded(rollout);
        const double kl =
            kl_of_rollout<typename P::value_type>(rollout.log_probabilities, left.first(rollout.tokens.size()));
        left = left.subspan(rollout.tokens.size());
        Reward& reward = rewards[begin + g][r];
        if (!reward.total) continue;
        *reward.total -= coefficient * kl;
        reward.parts.push_back(-kl);
      }
    }
  }
}

}  // namespace caprl
