#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "caprl/core/index.hpp"
#include "caprl/tensor/kernels/pack.hpp"
#include "caprl/tensor/rows.hpp"

/// Transposition in registers: element by element, writing a matrix's columns waits for the cache at every step.
namespace caprl::detail {

/// Swaps, in each pair of rows, the odd blocks of `Step` lanes of the upper row with the even blocks of the lower one:
/// a step of the transposition of 2 x 2 blocks of blocks.
template <int Step, class Register, int... Lane>
void exchange_blocks(Register& upper, Register& lower, std::integer_sequence<int, Lane...>) {
  constexpr int lanes = static_cast<int>(sizeof...(Lane));
  const Register high = __builtin_shufflevector(upper, lower, ((Lane & Step) == 0 ? Lane : Lane - Step + lanes)...);
  lower = __builtin_shufflevector(upper, lower, ((Lane & Step) == 0 ? Lane + Step : Lane + lanes)...);
  upper = high;
}

/// A register's lanes of rows of `from`, turned: element (r, c) goes to to[c * to_pitch + r].
template <class T>
void turn_block(const T* from, Index from_pitch, T* to, Index to_pitch) {
  using Register = typename Pack<T>::Register;
  constexpr int lanes = Pack<T>::part_lanes;
  Register rows[lanes];
#pragma GCC unroll 16
  for (int r = 0; r < lanes; ++r) std::memcpy(&rows[r], from + r * from_pitch, sizeof(Register));
  const auto step = [&]<int Step>(std::integral_constant<int, Step>) {
#pragma GCC unroll 16
    for (int r = 0; r < lanes; ++r) {
      if ((r & Step) == 0) exchange_blocks<Step>(rows[r], rows[r + Step], std::make_integer_sequence<int, lanes>());
    }
  };
  step(std::integral_constant<int, 1>());
  if constexpr (lanes > 2) step(std::integral_constant<int, 2>());
  if constexpr (lanes > 4) step(std::integral_constant<int, 4>());
  if constexpr (lanes > 8) step(std::integral_constant<int, 8>());
#pragma GCC unroll 16
  for (int c = 0; c < lanes; ++c) std::memcpy(to + c * to_pitch, &rows[c], sizeof(Register));
}

/// from [R, C], turned: element (r, c) goes to to[c * to_pitch + r].
template <class T>
void turn_rows(Rows<const T> from, T* to, Index to_pitch) {
  constexpr Index lanes = Pack<T>::part_lanes;
  for (Index r = 0; r < from.rows; r += lanes) {
    for (Index c = 0; c < from.columns; c += lanes) {
      if (r + lanes <= from.rows && c + lanes <= from.columns) {
        turn_block(from.row(r) + c, from.pitch, to + c * to_pitch + r, to_pitch);
        continue;
      }
      for (Index i = r; i < std::min(r + lanes, from.rows); ++i) {
        for (Index j = c; j < std::min(c + lanes, from.columns); ++j) to[j * to_pitch + i] = from(i, j);
      }
    }
  }
}

}  // namespace caprl::detail
