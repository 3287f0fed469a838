#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "advantage/estimator_laws.hpp"
#include "caprl/advantage/dr_grpo.hpp"
#include "caprl/advantage/gdpo.hpp"
#include "caprl/advantage/grpo.hpp"
#include "caprl/advantage/reinforce_plus_plus.hpp"
#include "caprl/advantage/rloo.hpp"
#include "caprl/core/error.hpp"

using namespace caprl;
using test::Baseline;

namespace {

RewardBatch one_group(std::vector<double> totals) {
  const auto size = static_cast<Index>(totals.size());
  return {.group_begin = {0, size}, .totals = std::move(totals), .parts = {}, .weights = {}};
}

void check_values(const Advantages& advantages, const std::vector<double>& expected, double tolerance = 1e-12) {
  REQUIRE(advantages.values.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(advantages.values[i] - expected[i]) <= tolerance);
}

}  // namespace

TEST_CASE("every estimator keeps the laws") {
  test::check_estimator_laws(Rloo{});
  test::check_estimator_laws(Rloo{.whiten = true});
  test::check_estimator_laws(Grpo{});
  test::check_estimator_laws(Grpo{.deviation = Deviation::population});
  test::check_estimator_laws(DrGrpo{});
  test::check_estimator_laws(ReinforcePlusPlus{.group_baseline = true});
  test::check_estimator_laws(ReinforcePlusPlus{}, Baseline::batch);
  test::check_estimator_laws(Gdpo{});
  test::check_estimator_laws(Gdpo{.normalise_batch = false});
}

TEST_CASE("worked example: rewards 1, 0, 0.5, 0.5") {
  const RewardBatch batch = one_group({1, 0, 0.5, 0.5});
  // RLOO: 1 - (0 + 0.5 + 0.5) / 3 and 0 - (1 + 0.5 + 0.5) / 3.
  check_values(Rloo{}(batch), {2.0 / 3, -2.0 / 3, 0, 0});
  // GRPO: deviations +-0.5; sum of squares 0.5; sample std sqrt(0.5 / 3), population std sqrt(0.5 / 4).
  const double sample = 0.5 / (std::sqrt(0.5 / 3) + 1e-6), population = 0.5 / (std::sqrt(0.5 / 4) + 1e-6);
  check_values(Grpo{}(batch), {sample, -sample, 0, 0});
  check_values(Grpo{.deviation = Deviation::population}(batch), {population, -population, 0, 0});
  check_values(DrGrpo{}(batch), {0.5, -0.5, 0, 0});
  check_values(ReinforcePlusPlus{.epsilon = 0}(batch), {std::sqrt(2.0), -std::sqrt(2.0), 0, 0});
  // Whitened RLOO: population std of (2/3, -2/3, 0, 0) is (2/3) / sqrt(2).
  check_values(Rloo{.whiten = true, .epsilon = 0}(batch), {std::sqrt(2.0), -std::sqrt(2.0), 0, 0});
}

TEST_CASE("worked example: GDPO tells apart what a sum makes equal") {
  // Two terms with weight 1; the sums are (0, 1, 2) in both groups, the terms are not.
  const RewardBatch batch{.group_begin = {0, 3, 6},
                          .totals = {0, 1, 2, 0, 1, 2},
                          .parts = {{0, 1, 1, 0, 0, 1}, {0, 0, 1, 0, 1, 1}},
                          .weights = {1, 1}};
  check_values(
      {Gdpo{.epsilon = 0, .normalise_batch = false}(batch)},
      // Term (0, 1, 1): mean 2/3, sample std 1/sqrt(3), so (-2, 1, 1)/sqrt(3); term (0, 0, 1): (-1, -1, 2)/sqrt(3).
      {-std::sqrt(3.0), 0, std::sqrt(3.0), -std::sqrt(3.0), 0, std::sqrt(3.0)});
  // Over the batch: population std of (-sqrt3, 0, sqrt3, ...) is sqrt(2).
  check_values(Gdpo{.epsilon = 0}(batch), {-std::sqrt(1.5), 0, std::sqrt(1.5), -std::sqrt(1.5), 0, std::sqrt(1.5)});
  // A third term that is nearly constant is below the floor and adds nothing; one of weight 0 gives no spread.
  RewardBatch third = batch;
  third.parts.push_back({1, 1, 1.01, 1, 1, 1});
  third.weights.push_back(5);
  check_values(Gdpo{.epsilon = 0}(third), Gdpo{.epsilon = 0}(batch).values);
  third.weights = {0, 0, 5};
  CHECK(Gdpo{}(third).group_has_spread == std::vector<bool>{false, false});
  CHECK(Gdpo{.spread_floor = 0}(third).group_has_spread == std::vector<bool>{true, false});
  // Without parts the total is the one term.
  const RewardBatch plain = one_group({1, 0, 0.5, 0.5});
  check_values(Gdpo{.normalise_batch = false}(plain), Grpo{}(plain).values);
}

