#pragma once

#include <vector>

#include "caprl/advantage/advantage_estimator.hpp"
#include "caprl/advantage/dr_grpo.hpp"
#include "caprl/advantage/statistics.hpp"
#include "caprl/core/recorded_numbers.hpp"

namespace caprl {

/// REINFORCE++ (Hu et al., arXiv 2501.03262): normalisation over the whole batch instead of the group,
///     A_i = (r_i - mean over batch) / (std over batch + epsilon),
/// which needs no groups: a group of one rollout takes part. With `group_baseline` (the paper's REINFORCE++-baseline,
/// for several rollouts of a prompt) the group's mean is subtracted first. The standard deviation is the population's,
/// as in OpenRLHF.
///
/// The spread floor acts on what the baseline is taken from: without a group baseline, on the batch.
struct ReinforcePlusPlus {
  bool group_baseline = false;
  double spread_floor = 0.02;
  double epsilon = 1e-8;

  Advantages operator()(const RewardBatch& batch) const {
    require_valid(batch, "ReinforcePlusPlus");
    Advantages result = group_baseline ? DrGrpo{.spread_floor = spread_floor}(batch) : centred_on_batch(batch);
    scale_over_batch(result.values, epsilon);
    return result;
  }

  RecordedNumbers recorded() const {
    return {{"reinforce_plus_plus.group_baseline", group_baseline},
            {"reinforce_plus_plus.spread_floor", spread_floor},
            {"reinforce_plus_plus.epsilon", epsilon}};
  }

 private:
  Advantages centred_on_batch(const RewardBatch& batch) const {
    const bool spread = has_spread(batch.totals, spread_floor);
    Advantages result{.values = std::vector<double>(batch.totals.size(), 0.0),
                      .group_has_spread = std::vector<bool>(static_cast<std::size_t>(batch.groups()), spread)};
    if (spread) DrGrpo::advantages_of_group(batch.totals, result.values);
    return result;
  }
};

static_assert(AdvantageEstimator<ReinforcePlusPlus>);

}  // namespace caprl
