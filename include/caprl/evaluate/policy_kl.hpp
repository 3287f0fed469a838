#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "caprl/objective/kl.hpp"
#include "caprl/policy/policy.hpp"

namespace caprl {

/// For each rollout the sum over its tokens of k1 = log p - log q: p is what the policy that sampled it at
/// `temperature` recorded, q the reference. `prompts` [groups]; the result is [groups][rollouts], in nats.
/// `micro_tokens` bounds the caption tokens in memory at once. Throws Error if the sizes differ or nothing was
/// recorded.
template <Policy P>
std::vector<std::vector<double>> kl_of_rollouts(const P& reference, std::span<const typename P::Prompt> prompts,
                                                std::span<const RolloutGroup> groups, double temperature,
                                                Index micro_tokens) {
  using T = typename P::value_type;
  require(prompts.size() == groups.size(), "[kl_of_rollouts] expected a prompt for each group of captions");
  const NoGradient silent;
  std::vector<std::vector<double>> sums;
  for (std::size_t begin = 0, end = 0; begin < groups.size(); begin = end) {
    end = micro_batch_end(groups, begin, micro_tokens);
    const auto some = groups.subspan(begin, end - begin);
    const auto of_reference = reference.log_probabilities(prompts.subspan(begin, some.size()), some, temperature);
    std::span<const T> left = of_reference.value().span();
    require(left.size() == tokens_in(some),
            "[kl_of_rollouts] expected a log-probability of each token from the reference");
    for (const RolloutGroup& group : some) {
      std::vector<double>& of_group = sums.emplace_back();
      for (const Rollout& rollout : group) {
        require_recorded(rollout);
        of_group.push_back(kl_of_rollout<T>(rollout.log_probabilities, left.first(rollout.tokens.size())));
        left = left.subspan(rollout.tokens.size());
      }
    }
  }
  return sums;
}

/// The Kullback-Leibler divergence of a policy from a reference, in nats a token, estimated on captions that the policy
/// sampled at `temperature`: the mean of k1 over their tokens. See `kl_of_rollouts`.
template <Policy P>
double policy_kl(const P& reference, std::span<const typename P::Prompt> prompts, std::span<const RolloutGroup> groups,
                 double temperature, Index micro_tokens = 2048) {
  double sum = 0;
  for (const std::vector<double>& group : kl_of_rollouts(reference, prompts, groups, temperature, micro_tokens)) {
    for (const double kl : group) sum += kl;
  }
  const std::size_t tokens = tokens_in(groups);
  return tokens == 0 ? 0 : sum / static_cast<double>(tokens);
}

}  // namespace caprl
