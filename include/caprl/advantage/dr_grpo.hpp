#pragma once

#include <span>

#include "caprl/advantage/advantage_estimator.hpp"
#include "caprl/advantage/statistics.hpp"
#include "caprl/core/recorded_numbers.hpp"

namespace caprl {

/// "GRPO done right" (Liu et al., arXiv 2503.20783, section 3.2): A_i = r_i - mean, without the division by the
/// standard deviation that weighs very easy and very hard items more. Its other half is Aggregation::constant in the
/// loss.
struct DrGrpo {
  double spread_floor = 0.02;  ///< groups with a smaller standard deviation get advantage 0

  Advantages operator()(const RewardBatch& batch) const {
    require_valid(batch, "DrGrpo");
    return for_groups_with_spread(batch, spread_floor, advantages_of_group);
  }

  RecordedNumbers recorded() const { return {{"dr_grpo.spread_floor", spread_floor}}; }

  /// `rewards`, `advantages` [G].
  static void advantages_of_group(std::span<const double> rewards, std::span<double> advantages) {
    const double mean = mean_of(rewards);
    for (std::size_t i = 0; i < rewards.size(); ++i) advantages[i] = rewards[i] - mean;
  }
};

static_assert(AdvantageEstimator<DrGrpo>);

}  // namespace caprl
