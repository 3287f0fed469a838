#pragma once

#include <cstring>

#include "caprl/core/index.hpp"
#include "caprl/tensor/kernels/pack.hpp"

/// Products of tiles that lie in the first caches: what attention is made of. Serial.
namespace caprl::detail {

/// The left factor of a tile product: element (r, k) is data[r * row_step + k * depth_step], so that a tile and its
/// transpose are read alike.
template <class T>
struct TileFactor {
  const T* data;
  Index row_step;
  Index depth_step;
};

/// Elements to which the columns of a tile are padded: a pack.
template <class T>
constexpr Index padded_columns(Index columns) {
  return (columns + Pack<T>::lanes - 1) / Pack<T>::lanes * Pack<T>::lanes;
}

/// C [R, P packs] = or += A [R, depth] B [depth, P packs], C in registers.
template <int R, int P, class T>
[[gnu::always_inline]] inline void product_in_registers(Index depth, TileFactor<T> a, const T* b, Index b_pitch, T* c,
                                                        Index c_pitch, bool accumulate) {
  using Register = typename Pack<T>::Register;
  constexpr int registers = P * Pack<T>::parts;
  constexpr int lanes = Pack<T>::part_lanes;
  Register sums[R][registers];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < registers; ++p) {
      if (accumulate) {
        std::memcpy(&sums[r][p], c + r * c_pitch + p * lanes, sizeof(Register));
      } else {
        sums[r][p] = Register{};
      }
    }
  }
  for (Index k = 0; k < depth; ++k) {
    Register right[registers];
#pragma GCC unroll 8
    for (int p = 0; p < registers; ++p) std::memcpy(&right[p], b + k * b_pitch + p * lanes, sizeof(Register));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const T left = a.data[r * a.row_step + k * a.depth_step];
#pragma GCC unroll 8
      for (int p = 0; p < registers; ++p) sums[r][p] += left * right[p];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < registers; ++p) std::memcpy(c + r * c_pitch + p * lanes, &sums[r][p], sizeof(Register));
  }
}

/// Rows of C held in registers at once: with P packs a row, as many as leave room for a row of B.
inline constexpr int product_rows = register_bytes == 64 ? 12 : register_bytes == 32 ? 6 : 3;
inline constexpr int product_packs = register_bytes == 64 ? 2 : 1;

template <int P, class T>
[[gnu::noinline]] void product_panel(Index rows, Index depth, TileFactor<T> a, const T* b, Index b_pitch, T* c,
                                     Index c_pitch, bool accumulate) {
  Index r = 0;
  const auto step = [&]<int R>() {
    product_in_registers<R, P>(depth, {a.data + r * a.row_step, a.row_step, a.depth_step}, b, b_pitch, c + r * c_pitch,
                               c_pitch, accumulate);
    r += R;
  };
  while (rows - r >= product_rows) step.template operator()<product_rows>();
  if constexpr (product_rows > 8) {
    if (rows - r >= 8) step.template operator()<8>();
  }
  if constexpr (product_rows > 4) {
    if (rows - r >= 4) step.template operator()<4>();
  }
  if (rows - r >= 2) step.template operator()<2>();
  if (rows - r >= 1) step.template operator()<1>();
}

/// C [rows, columns] = A [rows, depth] B [depth, columns], or += if `accumulate`. Columns must be a multiple of a
/// pack's lanes. Each element is summed in the order of depth, whatever the shape.
template <class T>
void tile_product(Index rows, Index columns, Index depth, TileFactor<T> a, const T* b, Index b_pitch, T* c,
                  Index c_pitch, bool accumulate) {
  constexpr Index panel = product_packs * Pack<T>::lanes;
  Index column = 0;
  for (; column + panel <= columns; column += panel) {
    product_panel<product_packs>(rows, depth, a, b + column, b_pitch, c + column, c_pitch, accumulate);
  }
  if (column < columns) product_panel<1>(rows, depth, a, b + column, b_pitch, c + column, c_pitch, accumulate);
}

}  // namespace caprl::detail
