#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/advantage/advantage_estimator.hpp"
#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/judge/published_faults.hpp"
#include "caprl/judge/reward_judge.hpp"
#include "caprl/policy/rollout.hpp"

namespace caprl {

/// What becomes of a rollout that was stopped by the length limit.
enum class TruncatedRule {
  zero_reward,  ///< it earns nothing, by no part either, but keeps what it lost; it stays in the loss and in the
                ///< baseline
  mask,         ///< it leaves the loss and the baseline
  score,        ///< it is scored like a finished one, as published
};

/// The published rule where its fault is switched on, else the default.
inline TruncatedRule truncated_rule(const PublishedFaults& faults) {
  return faults.score_truncated ? TruncatedRule::score : TruncatedRule::zero_reward;
}

/// The rollouts whose rewards count, with the way back to all that were made.
struct RewardSelection {
  RewardBatch batch;
  std::vector<Index> rollouts;  ///< for each rollout of `batch` its index among all
  std::vector<Index> groups;    ///< for each group of `batch` its index among all
  Index missing_groups = 0;     ///< groups left out because a reward is missing
};

namespace detail {

/// A rollout that may earn nothing keeps what it has lost: else it would pay to be cut off instead of to be wrong. What
/// a part earns is its value times its weight, so a positive part of negative weight is a loss.
inline void append_rollout(const Reward& reward, bool earns, RewardBatch& batch) {
  const auto kept = [&](double value, double weight) { return !earns && weight * value > 0 ? 0.0 : value; };
  batch.totals.push_back(kept(*reward.total, 1.0));
  for (std::size_t term = 0; term < batch.parts.size(); ++term) {
    batch.parts[term].push_back(kept(reward.parts[term], batch.weights[term]));
  }
}

inline void require_parts(const Reward& reward, std::size_t terms, std::size_t group) {
  if (reward.parts.size() == terms) return;
  throw Error("[select_rewards] expected " + std::to_string(terms) + " parts of a reward, got " +
                  std::to_string(reward.parts.size()),
              "group " + std::to_string(group), "A judge's rewards hold one part for each of its part_names().");
}

}  // namespace detail

/// For each group and each of its captions whether the length limit stopped it.
inline std::vector<std::vector<bool>> truncated_flags(std::span<const RolloutGroup> groups) {
  std::vector<std::vector<bool>> truncated;
  for (const RolloutGroup& group : groups) {
    auto& flags = truncated.emplace_back();
    for (const Rollout& rollout : group) flags.push_back(rollout.caption.truncated);
  }
  return truncated;
}

/// Makes the batch that an estimator sees. A group with a missing reward leaves it whole: a reward is never invented.
/// Truncated rollouts are treated by `rule`; a group that `mask` leaves empty goes too.
///
/// `rewards`: for each group one Reward for each caption; `truncated`: the same shape; `weights` [terms]: those of the
/// judge's parts, see `part_weights`. Throws Error if the shapes differ.
inline RewardSelection select_rewards(std::span<const std::vector<Reward>> rewards,
                                      std::span<const std::vector<bool>> truncated, std::span<const double> weights,
                                      TruncatedRule rule = TruncatedRule::zero_reward) {
  require(rewards.size() == truncated.size(), "[select_rewards] expected as many groups of rewards as of flags");
  RewardSelection selection;
  selection.batch.group_begin.push_back(0);
  selection.batch.parts.resize(weights.size());
  selection.batch.weights.assign(weights.begin(), weights.end());
  Index first = 0;  // of the group, among all rollouts
  for (std::size_t g = 0; g < rewards.size(); first += static_cast<Index>(rewards[g++].size())) {
    require(rewards[g].size() == truncated[g].size(), "[select_rewards] expected one flag for each caption of a group");
    if (std::ranges::any_of(rewards[g], [](const Reward& reward) { return !reward.total; })) {
      ++selection.missing_groups;
      continue;
    }
    for (std::size_t i = 0; i < rewards[g].size(); ++i) {
      const bool act = truncated[g][i] && rule != TruncatedRule::score;
      detail::require_parts(rewards[g][i], weights.size(), g);
      if (act && rule == TruncatedRule::mask) continue;
      detail::append_rollout(rewards[g][i], !act, selection.batch);
      selection.rollouts.push_back(first + static_cast<Index>(i));
    }
    const auto end = static_cast<Index>(selection.batch.totals.size());
    if (end == selection.batch.group_begin.back()) continue;
    selection.batch.group_begin.push_back(end);
    selection.groups.push_back(static_cast<Index>(g));
  }
  return selection;
}

}  // namespace caprl
