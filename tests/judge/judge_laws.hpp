#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "caprl/judge/reward_judge.hpp"

namespace caprl::test {

/// The same numbers within `tolerance`, or both missing.
inline bool same_reward(const Reward& a, const Reward& b, double tolerance = 0) {
  const auto near = [tolerance](double x, double y) { return x == y || std::abs(x - y) <= tolerance; };
  return a.total.has_value() == b.total.has_value() && (!a.total || near(*a.total, *b.total)) &&
         std::ranges::equal(a.parts, b.parts, near) && a.missing_reason.empty() == b.missing_reason.empty();
}

inline void check_reward(const Reward& reward, const std::vector<double>& weights) {
  if (!reward.total) {
    CHECK_FALSE(reward.missing_reason.empty());
    CHECK(reward.parts.empty());
    return;
  }
  CHECK(reward.missing_reason.empty());
  REQUIRE(reward.parts.size() == weights.size());
  double sum = 0;
  for (std::size_t part = 0; part < weights.size(); ++part) sum += weights[part] * reward.parts[part];
  CHECK(*reward.total == doctest::Approx(sum));
}

/// The laws of `RewardJudge`, on items and captions of the caller's: every caption is tried on every item. `rounding`
/// is what a judge that computes its batches as a whole may differ by between batches; equal captions of one request
/// must be equal all the same.
template <RewardJudge Judge>
void check_judge_laws(Judge& judge, const std::vector<CaptionItem>& items, const std::vector<Caption>& captions,
                      double rounding = 0) {
  const std::vector<double> weights = part_weights(static_cast<const Judge&>(judge));
  CHECK(judge.part_names().size() == weights.size());
  std::vector<JudgeRequest> requests;
  for (const CaptionItem& item : items) requests.push_back({&item, captions});
  const auto together = judge.score(requests);
  REQUIRE(together.size() == items.size());

  std::vector<Caption> reversed(captions.rbegin(), captions.rend());
  reversed.push_back(captions.front());  // equal captions get equal rewards
  for (std::size_t i = 0; i < items.size(); ++i) {
    REQUIRE(together[i].size() == captions.size());
    const std::vector<JudgeRequest> alone{{&items[i], reversed}};
    const auto rewards = judge.score(alone);
    REQUIRE(rewards.size() == 1);
    REQUIRE(rewards[0].size() == reversed.size());
    for (std::size_t c = 0; c < captions.size(); ++c) {
      check_reward(together[i][c], weights);
      CHECK(same_reward(together[i][c], rewards[0][captions.size() - 1 - c], rounding));
    }
    CHECK(same_reward(rewards[0].back(), rewards[0][captions.size() - 1]));
  }
  CHECK(judge.score({}).empty());
  const std::vector<JudgeRequest> no_captions{{&items[0], {}}};
  const auto nothing = judge.score(no_captions);
  CHECK(nothing.size() == 1);
  CHECK(nothing.at(0).empty());
}

}  // namespace caprl::test
