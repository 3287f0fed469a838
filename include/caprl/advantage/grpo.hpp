#pragma once

#include <span>

#include "caprl/advantage/advantage_estimator.hpp"
#include "caprl/advantage/statistics.hpp"
#include "caprl/core/recorded_numbers.hpp"

namespace caprl {

/// Group relative policy optimisation (Shao et al., arXiv 2402.03300, section 4.1.2): A_i = (r_i - mean) / (std +
/// epsilon).
///
/// The paper does not say which standard deviation. The default is the sample's (G - 1), which is what torch.std
/// computes in verl and TRL; epsilon is verl's.
struct Grpo {
  Deviation deviation = Deviation::sample;
  double spread_floor = 0.02;  ///< groups with a smaller (population) standard deviation get advantage 0
  double epsilon = 1e-6;

  Advantages operator()(const RewardBatch& batch) const {
    require_valid(batch, "Grpo");
    return for_groups_with_spread(batch, spread_floor, [this](std::span<const double> rewards, std::span<double> out) {
      normalise(rewards, out);
    });
  }

  RecordedNumbers recorded() const {
    return {{"grpo.sample_deviation", deviation == Deviation::sample},
            {"grpo.spread_floor", spread_floor},
            {"grpo.epsilon", epsilon}};
  }

  /// `rewards`, `advantages` [G], G >= 2.
  void normalise(std::span<const double> rewards, std::span<double> advantages) const {
    const double mean = mean_of(rewards);
    const double scale = deviation_of(rewards, deviation) + epsilon;
    for (std::size_t i = 0; i < rewards.size(); ++i) advantages[i] = (rewards[i] - mean) / scale;
  }
};

static_assert(AdvantageEstimator<Grpo>);

}  // namespace caprl
