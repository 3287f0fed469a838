#pragma once

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/tensor/tensor.hpp"

namespace caprl {

/// Which angles rotary position embedding uses. Feature pair i of a head turns by position[axis(i)] * theta^(-2i / D).
struct RotarySettings {
  Index head_size = 0;  ///< D, even
  double theta = 10000;
  std::vector<Index> axis_of_pair;  ///< [D / 2]: the position axis that each pair follows; empty: the first
};

/// Cosine and sine of the angle of each row's pairs, computed once and used by all layers. [rows, D / 2]
template <class Device = Cpu>
struct RotaryTable {
  Tensor<float, Device> cosine;
  Tensor<float, Device> sine;
};

/// The angles for `positions` [axes, rows], axis after axis. Throws Error where an axis that a pair follows is missing.
inline RotaryTable<Cpu> make_rotary_table(const RotarySettings& settings, std::span<const Index> positions,
                                          Index rows) {
  const Index pairs = settings.head_size / 2;
  if (settings.head_size % 2 != 0 || pairs == 0) {
    throw Error("[make_rotary_table] expected an even head size, got " + std::to_string(settings.head_size));
  }
  const auto axis_of = [&](Index pair) {
    return settings.axis_of_pair.empty() ? Index{0} : settings.axis_of_pair.at(static_cast<std::size_t>(pair));
  };
  RotaryTable<Cpu> table{Tensor<float>({rows, pairs}), Tensor<float>({rows, pairs})};
  for (Index pair = 0; pair < pairs; ++pair) {
    const double frequency =
        std::pow(settings.theta, -2.0 * static_cast<double>(pair) / static_cast<double>(settings.head_size));
    const auto first = static_cast<std::size_t>(axis_of(pair) * rows);
    if (first + static_cast<std::size_t>(rows) > positions.size()) {
      throw Error("[make_rotary_table] expected positions for axis " + std::to_string(axis_of(pair)) + " of " +
                  std::to_string(rows) + " rows, got " + std::to_string(positions.size()) + " positions");
    }
    for (Index row = 0; row < rows; ++row) {
      const double angle = frequency * static_cast<double>(positions[first + static_cast<std::size_t>(row)]);
      table.cosine.rows()(row, pair) = static_cast<float>(std::cos(angle));
      table.sine.rows()(row, pair) = static_cast<float>(std::sin(angle));
    }
  }
  return table;
}

}  // namespace caprl
