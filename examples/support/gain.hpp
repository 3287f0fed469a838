#pragma once

#include <string>

#include "caprl/evaluate/bootstrap.hpp"
#include "support/evaluation.hpp"
#include "support/summary.hpp"

namespace examples {

/// `prefix`.accuracy.gain.`which` and the like: differences of two captioners on the same items, paired by item.
inline void add_gains(Summary& summary, const std::string& prefix, const std::string& which, const Evaluation& before,
                      const Evaluation& after) {
  summary.add(figure_name(prefix, "accuracy.gain", which),
              caprl::bootstrap_difference(after.accuracies(), before.accuracies()));
  if (before.scores.empty() || after.scores.empty()) return;
  summary.add(figure_name(prefix, "recall.gain", which),
              caprl::bootstrap_share_difference(after.recall_shares(), before.recall_shares()));
  summary.add(figure_name(prefix, "precision.gain", which),
              caprl::bootstrap_share_difference(after.precision_shares(), before.precision_shares()));
}

}  // namespace examples
