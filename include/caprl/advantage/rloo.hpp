#pragma once

#include <span>

#include "caprl/advantage/advantage_estimator.hpp"
#include "caprl/advantage/statistics.hpp"
#include "caprl/core/recorded_numbers.hpp"

namespace caprl {

/// REINFORCE with a leave-one-out baseline (Kool et al. 2019; Ahmadian et al., arXiv 2402.14740, equation 6): each
/// reward less the mean of the others of its group,
///     A_i = r_i - sum_{j != i} r_j / (G - 1) = (r_i - mean) G / (G - 1).
/// The estimator that CapRL++ trains with, not whitened.
struct Rloo {
  bool whiten = false;         ///< divide by the standard deviation over the batch
  double spread_floor = 0.02;  ///< groups with a smaller standard deviation get advantage 0
  double epsilon = 1e-8;       ///< added to the batch's standard deviation

  Advantages operator()(const RewardBatch& batch) const {
    require_valid(batch, "Rloo");
    Advantages result = for_groups_with_spread(batch, spread_floor, advantages_of_group);
    if (whiten) scale_over_batch(result.values, epsilon);
    return result;
  }

  RecordedNumbers recorded() const {
    return {{"rloo.whiten", whiten}, {"rloo.spread_floor", spread_floor}, {"rloo.epsilon", epsilon}};
  }

  /// `rewards`, `advantages` [G], G >= 2.
  static void advantages_of_group(std::span<const double> rewards, std::span<double> advantages) {
    const double mean = mean_of(rewards);
    const auto count = static_cast<double>(rewards.size());
    for (std::size_t i = 0; i < rewards.size(); ++i) advantages[i] = (rewards[i] - mean) * count / (count - 1);
  }
};

static_assert(AdvantageEstimator<Rloo>);

}  // namespace caprl
