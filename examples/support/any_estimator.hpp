#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "caprl/advantage/dr_grpo.hpp"
#include "caprl/advantage/grpo.hpp"
#include "caprl/advantage/rloo.hpp"
#include "caprl/core/recorded_numbers.hpp"

namespace examples {

/// Any advantage estimator, chosen when the program runs.
class AnyEstimator {
 public:
  template <caprl::AdvantageEstimator Estimator>
  explicit AnyEstimator(Estimator estimator)
      : recorded_(caprl::recorded_numbers(estimator)), estimate_(std::move(estimator)) {}

  caprl::Advantages operator()(const caprl::RewardBatch& batch) const { return estimate_(batch); }
  caprl::RecordedNumbers recorded() const { return recorded_; }

 private:
  caprl::RecordedNumbers recorded_;
  std::function<caprl::Advantages(const caprl::RewardBatch&)> estimate_;
};

inline std::vector<std::string> estimator_names() { return {"rloo", "grpo", "dr_grpo"}; }

/// The estimator of a name in `estimator_names()`.
inline AnyEstimator choose_estimator(const std::string& name, double spread_floor) {
  if (name == "grpo") return AnyEstimator(caprl::Grpo{.spread_floor = spread_floor});
  if (name == "dr_grpo") return AnyEstimator(caprl::DrGrpo{.spread_floor = spread_floor});
  caprl::require(name == "rloo", "[choose_estimator] expected rloo, grpo or dr_grpo, got " + name);
  return AnyEstimator(caprl::Rloo{.spread_floor = spread_floor});
}

}  // namespace examples