TEST_CASE("estimators agree with torch") {
  std::ifstream file(CAPRL_TEST_DATA "/objective/policy_gradient.json");
  const auto fixture = nlohmann::json::parse(file)["advantages"];
  RewardBatch batch{.group_begin = fixture["group_begin"],
                    .totals = fixture["totals"],
                    .parts = fixture["parts"],
                    .weights = fixture["weights"]};
  const auto expected = [&](const char* name) { return fixture["advantages"][name].get<std::vector<double>>(); };
  check_values(Rloo{}(batch), expected("rloo"));
  check_values(Rloo{.whiten = true}(batch), expected("rloo_whitened"));
  check_values(Grpo{}(batch), expected("grpo"));
  check_values(DrGrpo{}(batch), expected("dr_grpo"));
  check_values(ReinforcePlusPlus{}(batch), expected("reinforce_plus_plus"));
  check_values(ReinforcePlusPlus{.group_baseline = true}(batch), expected("reinforce_plus_plus_baseline"));
  check_values(Gdpo{}(batch), expected("gdpo"));
}

TEST_CASE("the spread floor is on the group's population standard deviation") {
  const RewardBatch below = one_group({0.5, 0.5 + 0.0399}), above = one_group({0.5, 0.5 + 0.0401});
  CHECK_FALSE(Rloo{}(below).group_has_spread[0]);
  CHECK(Rloo{}(below).values == std::vector<double>{0, 0});
  CHECK(Rloo{}(above).group_has_spread[0]);
  CHECK(Grpo{}(above).values[1] > 0.7);
  CHECK(Grpo{}(below).values[1] == 0);
  CHECK(Rloo{.spread_floor = 0}(below).group_has_spread[0]);
  CHECK_FALSE(Rloo{.spread_floor = 0}(one_group({0.1, 0.1, 0.1})).group_has_spread[0]);
  CHECK(Rloo{.whiten = true, .epsilon = 0}(below).values == std::vector<double>{0, 0});  // nothing is divided by 0
}

TEST_CASE("a group of one rollout learns only from the batch") {
  const RewardBatch batch{.group_begin = {0, 1, 2, 3}, .totals = {1, 0, 0.5}, .parts = {}, .weights = {}};
  CHECK(Rloo{}(batch).values == std::vector<double>{0, 0, 0});
  CHECK(Grpo{}(batch).values == std::vector<double>{0, 0, 0});
  CHECK(DrGrpo{}(batch).group_has_spread == std::vector<bool>{false, false, false});
  CHECK(Gdpo{}(batch).values == std::vector<double>{0, 0, 0});
  const Advantages global = ReinforcePlusPlus{.epsilon = 0}(batch);
  check_values(global, {std::sqrt(1.5), -std::sqrt(1.5), 0});
  CHECK(global.group_has_spread == std::vector<bool>{true, true, true});
}

TEST_CASE("a batch that is not whole is an error") {
  const auto message = [](const RewardBatch& batch) {
    try {
      Gdpo{}(batch);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  RewardBatch batch = test::random_rewards({2, 2}, 1);
  batch.group_begin = {0, 3, 2, 4};
  CHECK(message(batch).find("[Gdpo] expected group offsets from 0 to 4, ascending") == 0);
  batch.group_begin = {0, 3};
  CHECK(message(batch).find("group offsets") != std::string::npos);
  batch.group_begin = {0, 4};
  batch.weights.pop_back();
  CHECK(message(batch).find("expected a weight for each of 2 terms, got 1") != std::string::npos);
  batch.weights.push_back(1);
  batch.parts[1].pop_back();
  CHECK(message(batch).find("expected 4 rewards of term 1, got 3") != std::string::npos);
  batch.parts[1].push_back(std::numeric_limits<double>::infinity());
  CHECK(message(batch).find("inf in term 1 of rollout 3") != std::string::npos);
  batch.totals[2] = std::numeric_limits<double>::quiet_NaN();
  CHECK(message(batch).find("nan in the total of rollout 2") != std::string::npos);
}
