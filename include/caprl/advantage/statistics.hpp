#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "caprl/advantage/advantage_estimator.hpp"
#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// By what the sum of squared differences is divided: the count, or the count less one.
enum class Deviation { population, sample };

/// 0 for no values.
inline double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

/// The standard deviation; 0 for a sample of fewer than two values.
inline double deviation_of(std::span<const double> values, Deviation kind) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const auto count = static_cast<double>(values.size()) - (kind == Deviation::sample ? 1.0 : 0.0);
  return count > 0 ? std::sqrt(squares / count) : 0.0;
}

/// Whether values differ by enough to learn from: not all equal, and their population standard deviation at least
/// `floor`. Real-valued rewards of captions that say the same differ by noise, which must not become unit advantages.
inline bool has_spread(std::span<const double> values, double floor) {
  if (values.size() < 2) return false;
  const auto [least, most] = std::ranges::minmax_element(values);
  return *most > *least && deviation_of(values, Deviation::population) >= floor;
}

/// Throws Error unless the group offsets are ascending and cover the totals, all numbers are finite, and each term has
/// a weight and a value for each rollout.
inline void require_valid(const RewardBatch& batch, const std::string& estimator) {
  const auto rollouts = static_cast<Index>(batch.totals.size());
  const std::string operation = "[" + estimator + "] ";
  const bool covers = batch.group_begin.empty()
                          ? rollouts == 0
                          : batch.group_begin.front() == 0 && batch.group_begin.back() == rollouts &&
                                std::ranges::is_sorted(batch.group_begin);
  if (!covers) throw Error(operation + "expected group offsets from 0 to " + std::to_string(rollouts) + ", ascending");
  const auto require_finite = [&](const std::vector<double>& values, const std::string& name) {
    const auto at = std::ranges::find_if_not(values, [](double value) { return std::isfinite(value); });
    if (at == values.end()) return;
    throw Error(operation + "expected finite rewards, got " + std::to_string(*at) + " in " + name + " of rollout " +
                    std::to_string(at - values.begin()),
                "", "A reward that could not be computed is missing, not a number: its group leaves the batch.");
  };
  require_finite(batch.totals, "the total");
  if (batch.parts.empty()) return;
  if (batch.weights.size() != batch.parts.size()) {
    throw Error(operation + "expected a weight for each of " + std::to_string(batch.parts.size()) + " terms, got " +
                std::to_string(batch.weights.size()));
  }
  for (std::size_t term = 0; term < batch.parts.size(); ++term) {
    if (static_cast<Index>(batch.parts[term].size()) != rollouts) {
      throw Error(operation + "expected " + std::to_string(rollouts) + " rewards of term " + std::to_string(term) +
                  ", got " + std::to_string(batch.parts[term].size()));
    }
    require_finite(batch.parts[term], "term " + std::to_string(term));
  }
}

/// Divides by the population standard deviation over the batch plus `epsilon`. The mean is left, being 0 for advantages
/// that are centred in their groups, so that zeros stay exactly zero.
inline void scale_over_batch(std::vector<double>& advantages, double epsilon) {
  const double deviation = deviation_of(advantages, Deviation::population);
  if (deviation == 0) return;
  for (double& advantage : advantages) advantage /= deviation + epsilon;
}

/// The skeleton of a group-relative estimator: calls formula(rewards, advantages), both [G], on each group with spread;
/// the others get advantages 0.
template <class Formula>
Advantages for_groups_with_spread(const RewardBatch& batch, double floor, const Formula& formula) {
  Advantages result{.values = std::vector<double>(batch.totals.size(), 0.0), .group_has_spread = {}};
  for (Index g = 0; g < batch.groups(); ++g) {
    const std::span<const double> rewards = batch.group(g);
    result.group_has_spread.push_back(has_spread(rewards, floor));
    if (!result.group_has_spread.back()) continue;
    const auto begin = static_cast<std::size_t>(batch.group_begin[static_cast<std::size_t>(g)]);
    formula(rewards, std::span<double>(result.values).subspan(begin, rewards.size()));
  }
  return result;
}

}  // namespace caprl
