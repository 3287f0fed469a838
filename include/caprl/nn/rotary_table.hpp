#pragma once

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/tensor/tensor.hpp"

namespace caprl {

/// Which angles rotary position embedding uses: feature pair i of a head turns by frequency(i) * position[axis(i)].
struct RotarySettings {
  std::vector<double> frequencies;    ///< [D / 2]: radians from one position to the next
  double magnitude = 1;               ///< the factor of cosine and sine
  std::vector<Index> axis_of_pair{};  ///< [D / 2]: the position axis that each pair follows; empty: the first
};

/// Cosine and sine of the angle of each row's pairs, computed once and used by all layers. [rows, D / 2]
template <class Device = Cpu>
struct RotaryTable {
  Tensor<float, Device> cosine;
  Tensor<float, Device> sine;
};

namespace detail {

/// Throws Error unless every pair follows one of the axes of `positions` [axes, rows].
inline void require_axes(const RotarySettings& settings, std::size_t positions, Index rows) {
  const std::vector<Index>& axes = settings.axis_of_pair;
  if (!axes.empty() && axes.size() != settings.frequencies.size()) {
    throw Error("[make_rotary_table] expected an axis for each of " + std::to_string(settings.frequencies.size()) +
                " pairs, got " + std::to_string(axes.size()));
  }
  const auto require_axis = [&](Index axis) {
    if (axis < 0 || static_cast<std::size_t>((axis + 1) * rows) > positions) {
      throw Error("[make_rotary_table] expected positions for axis " + std::to_string(axis) + " of " +
                  std::to_string(rows) + " rows, got " + std::to_string(positions) + " positions");
    }
  };
  if (axes.empty()) require_axis(0);
  for (const Index axis : axes) require_axis(axis);
}

}  // namespace detail

/// The angles for `positions` [axes, rows], axis after axis. Throws Error where an axis that a pair follows is missing.
inline RotaryTable<Cpu> make_rotary_table(const RotarySettings& settings, std::span<const Index> positions,
                                          Index rows) {
  detail::require_axes(settings, positions.size(), rows);
  const auto pairs = static_cast<Index>(settings.frequencies.size());
  RotaryTable<Cpu> table{Tensor<float>({rows, pairs}), Tensor<float>({rows, pairs})};
  for (Index pair = 0; pair < pairs; ++pair) {
    const auto p = static_cast<std::size_t>(pair);
    const double frequency = settings.frequencies[p];
    const Index axis = settings.axis_of_pair.empty() ? 0 : settings.axis_of_pair[p];
    for (Index row = 0; row < rows; ++row) {
      const double angle = frequency * static_cast<double>(positions[static_cast<std::size_t>(axis * rows + row)]);
      table.cosine.rows()(row, pair) = static_cast<float>(settings.magnitude * std::cos(angle));
      table.sine.rows()(row, pair) = static_cast<float>(settings.magnitude * std::sin(angle));
    }
  }
  return table;
}

}  // namespace caprl
