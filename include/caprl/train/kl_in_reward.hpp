#pragma once

#include <span>
#include <vector>

#include "caprl/evaluate/policy_kl.hpp"
#include "caprl/judge/reward_judge.hpp"
#include "caprl/policy/collect.hpp"

namespace caprl {

/// Takes coefficient * (the sum of k1 over its tokens) off the total of each rollout's reward, and adds the negative
/// sum to the parts, whose weight is the coefficient: a KL penalty to a frozen reference. Missing rewards stay missing.
/// `micro_tokens` bounds the caption tokens in memory at once. Throws Error unless there is a reward for each rollout.
template <Policy P>
void subtract_kl(const P& reference, const Collected<P>& collected, double coefficient, double temperature,
                 Index micro_tokens, std::vector<std::vector<Reward>>& rewards) {
  const auto sums = kl_of_rollouts(reference, std::span<const typename P::Prompt>(collected.prompts),
                                   std::span<const RolloutGroup>(collected.groups), temperature, micro_tokens);
  require(rewards.size() == sums.size(), "[subtract_kl] expected rewards for each group");
  for (std::size_t g = 0; g < sums.size(); ++g) {
    require(rewards[g].size() == sums[g].size(), "[subtract_kl] expected a reward for each rollout");
    for (std::size_t r = 0; r < sums[g].size(); ++r) {
      Reward& reward = rewards[g][r];
      if (!reward.total) continue;
      *reward.total -= coefficient * sums[g][r];
      reward.parts.push_back(-sums[g][r]);
    }
  }
}

}  // namespace caprl
