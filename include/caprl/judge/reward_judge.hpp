#pragma once

#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/data/item.hpp"

namespace caprl {

/// One caption's reward: a number with its parts, or the reason why there is none. A failure is never a number.
struct Reward {
  std::optional<double> total;  ///< empty: missing
  std::vector<double> parts;    ///< one for each of the judge's `part_names()`; empty if missing
  std::string missing_reason;   ///< why there is no number; empty if there is one

  static Reward of(double value) { return {.total = value, .parts = {value}, .missing_reason = {}}; }
  static Reward missing(std::string reason) {
    return {.total = std::nullopt, .parts = {}, .missing_reason = std::move(reason)};
  }
};

/// What a judge is asked: the captions that were sampled for one item.
struct JudgeRequest {
  const CaptionItem* item = nullptr;
  std::span<const Caption> captions;
};

/// A RewardJudge scores captions against the questions of their item.
///
/// Required of a judge `j`:
///   j.score(requests)   for each request a vector with one Reward for each of its captions, in order
///   j.part_names()      the names of the parts that a reward's `parts` hold, for logs and estimators
///
/// Laws (`judge_laws.hpp` in the tests checks them):
///   - equal captions of one request get equal rewards, and their order does not matter;
///   - a request's rewards do not depend on the other requests of the call;
///   - a caption that could not be judged is `Reward::missing(reason)`, never a number.
template <class J>
concept RewardJudge = requires(J& judge, const J& settled, std::span<const JudgeRequest> requests) {
  { judge.score(requests) } -> std::same_as<std::vector<std::vector<Reward>>>;
  { settled.part_names() } -> std::same_as<std::vector<std::string>>;
};

}  // namespace caprl
