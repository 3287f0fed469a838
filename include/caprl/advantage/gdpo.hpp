#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "caprl/advantage/advantage_estimator.hpp"
#include "caprl/advantage/grpo.hpp"
#include "caprl/advantage/statistics.hpp"
#include "caprl/core/recorded_numbers.hpp"

namespace caprl {

/// Group reward-decoupled normalisation (arXiv 2601.05242): each term of the reward is normalised in its own group, as
/// in GRPO; then the weighted sum; then division by the standard deviation over the batch. So a term with little spread
/// (a length reward that is nearly always 1) is not drowned by one with much.
///
/// A term below the spread floor adds 0 in that group; a group has spread if any term with a weight other than 0 has
/// it. A batch without parts has one term, its total.
struct Gdpo {
  Deviation deviation = Deviation::sample;
  double spread_floor = 0.02;  ///< on each term's (population) standard deviation in a group
  double epsilon = 1e-6;
  bool normalise_batch = true;

  Advantages operator()(const RewardBatch& batch) const {
    require_valid(batch, "Gdpo");
    Advantages result{.values = std::vector<double>(batch.totals.size(), 0.0),
                      .group_has_spread = std::vector<bool>(static_cast<std::size_t>(batch.groups()), false)};
    if (batch.parts.empty()) add_term(batch, batch.totals, 1.0, result);
    for (std::size_t term = 0; term < batch.parts.size(); ++term) {
      add_term(batch, batch.parts[term], batch.weights[term], result);
    }
    if (normalise_batch) scale_over_batch(result.values, epsilon);
    return result;
  }

  RecordedNumbers recorded() const {
    return {{"gdpo.sample_deviation", deviation == Deviation::sample},
            {"gdpo.spread_floor", spread_floor},
            {"gdpo.epsilon", epsilon},
            {"gdpo.normalise_batch", normalise_batch}};
  }

 private:
  void add_term(const RewardBatch& batch, const std::vector<double>& rewards, double weight, Advantages& sum) const {
    if (weight == 0) return;
    const Grpo normalised{.deviation = deviation, .spread_floor = spread_floor, .epsilon = epsilon};
    const Advantages term =
        normalised({.group_begin = batch.group_begin, .totals = rewards, .parts = {}, .weights = {}});
    for (std::size_t i = 0; i < rewards.size(); ++i) sum.values[i] += weight * term.values[i];
    for (std::size_t g = 0; g < term.group_has_spread.size(); ++g) {
      sum.group_has_spread[g] = sum.group_has_spread[g] || term.group_has_spread[g];
    }
  }
};

static_assert(AdvantageEstimator<Gdpo>);

}  // namespace caprl
