#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/objective/clipped_surrogate.hpp"
#include "caprl/objective/kl.hpp"
#include "caprl/objective/token_loss.hpp"

namespace caprl {

/// What the loss sees of a token of a rollout.
struct TokenRecord {
  double log_probability = 0;  ///< of the policy that is trained
  double recorded = 0;         ///< by the sampler
  double reference = 0;        ///< of the frozen reference; read only if `PolicyLoss::needs_reference`
  double advantage = 0;        ///< of its rollout
  double weight = 0;           ///< from `Aggregation::token_weight`
};

/// The loss of a token: weight * (clipped surrogate + kl_coefficient * KL to the reference). A plain function of
/// log-probabilities, so that it can run in any loop, inside a kernel too.
struct PolicyLoss {
  ClippedSurrogate surrogate{};
  KlInLoss kl = KlInLoss::none;
  double kl_coefficient = 0;

  CAPRL_HD bool needs_reference() const { return kl != KlInLoss::none && kl_coefficient != 0; }

  CAPRL_HD TokenLoss operator()(const TokenRecord& token) const {
    TokenLoss result = surrogate(token.log_probability, token.recorded, token.advantage);
    if (needs_reference()) {
      const KlTerm term = kl_term(kl, token.log_probability, token.reference);
      result.loss += kl_coefficient * term.value;
      result.derivative += kl_coefficient * term.derivative;
    }
    result.loss *= token.weight;
    result.derivative *= token.weight;
    return result;
  }
};

}  // namespace caprl
