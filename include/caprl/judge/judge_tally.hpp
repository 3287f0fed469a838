#pragma once

#include <cmath>
#include <numeric>
#include <span>

#include "caprl/core/index.hpp"

namespace caprl {

/// What judges have done. The caller owns it, and may give the same to several judges.
struct JudgeTally {
  Index read = 0;       ///< tokens, shared ones once
  Index repeated = 0;   ///< tokens that they would have read without sharing
  Index answers = 0;    ///< whose probabilities were read off
  double abstain = 0;   ///< sum over those answers of the probability of abstaining
  double leftover = 0;  ///< sum of the probability of what is no letter: large where a judge does not fit its prompt

  /// Counts an answer, given the probabilities of its letters, the abstain option's last. Numbers that are none are
  /// left out: they would spoil every sum after them.
  void add_answer(std::span<const double> letters) {
    const double stated = std::accumulate(letters.begin(), letters.end(), 0.0);
    if (!std::isfinite(stated)) return;
    ++answers;
    abstain += letters.back();
    leftover += 1 - stated;
  }

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
