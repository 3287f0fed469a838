#pragma once

namespace caprl {

/// A token's share of the loss and its derivative by the token's log-probability.
struct TokenLoss {
  double loss = 0;
  double derivative = 0;
  bool clipped = false;  ///< the policy term's gradient is cut off by a clip
};

}  // namespace caprl
