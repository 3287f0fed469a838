#pragma once

#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
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
/// A judge with several parts also has j.part_weights(), one for each: the total is their weighted sum. Any may have
/// j.recorded(), its settings for a run to record: see core/recorded_numbers.hpp.
///
/// Laws (judge/judge_laws.hpp in the tests checks them):
///   - equal captions of one request get equal rewards, and their order does not matter;
///   - a request's rewards do not depend on the other requests of the call;
///   - a caption that could not be judged is `Reward::missing(reason)`, never a number;
///   - a total is the sum of the parts, each times its weight.
template <class J>
concept RewardJudge = requires(J& judge, const J& settled, std::span<const JudgeRequest> requests) {
  { judge.score(requests) } -> std::same_as<std::vector<std::vector<Reward>>>;
  { settled.part_names() } -> std::same_as<std::vector<std::string>>;
};

/// The rewards that `answer(requests)` gives. Where it fails, each request is answered alone, and the captions of those
/// that fail then are missing, for the reason that it gave: what is wrong with one item costs no other its reward.
template <class Answer>
std::vector<std::vector<Reward>> rewards_or_missing(std::span<const JudgeRequest> requests, const Answer& answer) {
  try {
    return answer(requests);
  } catch (const Error& error) {
    if (requests.size() == 1) {
      const Reward missing = Reward::missing(requests.front().item->where + ": " + error.problem());
      return {std::vector<Reward>(requests.front().captions.size(), missing)};
    }
  }
  std::vector<std::vector<Reward>> rewards;
  for (std::size_t r = 0; r < requests.size(); ++r) {
    rewards.push_back(std::move(rewards_or_missing(requests.subspan(r, 1), answer).front()));
  }
  return rewards;
}

/// The weights of a judge's parts in its total: its own `part_weights()`, or 1 for a judge with one part. Throws Error
/// for a judge with several parts and no weights.
template <RewardJudge Judge>
std::vector<double> part_weights(const Judge& judge) {
  if constexpr (requires {
                  { judge.part_weights() } -> std::same_as<std::vector<double>>;
                }) {
    return judge.part_weights();
  } else {
    const auto parts = judge.part_names().size();
    if (parts != 1) {
      throw Error("[part_weights] expected one part, got " + std::to_string(parts), "",
                  "Give the judge a function std::vector<double> part_weights() const, one weight for each part.");
    }
    return {1.0};
  }
}

}  // namespace caprl
