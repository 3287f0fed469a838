#pragma once

#include <span>
#include <vector>

#include "caprl/policy/policy.hpp"

namespace caprl {

/// The Kullback-Leibler divergence of a policy from a reference, in nats a token, estimated on captions that the policy
/// sampled at `temperature`: the mean of log p - log q over their tokens.
template <Policy P>
double policy_kl(const P& reference, std::span<const typename P::Prompt> prompts, std::span<const RolloutGroup> groups,
                 double temperature) {
  const NoGradient silent;
  const auto of_reference = reference.log_probabilities(prompts, groups, temperature);
  require(static_cast<std::size_t>(of_reference.value().elements()) == tokens_in(groups),
          "[policy_kl] expected a log-probability of each token from the reference");
  double sum = 0;
  Index at = 0;
  for (const RolloutGroup& group : groups) {
    for (const Rollout& rollout : group) {
      require_recorded(rollout);
      for (const float recorded : rollout.log_probabilities) {
        sum += static_cast<double>(recorded) - static_cast<double>(of_reference.value().data()[at++]);
      }
    }
  }
  return at == 0 ? 0 : sum / static_cast<double>(at);
}

}  // namespace caprl
