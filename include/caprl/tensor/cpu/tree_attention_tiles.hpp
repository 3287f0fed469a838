#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>

#include "caprl/core/index.hpp"
#include "caprl/tensor/cpu/tile_product.hpp"
#include "caprl/tensor/cpu/tree_tiles.hpp"
#include "caprl/tensor/cpu/turn_block.hpp"
#include "caprl/tensor/kernels/pack.hpp"
#include "caprl/tensor/kernels/pack_math.hpp"
#include "caprl/tensor/rows.hpp"

/// The arithmetic of attention on one tile of queries and one of keys.
namespace caprl::detail {

/// Rows of a head, times scale, to [rows, padded]: columns behind the head's are 0.
template <class T>
void pack_rows(Rows<const T> from, T scale, T* to, Index padded) {
  for (Index r = 0; r < from.rows; ++r) {
    const T* source = from.row(r);
    T* target = to + r * padded;
    for (Index c = 0; c < from.columns; ++c) target[c] = scale * source[c];
    for (Index c = from.columns; c < padded; ++c) target[c] = 0;
  }
}

/// Rows of a head, turned, to [padded, tile_rows]: what is behind the head's columns and behind the last row is 0.
template <class T>
void pack_turned(Rows<const T> from, T* to, Index padded) {
  if (from.rows < tile_rows || from.columns < padded) std::fill_n(to, padded * tile_rows, T{0});
  turn_rows(from, to, tile_rows);
}

/// Which of a pack's keys the query sees. `entry` counts in the arrays of `keys`.
template <class T>
typename Pack<T>::Mask visible(const KeyVisibility<T>& keys, Index entry, Index query, Index depth) {
  using Integers = Pack<typename KeyVisibility<T>::Integer>;
  using Integer = typename KeyVisibility<T>::Integer;
  const Integers begin = Integers::load(keys.query_begin.data() + entry);
  const Integers end = Integers::load(keys.query_end.data() + entry);
  const Integers depth_end = Integers::load(keys.depth_end.data() + entry);
  const Integers row(static_cast<Integer>(query));
  const Integers at(static_cast<Integer>(depth));
  return Integers::each([&](int p) {
    return (begin.part[p] <= row.part[p]) & (row.part[p] < end.part[p]) & (at.part[p] < depth_end.part[p]);
  });
}

/// Softmax over keys that come tile by tile (Milakov and Gimelshein, 2018, arXiv 1805.02867): the greatest score so
/// far, and the sum of exp(score - greatest), lane by lane until `sum`.
template <class T>
struct OnlineSoftmax {
  T greatest = std::numeric_limits<T>::lowest();
  Pack<T> sums = Pack<T>(T{0});

  /// Replaces `packs` packs of scores by weights, relative to the new greatest. Returns the factor for what was summed
  /// before. Where `mask(p)` does not hold, weights are exactly 0. NaN scores become NaN weights.
  template <class Mask>
  [[gnu::flatten]] T update(T* scores, Index packs, const Mask& mask) {
    constexpr Index lanes = Pack<T>::lanes;
    Pack<T> largest(greatest);
    for (Index p = 0; p < packs; ++p) {
      Pack<T> score = Pack<T>::load(scores + p * lanes);
      if constexpr (masks<Mask>) {
        score = select(mask(p), score, Pack<T>(-std::numeric_limits<T>::infinity()));
        score.store(scores + p * lanes);
      }
      largest = select(score > largest, score, largest);
    }
    const T before = greatest;
    greatest = fold_lanes(largest, [](const auto& x, const auto& y) { return x > y ? x : y; });
    const T factor = before == greatest ? T{1} : exponential(before - greatest);
    sums *= Pack<T>(factor);
    for (Index p = 0; p < packs; ++p) {
      const Pack<T> weight = exponential(Pack<T>::load(scores + p * lanes) - Pack<T>(greatest));
      sums += weight;
      weight.store(scores + p * lanes);
    }
    return factor;
  }

  T sum() const { return sum_lanes(sums); }

  struct Unmasked {};

 private:
  template <class Mask>
  static constexpr bool masks = !std::is_same_v<Mask, Unmasked>;
};

/// Brings the `padded` columns that were summed under a smaller greatest score to a new one, which `factor` belongs to.
template <class T>
void rescale(T factor, T* sums, Index padded) {
  if (factor == T{1}) return;
  for (Index c = 0; c < padded; c += Pack<T>::lanes) {
    (Pack<T>::load(sums + c) * Pack<T>(factor)).store(sums + c);
  }
}

/// What attention gives: the sums of weighted values over the sum of the weights.
template <class T>
void divide_into(const T* sums, T sum, T* result, Index columns) {
  for (Index c = 0; c < columns; ++c) result[c] = sums[c] / sum;
}

}  // namespace caprl::detail
