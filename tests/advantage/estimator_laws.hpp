#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "caprl/advantage/advantage_estimator.hpp"
#include "caprl/core/random.hpp"

namespace caprl::test {

/// Whose rewards an estimator's baseline is taken from.
enum class Baseline { group, batch };

/// Rewards with two terms, the total their sum with weights 1 and 0.2.
inline RewardBatch random_rewards(const std::vector<Index>& group_sizes, std::uint64_t seed) {
  RandomStream stream({.seed = seed});
  RewardBatch batch{.group_begin = {0}, .totals = {}, .parts = {{}, {}}, .weights = {1.0, 0.2}};
  for (const Index size : group_sizes) {
    for (Index i = 0; i < size; ++i) {
      batch.parts[0].push_back(stream.uniform());
      batch.parts[1].push_back(stream.uniform(0, 3));
      batch.totals.push_back(batch.parts[0].back() + 0.2 * batch.parts[1].back());
    }
    batch.group_begin.push_back(static_cast<Index>(batch.totals.size()));
  }
  return batch;
}

/// The range of rollouts of a group, or of all of them.
inline std::pair<std::size_t, std::size_t> rollouts_of(const RewardBatch& batch, Baseline baseline, std::size_t group) {
  if (baseline == Baseline::batch) return {0, batch.totals.size()};
  return {static_cast<std::size_t>(batch.group_begin[group]), static_cast<std::size_t>(batch.group_begin[group + 1])};
}

template <class Change>
RewardBatch changed(RewardBatch batch, std::pair<std::size_t, std::size_t> range, const Change& change) {
  for (std::size_t i = range.first; i < range.second; ++i) {
    change(batch.totals[i]);
    for (auto& part : batch.parts) change(part[i]);
  }
  return batch;
}

inline void check_close(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-9).scale(1));
}

/// The laws of `AdvantageEstimator`.
template <AdvantageEstimator E>
void check_estimator_laws(const E& estimator, Baseline baseline = Baseline::group) {
  const RewardBatch batch = random_rewards({6, 1, 8, 2}, 12);
  const Advantages plain = estimator(batch);
  REQUIRE(plain.values.size() == batch.totals.size());
  REQUIRE(plain.group_has_spread.size() == 4);
  CHECK(plain.group_has_spread[0]);
  CHECK(std::ranges::any_of(plain.values, [](double value) { return value > 0.01; }));

  // Equal rewards: exactly 0. 0.1 is not exact in binary, so its mean need not be 0.1.
  const auto range = rollouts_of(batch, baseline, 0);
  const Advantages equal = estimator(changed(batch, range, [](double& reward) { reward = 0.1; }));
  CHECK_FALSE(equal.group_has_spread[0]);
  for (std::size_t i = range.first; i < range.second; ++i) CHECK(equal.values[i] == 0.0);

  // Nearly equal rewards, below the default floor: exactly 0 too.
  RewardBatch near = batch;
  for (std::size_t i = range.first; i < range.second; ++i) {
    near.totals[i] = near.parts[0][i] = near.parts[1][i] = 0.5 + 0.01 * static_cast<double>(i % 2);
  }
  const Advantages floored = estimator(near);
  CHECK_FALSE(floored.group_has_spread[0]);
  for (std::size_t i = range.first; i < range.second; ++i) CHECK(floored.values[i] == 0.0);

  const Advantages shifted = estimator(changed(batch, range, [](double& reward) { reward += 7; }));
  check_close(shifted.values, plain.values);

  RewardBatch permuted = batch;
  Advantages expected = plain;
  const auto rotate = [](std::vector<double>& values) {
    std::rotate(values.begin(), values.begin() + 2, values.begin() + 6);
  };
  rotate(permuted.totals);
  for (auto& part : permuted.parts) rotate(part);
  rotate(expected.values);
  check_close(estimator(permuted).values, expected.values);

  CHECK(estimator(RewardBatch{}).values.empty());
  CHECK(estimator(RewardBatch{.group_begin = {0}, .totals = {}, .parts = {}, .weights = {}}).values.empty());
}

}  // namespace caprl::test
