#pragma once

#include <concepts>
#include <span>
#include <vector>

#include "caprl/core/index.hpp"

namespace caprl {

/// The rewards of a batch of rollouts, group after group. Groups may differ in size.
struct RewardBatch {
  std::vector<Index> group_begin;          ///< groups + 1 offsets into the rollouts; starts with 0
  std::vector<double> totals;              ///< [rollouts]
  std::vector<std::vector<double>> parts;  ///< [terms][rollouts], each unweighted; may be empty
  std::vector<double> weights;             ///< [terms]

  Index groups() const { return group_begin.empty() ? 0 : static_cast<Index>(group_begin.size()) - 1; }
  std::span<const double> group(Index g) const {
    const auto begin = static_cast<std::size_t>(group_begin[static_cast<std::size_t>(g)]);
    const auto end = static_cast<std::size_t>(group_begin[static_cast<std::size_t>(g) + 1]);
    return std::span<const double>(totals).subspan(begin, end - begin);
  }
};

struct Advantages {
  std::vector<double> values;          ///< [rollouts]
  std::vector<bool> group_has_spread;  ///< [groups]; a group without spread has advantages 0
};

/// An AdvantageEstimator turns the rewards of groups into advantages.
///
/// Required of an estimator `e`:
///   e(batch)   one advantage for each rollout, and which groups had spread
///
/// It may have e.recorded(), its settings for a run to record: see core/recorded_numbers.hpp.
///
/// Laws (advantage/estimator_laws.hpp in the tests checks them on every estimator; where an estimator's baseline is the
/// whole batch's, read "batch" for "group"):
///   - rewards that are all equal within a group give advantages of exactly 0;
///   - adding a constant to all rewards of a group changes nothing beyond rounding;
///   - permuting the rollouts of a group permutes their advantages.
template <class E>
concept AdvantageEstimator = requires(const E& estimator, const RewardBatch& batch) {
  { estimator(batch) } -> std::same_as<Advantages>;
};

}  // namespace caprl
