#pragma once

#include <cstdint>

#include "caprl/core/host_device.hpp"
#include "caprl/core/random.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// Dropout (Srivastava et al., 2014, JMLR 15): each number is 0 with a probability, and the others are divided by the
/// rest. Which ones is drawn by key, so that nothing is kept for the backward pass.
namespace caprl {

/// What is dropped of a matrix: number (row, column) where word column % 4 of the Philox counter (key's step and item,
/// first_row + row, column / 4) is below share * 2^32.
struct DropoutDraws {
  RandomKey key;  ///< its sample and position are the number's place
  Index first_row = 0;
  double share = 0;  ///< in [0, 1)
};

namespace kernels {

/// y = x mask / (1 - share), added to y if `accumulate`.
template <class T>
struct Dropout {
  Rows<const T> x;
  RandomKey key;
  Index first_row;
  std::uint32_t bound;  ///< words below it drop
  Accumulator<T> kept_scale;
  bool accumulate;
  Rows<T> y;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    team.template each<T>((x.columns + 3) / 4, [&](auto at) {
      for (Index lane = 0; lane < lanes_of(at); ++lane) draw_four(row, at.offset + lane);
    });
  }

 private:
  template <class Position>
  static CAPRL_HD constexpr Index lanes_of(const Position&) {
    if constexpr (requires { Position::Value::lanes; }) {
      return Position::Value::lanes;
    } else {
      return 1;
    }
  }

  CAPRL_HD void draw_four(Index row, Index four) const {
    RandomKey place = key;
    place.sample = static_cast<std::uint32_t>(first_row + row);
    place.position = static_cast<std::uint32_t>(four);
    const PhiloxCounter words = random_words(place);
    for (Index i = 0; i < 4 && 4 * four + i < x.columns; ++i) {
      const Index column = 4 * four + i;
      const auto value = words.word[i] < bound ? Accumulator<T>{0} : Accumulator<T>(x(row, column)) * kept_scale;
      y(row, column) = static_cast<T>(accumulate ? Accumulator<T>(y(row, column)) + value : value);
    }
  }
};

}  // namespace kernels

/// y = x with numbers dropped, or y plus that if `accumulate`: of a gradient, its backward pass.
template <class Device, class T>
void dropout(Device device, ConstRows<T> x, const DropoutDraws& draws, bool accumulate, Rows<T> y) {
  detail::require_same_shape("dropout", x, y);
  const auto bound = static_cast<std::uint32_t>(draws.share * 4294967296.0);
  const auto kept_scale = static_cast<Accumulator<T>>(1 / (1 - draws.share));
  launch_rows(device, y.rows, kernels::Dropout<T>{x, draws.key, draws.first_row, bound, kept_scale, accumulate, y},
              8 * y.columns);
}

}  // namespace caprl
