#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include "caprl/core/error.hpp"
#include "caprl/core/host_device.hpp"

namespace caprl {

/// A value and its derivative by the log-probability of the policy.
struct KlTerm {
  double value = 0;
  double derivative = 0;
};

/// Estimators of KL(policy || reference) from one sampled token (Schulman, "Approximating KL divergence", 2020), with
/// d = log_probability - reference:
///     k1 = d, k2 = d^2 / 2, k3 = exp(-d) - 1 + d.
/// k1 belongs in the reward: as a loss its expected gradient is 0. k2 and k3 belong in the loss; on-policy, the
/// expected gradient of k2 is that of the KL divergence.
CAPRL_HD inline KlTerm kl_k1(double log_probability, double reference) { return {log_probability - reference, 1}; }

CAPRL_HD inline KlTerm kl_k2(double log_probability, double reference) {
  const double difference = log_probability - reference;
  return {0.5 * difference * difference, difference};
}

CAPRL_HD inline KlTerm kl_k3(double log_probability, double reference) {
  const double inverse = std::expm1(reference - log_probability);  // exp(-d) - 1
  return {inverse + (log_probability - reference), -inverse};
}

/// Which estimator the loss holds.
enum class KlInLoss { none, k2, k3 };

CAPRL_HD inline KlTerm kl_term(KlInLoss kind, double log_probability, double reference) {
  switch (kind) {
    case KlInLoss::k2:
      return kl_k2(log_probability, reference);
    case KlInLoss::k3:
      return kl_k3(log_probability, reference);
    case KlInLoss::none:
      break;
  }
  return {};
}

/// The sum over a rollout's tokens of k1: what a penalty in the reward is made of. Both spans [T].
template <class T>
double kl_of_rollout(std::span<const float> log_probabilities, std::span<const T> reference) {
  require(log_probabilities.size() == reference.size(),
          "[kl_of_rollout] expected as many reference log-probabilities as tokens");
  double sum = 0;
  for (std::size_t t = 0; t < reference.size(); ++t) {
    sum += kl_k1(static_cast<double>(log_probabilities[t]), static_cast<double>(reference[t])).value;
  }
  return sum;
}

}  // namespace caprl
