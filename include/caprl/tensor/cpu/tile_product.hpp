#pragma once

#include <cstring>
#include <type_traits>

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

/// C [R, P packs] = or += A [R, depth] B [depth, P packs], C in registers. Pack p of B's row k is at b[p] + k * b_pitch.
template <int R, int P, class T>
[[gnu::always_inline]] inline void product_in_registers(Index depth, TileFactor<T> a, const T* const (&b)[P],
                                                        Index b_pitch, T* c, Index c_pitch, bool accumulate) {
  using Register = typename Pack<T>::Register;
  constexpr int parts = Pack<T>::parts;
  constexpr int registers = P * parts;
  constexpr int lanes = Pack<T>::part_lanes;
  Register sums[R][registers];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
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
#pragma GCC unroll 16
    for (int p = 0; p < registers; ++p) {
      std::memcpy(&right[p], b[p / parts] + k * b_pitch + p % parts * lanes, sizeof(Register));
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const T left = a.data[r * a.row_step + k * a.depth_step];
#pragma GCC unroll 16
      for (int p = 0; p < registers; ++p) sums[r][p] += left * right[p];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < registers; ++p) std::memcpy(c + r * c_pitch + p * lanes, &sums[r][p], sizeof(Register));
  }
}

/// Rows of C held in registers at once: with P packs a row, as many as leave room for a row of B.
inline constexpr int product_rows = register_bytes == 64 ? 12 : register_bytes == 32 ? 6 : 3;
inline constexpr int product_packs = register_bytes == 64 ? 2 : 1;
/// Packs a row where there is but one row, or two: a sum alone would wait for its own last addition.
template <class T>
inline constexpr int product_packs_of_one = 8 / Pack<T>::parts;
template <class T>
inline constexpr int product_packs_of_two = product_packs_of_one<T> / 2;

template <int P, class T>
[[gnu::noinline]] void product_panel(Index rows, Index depth, TileFactor<T> a, const T* const (&b)[P], Index b_pitch,
                                     T* c, Index c_pitch, bool accumulate) {
  Index r = 0;
  const auto step = [&]<int R>() {
    product_in_registers<R, P>(depth, {a.data + r * a.row_step, a.row_step, a.depth_step}, b, b_pitch, c + r * c_pitch,
                               c_pitch, accumulate);
    r += R;
  };
  if constexpr (P <= product_packs) {
    while (rows - r >= product_rows) step.template operator()<product_rows>();
    if constexpr (product_rows > 8) {
      if (rows - r >= 8) step.template operator()<8>();
    }
    if constexpr (product_rows > 4) {
      if (rows - r >= 4) step.template operator()<4>();
    }
  }
  if constexpr (P <= product_packs_of_two<T>) {
    if (rows - r >= 2) step.template operator()<2>();
  }
  if (rows - r >= 1) step.template operator()<1>();
}

/// C [rows, packs] = A [rows, depth] B [depth, packs], or += if `accumulate`. Pack p of B's row k is at
/// pack(p) + k * b_pitch. Each element is summed in the order of depth, whatever the shape.
template <class T, class PackOfB>
void tile_product_of_packs(Index rows, Index packs, Index depth, TileFactor<T> a, const PackOfB& pack, Index b_pitch,
                           T* c, Index c_pitch, bool accumulate) {
  Index first = 0;
  const auto panels = [&]<int P>(std::integral_constant<int, P>) {
    for (; first + P <= packs; first += P) {
      const T* b[P];
      for (int p = 0; p < P; ++p) b[p] = pack(first + p);
      product_panel<P>(rows, depth, a, b, b_pitch, c + first * Pack<T>::lanes, c_pitch, accumulate);
    }
  };
  if (rows == 1) panels(std::integral_constant<int, product_packs_of_one<T>>());
  if (rows <= 2) panels(std::integral_constant<int, product_packs_of_two<T>>());
  panels(std::integral_constant<int, product_packs>());
  if constexpr (product_packs > 1) panels(std::integral_constant<int, 1>());
}

/// The same for B [depth, columns] in one place. Columns must be a multiple of a pack's lanes.
template <class T>
void tile_product(Index rows, Index columns, Index depth, TileFactor<T> a, const T* b, Index b_pitch, T* c,
                  Index c_pitch, bool accumulate) {
  constexpr Index lanes = Pack<T>::lanes;
  tile_product_of_packs(
      rows, columns / lanes, depth, a, [&](Index p) { return b + p * lanes; }, b_pitch, c, c_pitch, accumulate);
}

}  // namespace caprl::detail
