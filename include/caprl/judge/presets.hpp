#pragma once

#include <utility>

#include "caprl/judge/length_term.hpp"
#include "caprl/judge/published_faults.hpp"
#include "caprl/judge/reward_judge.hpp"
#include "caprl/judge/stamp_term.hpp"
#include "caprl/judge/weighted_sum.hpp"

namespace caprl {

/// The reward of CapRL++'s image stage (arXiv 2606.09393): accuracy + 0.2 length.
template <class Accuracy>
auto published_image_reward(Accuracy accuracy) {
  return WeightedSum{Weighted{std::move(accuracy), 1.0}, Weighted{LengthTerm{}, 0.2}};
}

/// The video stage's reward with timestamps that must be distinct and lie within the clip, unless `faults` says that
/// they need not.
template <class Accuracy>
auto video_reward(Accuracy accuracy, const PublishedFaults& faults = {}) {
  return WeightedSum{Weighted{std::move(accuracy), 1.0}, Weighted{StampTerm{.published = faults.repeated_stamps}, 0.2},
                     Weighted{LengthTerm{}, 0.2}};
}

/// The reward of CapRL++'s video stage: accuracy + 0.2 timestamp format + 0.2 length.
template <class Accuracy>
auto published_video_reward(Accuracy accuracy) {
  return video_reward(std::move(accuracy), published());
}

}  // namespace caprl
