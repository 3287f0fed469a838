#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "caprl/advantage/reward_selection.hpp"

using namespace caprl;

namespace {

Reward two_parts(double first, double second) {
  return {.total = first + 0.2 * second, .parts = {first, second}, .missing_reason = {}};
}

const std::vector<double> weights{1.0, 0.2};

}  // namespace

TEST_CASE("a group with a missing reward leaves whole") {
  const std::vector<std::vector<Reward>> rewards{{two_parts(1, 0), two_parts(0, 1)},
                                                 {two_parts(1, 1), Reward::missing("timed out"), Reward::missing("x")},
                                                 {two_parts(0.5, 1)}};
  const std::vector<std::vector<bool>> truncated{{false, false}, {false, true, false}, {false}};
  const RewardSelection selection = select_rewards(rewards, truncated, weights);
  CHECK(selection.batch.group_begin == std::vector<Index>{0, 2, 3});
  CHECK(selection.batch.totals == std::vector<double>{1, 0.2, 0.7});
  CHECK(selection.batch.parts == std::vector<std::vector<double>>{{1, 0, 0.5}, {0, 1, 1}});
  CHECK(selection.batch.weights == weights);
  CHECK(selection.rollouts == std::vector<Index>{0, 1, 5});
  CHECK(selection.groups == std::vector<Index>{0, 2});
  CHECK(selection.missing_groups == 1);
}

TEST_CASE("the rule for truncated rollouts acts before the estimator") {
  const std::vector<std::vector<Reward>> rewards{{two_parts(1, 1), two_parts(0.5, 1), two_parts(0, 0)},
                                                 {two_parts(1, 1)}};
  const std::vector<std::vector<bool>> truncated{{true, false, false}, {true}};
  const auto zero = select_rewards(rewards, truncated, weights);
  CHECK(zero.batch.totals == std::vector<double>{0, 0.7, 0, 0});
  CHECK(zero.batch.parts == std::vector<std::vector<double>>{{0, 0.5, 0, 0}, {0, 1, 0, 0}});
  const std::vector<std::vector<Reward>> lossy{{two_parts(-0.5, 1), two_parts(0.5, -1)}};
  const auto kept = select_rewards(lossy, std::vector<std::vector<bool>>{{true, true}}, weights);
  CHECK(kept.batch.parts == std::vector<std::vector<double>>{{-0.5, 0}, {0, -1}});  // to be cut off does not pay
  CHECK(kept.batch.totals == std::vector<double>{-0.5 + 0.2, 0});
  const auto masked = select_rewards(rewards, truncated, weights, TruncatedRule::mask);
  CHECK(masked.batch.totals == std::vector<double>{0.7, 0});
  CHECK(masked.batch.group_begin == std::vector<Index>{0, 2});
  CHECK(masked.rollouts == std::vector<Index>{1, 2});
  CHECK(masked.groups == std::vector<Index>{0});
  const auto scored = select_rewards(rewards, truncated, weights, TruncatedRule::score);
  CHECK(scored.batch.totals == std::vector<double>{1.2, 0.7, 0, 1.2});
}

TEST_CASE("a truncated rollout does not escape a penalty, whatever the sign of its weight") {
  const std::vector<std::vector<Reward>> rewards{{{.total = -0.1, .parts = {0.5, 2, -1}, .missing_reason = {}}}};
  const std::vector<double> penalising{1.0, -0.3, -0.2};
  const auto selection = select_rewards(rewards, std::vector<std::vector<bool>>{{true}}, penalising);
  CHECK(selection.batch.parts == std::vector<std::vector<double>>{{0}, {2}, {0}});
  CHECK(selection.batch.totals == std::vector<double>{-0.1});
}

TEST_CASE("flags say which captions the limit stopped") {
  std::vector<RolloutGroup> groups{RolloutGroup(2), RolloutGroup(1)};
  groups[0][1].caption.truncated = true;
  CHECK(truncated_flags(groups) == std::vector<std::vector<bool>>{{false, true}, {false}});
}

TEST_CASE("shapes that differ are errors") {
  const std::vector<std::vector<Reward>> rewards{{two_parts(1, 1)}};
  CHECK_THROWS_WITH(select_rewards(rewards, {}, weights),
                    "[select_rewards] expected as many groups of rewards as of flags");
  CHECK_THROWS_WITH(select_rewards(rewards, std::vector<std::vector<bool>>{{false, true}}, weights),
                    "[select_rewards] expected one flag for each caption of a group");
  CHECK_THROWS_WITH_AS(select_rewards(rewards, std::vector<std::vector<bool>>{{false}}, std::vector<double>{1.0}),
                       doctest::Contains("expected 1 parts of a reward, got 2"), Error);
}
