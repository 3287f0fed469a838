#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/advantage/reward_selection.hpp"
#include "caprl/judge/judge_groups.hpp"
#include "caprl/objective/aggregation.hpp"
#include "caprl/objective/policy_loss.hpp"
#include "caprl/policy/collect.hpp"

namespace caprl {

/// What one pass over a batch of rollouts says.
struct PolicyGradientStep {
  double loss = 0;
  double clipped_share = 0;       ///< of tokens whose gradient a clip cut off
  double recorded_kl = 0;         ///< KL(sampling policy || policy) in nats, mean over those tokens of its k3
  double largest_difference = 0;  ///< between a recorded and a recomputed log-probability
  Index tokens = 0;               ///< whose gradients were computed
};

/// The rollouts that the loss sees, group by group, with their advantages.
struct WeightedRollouts {
  std::vector<std::size_t> items;               ///< for each group its index in the collected batch
  std::vector<RolloutGroup> groups;             ///< copies, since a group may have lost truncated rollouts
  std::vector<std::vector<double>> advantages;  ///< [groups][rollouts]
};

/// Pairs the selected rollouts with their advantages. Throws Error unless there is one for each.
template <Policy P>
WeightedRollouts weigh(const Collected<P>& collected, const RewardSelection& selection, const Advantages& advantages) {
  require(advantages.values.size() == selection.rollouts.size(),
          "[weigh] expected the estimator to give each rollout an advantage");
  std::vector<std::pair<std::size_t, std::size_t>> places;  // of each rollout among all: group and number
  for (std::size_t g = 0; g < collected.groups.size(); ++g) {
    for (std::size_t r = 0; r < collected.groups[g].size(); ++r) places.emplace_back(g, r);
  }
  WeightedRollouts weighted;
  for (std::size_t g = 0; g < selection.groups.size(); ++g) {
    weighted.items.push_back(static_cast<std::size_t>(selection.groups[g]));
    weighted.groups.emplace_back();
    weighted.advantages.emplace_back();
    for (Index i = selection.batch.group_begin[g]; i < selection.batch.group_begin[g + 1]; ++i) {
      const auto [group, number] = places[static_cast<std::size_t>(selection.rollouts[static_cast<std::size_t>(i)])];
      weighted.groups.back().push_back(collected.groups[group][number]);
      weighted.advantages.back().push_back(advantages.values[static_cast<std::size_t>(i)]);
    }
  }
  return weighted;
}

namespace detail {

/// True if a group moves the policy: without an advantage and a KL term its gradient is zero.
inline bool has_gradient(const PolicyLoss& loss, std::span<const double> advantages) {
  return loss.needs_reference() || std::ranges::any_of(advantages, [](double value) { return value != 0; });
}

/// The rollouts of the groups that move the policy.
inline WeightedRollouts with_gradient(const WeightedRollouts& all, const PolicyLoss& loss) {
  WeightedRollouts kept;
  for (std::size_t g = 0; g < all.groups.size(); ++g) {
    if (!has_gradient(loss, all.advantages[g])) continue;
    kept.items.push_back(all.items[g]);
    kept.groups.push_back(all.groups[g]);
    kept.advantages.push_back(all.advantages[g]);
  }
  return kept;
}

/// Keeps the largest difference, and for good one that is no number.
inline void add_difference(double difference, PolicyGradientStep& step) {
  if (std::isnan(difference) || difference > step.largest_difference) step.largest_difference = difference;
}

/// The loss of a micro-batch's tokens; writes its derivative by each log-probability.
template <class T>
void add_token_losses(const PolicyLoss& loss, const Aggregation& aggregation, const BatchCounts& counts,
                      std::span<const RolloutGroup> groups, std::span<const std::vector<double>> advantages,
                      std::span<const T> log_probabilities, std::span<const T> reference, std::span<T> derivatives,
                      PolicyGradientStep& step) {
  require(log_probabilities.size() == tokens_in(groups),
          "[add_policy_gradients] expected a log-probability of each token from the policy");
  std::size_t at = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::size_t r = 0; r < groups[g].size(); ++r) {
      const Rollout& rollout = groups[g][r];
      const double weight = aggregation.token_weight(counts, static_cast<Index>(rollout.tokens.size()));
      require_recorded(rollout);
      for (const float recorded : rollout.log_probabilities) {
        const auto now = static_cast<double>(log_probabilities[at]);
        const TokenLoss token = loss({.log_probability = now,
                                      .recorded = static_cast<double>(recorded),
                                      .reference = reference.empty() ? 0.0 : static_cast<double>(reference[at]),
                                      .advantage = advantages[g][r],
                                      .weight = weight});
        step.loss += token.loss;
        step.clipped_share += token.clipped ? 1.0 : 0.0;
        step.recorded_kl += kl_k3(static_cast<double>(recorded), now).value;
        add_difference(std::abs(static_cast<double>(recorded) - now), step);
        derivatives[at++] = static_cast<T>(token.derivative);
        ++step.tokens;
      }
    }
  }
}

}  // namespace detail

/// Adds the gradients of the policy loss over all rollouts. Groups whose gradient is zero count in the denominators and
/// are not computed. `micro_tokens` bounds the caption tokens in memory at once;
/// since every token's weight comes from the whole batch, it changes nothing but rounding. `reference` is needed only
/// for a KL term in the loss; otherwise it may be null.
template <Policy P>
PolicyGradientStep add_policy_gradients(const P& policy, const P* reference, const Collected<P>& collected,
                                        const WeightedRollouts& all, const PolicyLoss& loss,
                                        const Aggregation& aggregation, double temperature, Index micro_tokens) {
  using T = typename P::value_type;
  require(reference != nullptr || !loss.needs_reference(),
          "[add_policy_gradients] expected a reference policy for the KL term of the loss");
  std::vector<Index> lengths;
  for (const RolloutGroup& group : all.groups) {
    for (const Rollout& rollout : group) lengths.push_back(static_cast<Index>(rollout.tokens.size()));
  }
  const BatchCounts counts = BatchCounts::of(lengths);
  const WeightedRollouts rollouts = detail::with_gradient(all, loss);
  PolicyGradientStep step;
  for (std::size_t begin = 0, end = 0; begin < rollouts.groups.size(); begin = end) {
    end = micro_batch_end(rollouts.groups, begin, micro_tokens);
    const auto groups = std::span(rollouts.groups).subspan(begin, end - begin);
    std::vector<typename P::Prompt> prompts;
    for (std::size_t g = begin; g < end; ++g) prompts.push_back(collected.prompts[rollouts.items[g]]);
    Var<T, typename P::device_type> frozen;
    if (loss.needs_reference()) frozen = reference->log_probabilities(prompts, groups, temperature);
    Tape tape;
    const auto log_probabilities = policy.log_probabilities(prompts, groups, temperature);
    Tensor<T, typename P::device_type> derivatives(log_probabilities.shape());
    detail::add_token_losses<T>(loss, aggregation, counts, groups,
                                std::span(rollouts.advantages).subspan(begin, end - begin),
                                log_probabilities.value().span(),
                                frozen.defined() ? frozen.value().span() : std::span<T>{}, derivatives.span(), step);
    log_probabilities.seed_gradient(derivatives);
    tape.backward();
  }
  if (step.tokens > 0) {
    step.clipped_share /= static_cast<double>(step.tokens);
    step.recorded_kl /= static_cast<double>(step.tokens);
  }
  return step;
}

}  // namespace caprl
