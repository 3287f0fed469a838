#pragma once

#include "caprl/core/index.hpp"

namespace caprl {

/// What judges have done. The caller owns it, and may give the same to several judges.
struct JudgeTally {
  Index read = 0;       ///< tokens, shared ones once
  Index repeated = 0;   ///< tokens that they would have read without sharing
  Index answers = 0;    ///< whose probabilities were read off
  double abstain = 0;   ///< sum over those answers of the probability of abstaining
  double leftover = 0;  ///< sum of the probability of what is no letter: large where a judge does not fit its prompt

  JudgeTally& operator+=(const JudgeTally& more) {
    read += more.read;
    repeated += more.repeated;
    answers += more.answers;
    abstain += more.abstain;
    leftover += more.leftover;
    return *this;
  }
};

}  // namespace caprl
