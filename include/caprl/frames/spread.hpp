#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// `chosen` of `count` places, evenly spread, the first and the last included; all of them where `chosen >= count`.
/// The places are those of numpy's `linspace(0, count - 1, chosen).round()`, ties to the even one.
inline std::vector<Index> spread_evenly(Index count, Index chosen) {
  chosen = std::min(chosen, count);
  std::vector<Index> places;
  if (chosen < 1) return places;
  places.reserve(static_cast<std::size_t>(chosen));
  const double step = chosen > 1 ? static_cast<double>(count - 1) / static_cast<double>(chosen - 1) : 0.0;
  for (Index i = 0; i < chosen; ++i) {
    places.push_back(std::min(static_cast<Index>(std::nearbyint(static_cast<double>(i) * step)), count - 1));
  }
  return places;
}

}  // namespace caprl
