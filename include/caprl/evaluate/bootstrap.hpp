#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/random.hpp"
#include "caprl/core/threads.hpp"

namespace caprl {

/// A figure with its bootstrap interval.
struct Interval {
  double value = 0;  ///< of all items
  double low = 0;
  double high = 0;
};

struct BootstrapSettings {
  std::uint64_t seed = 0;
  Index resamples = 10000;
  double level = 0.95;  ///< share of resamples inside the interval
};

namespace detail {

/// Calls use(item) for `items` items drawn with replacement: four from each counter of Philox.
template <class Use>
void for_each_drawn_item(std::uint64_t seed, Index resample, Index items, const Use& use) {
  for (Index drawn = 0; drawn < items; drawn += 4) {
    const PhiloxCounter words = random_words({.seed = seed,
                                              .purpose = Purpose::bootstrap,
                                              .item = static_cast<std::uint32_t>(resample),
                                              .position = static_cast<std::uint32_t>(drawn / 4)});
    for (Index i = 0; i < std::min<Index>(4, items - drawn); ++i) {
      use(static_cast<std::size_t>(std::uint64_t{words.word[i]} * static_cast<std::uint64_t>(items) >> 32));
    }
  }
}

/// The quantile with linear interpolation between order statistics ("type 7", numpy's default). Sorted input.
inline double sorted_quantile(std::span<const double> sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(place));
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// The percentile interval of statistic(draw), where draw(use) calls use(item) for each item of a sample.
template <class Statistic>
Interval bootstrap(const char* operation, Index items, const BootstrapSettings& settings, const Statistic& statistic) {
  const std::string name = std::string("[") + operation + "] ";
  if (items < 1 || items > UINT32_MAX) throw Error(name + "expected at least one item");
  if (settings.resamples < 1 || !(settings.level > 0 && settings.level < 1)) {
    throw Error(name + "expected at least one resample and a level between 0 and 1");
  }
  const double value = statistic([&](const auto& use) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(items); ++i) use(i);
  });
  if (!std::isfinite(value)) throw Error(name + "expected finite values, got one that is not");
  std::vector<double> values(static_cast<std::size_t>(settings.resamples));
  parallel_for(settings.resamples, 16, [&](Index resample) {
    values[static_cast<std::size_t>(resample)] =
        statistic([&](const auto& use) { for_each_drawn_item(settings.seed, resample, items, use); });
  });
  std::sort(values.begin(), values.end());
  return {value, sorted_quantile(values, (1 - settings.level) / 2), sorted_quantile(values, (1 + settings.level) / 2)};
}

inline void require_equal_sizes(const char* operation, std::size_t first, std::size_t second) {
  if (first != second) {
    throw Error(std::string("[") + operation + "] expected as many values of both, got " + std::to_string(first) +
                " and " + std::to_string(second));
  }
}

}  // namespace detail

/// The mean over items with its percentile bootstrap interval (Efron and Tibshirani, "An Introduction to the
/// Bootstrap", 1993, chapter 13). Items are resampled, so what belongs to one item, its questions, stays together: pass
/// one value for each item. The same seed and number of items draw the same samples.
inline Interval bootstrap_mean(std::span<const double> item_values, const BootstrapSettings& settings = {}) {
  const auto count = static_cast<double>(item_values.size());
  return detail::bootstrap("bootstrap_mean", static_cast<Index>(item_values.size()), settings, [&](const auto& draw) {
    double sum = 0;
    draw([&](std::size_t item) { sum += item_values[item]; });
    return sum / count;
  });
}

/// The mean of after - before, paired by item.
inline Interval bootstrap_difference(std::span<const double> after, std::span<const double> before,
                                     const BootstrapSettings& settings = {}) {
  detail::require_equal_sizes("bootstrap_difference", after.size(), before.size());
  std::vector<double> differences(after.size());
  for (std::size_t i = 0; i < after.size(); ++i) differences[i] = after[i] - before[i];
  return bootstrap_mean(differences, settings);
}

/// Counts of one item for a share that is pooled over items: clauses that are true, of clauses stated.
struct ItemShare {
  double part = 0;
  double whole = 0;
};

namespace detail {

/// The pooled share; 0 where nothing was counted.
template <class Draw>
double pooled_share(std::span<const ItemShare> items, const Draw& draw) {
  double part = 0, whole = 0;
  draw([&](std::size_t item) {
    part += items[item].part;
    whole += items[item].whole;
  });
  return whole > 0 ? part / whole : 0;
}

}  // namespace detail

/// The share sum(part) / sum(whole) over items, items resampled.
inline Interval bootstrap_share(std::span<const ItemShare> items, const BootstrapSettings& settings = {}) {
  return detail::bootstrap("bootstrap_share", static_cast<Index>(items.size()), settings,
                           [&](const auto& draw) { return detail::pooled_share(items, draw); });
}

/// The difference of two pooled shares, paired by item.
inline Interval bootstrap_share_difference(std::span<const ItemShare> after, std::span<const ItemShare> before,
                                           const BootstrapSettings& settings = {}) {
  detail::require_equal_sizes("bootstrap_share_difference", after.size(), before.size());
  return detail::bootstrap(
      "bootstrap_share_difference", static_cast<Index>(after.size()), settings,
      [&](const auto& draw) { return detail::pooled_share(after, draw) - detail::pooled_share(before, draw); });
}

}  // namespace caprl
