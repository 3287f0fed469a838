#pragma once

#include <algorithm>
#include <cstring>

#include "caprl/core/index.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/tensor/kernels/pack.hpp"
#include "caprl/tensor/rows.hpp"

/// c = alpha a b^T + beta c for few rows of a, without rearranging b: rows of both are read along k, a tile of sums at
/// a time, and each sum's lanes are added at the end in a fixed order.
namespace caprl::detail {

template <class T>
struct DotTile {
  static constexpr int lanes = register_bytes / static_cast<int>(sizeof(T));
  using Register = typename RegisterOf<T, register_bytes>::type;

  static Register load(const T* from) {
    Register value;
    std::memcpy(&value, from, sizeof(value));
    return value;
  }
  /// The first `count` elements, then zeros.
  static Register load_part(const T* from, Index count) {
    Register value{};
    std::memcpy(&value, from, static_cast<std::size_t>(count) * sizeof(T));
    return value;
  }
  static T fold(const Register& value) {
    T lane[lanes];
    std::memcpy(lane, &value, sizeof(value));
    for (int half = lanes / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
    }
    return lane[0];
  }

  /// sums[i][j] = a row i . b row j.
  template <int RowsOfA, int RowsOfB>
  static void run(const T* a, Index a_pitch, const T* b, Index b_pitch, Index depth, T (&sums)[RowsOfA][RowsOfB]) {
    Register total[RowsOfA][RowsOfB] = {};
    const auto step = [&](const auto& read) {
      Register left[RowsOfA];
#pragma GCC unroll 8
      for (int i = 0; i < RowsOfA; ++i) left[i] = read(a + i * a_pitch);
#pragma GCC unroll 8
      for (int j = 0; j < RowsOfB; ++j) {
        const Register right = read(b + j * b_pitch);
#pragma GCC unroll 8
        for (int i = 0; i < RowsOfA; ++i) total[i][j] += left[i] * right;
      }
    };
    Index k = 0;
    for (; k + lanes <= depth; k += lanes) step([&](const T* row) { return load(row + k); });
    if (k < depth) step([&](const T* row) { return load_part(row + k, depth - k); });
    for (int i = 0; i < RowsOfA; ++i) {
      for (int j = 0; j < RowsOfB; ++j) sums[i][j] = fold(total[i][j]);
    }
  }
};

template <class T>
struct DotProducts {
  T alpha;
  Rows<const T> a;
  Rows<const T> b;
  T beta;
  Rows<T> c;

  /// Columns [begin, end) of c.
  void operator()(Index begin, Index end) const {
    constexpr int wide = 4;
    Index j = begin;
    for (; j + wide <= end; j += wide) columns<wide>(j);
    for (; j < end; ++j) columns<1>(j);
  }

 private:
  template <int RowsOfB>
  void columns(Index j) const {
    constexpr int most = register_bytes == 64 ? 4 : 3;
    Index i = 0;
    for (; i + most <= a.rows; i += most) tile<most, RowsOfB>(i, j);
    if (a.rows - i == 3) tile<3, RowsOfB>(i, j);
    if (a.rows - i == 2) tile<2, RowsOfB>(i, j);
    if (a.rows - i == 1) tile<1, RowsOfB>(i, j);
  }

  template <int RowsOfA, int RowsOfB>
  void tile(Index i, Index j) const {
    T sums[RowsOfA][RowsOfB];
    DotTile<T>::run(a.row(i), a.pitch, b.row(j), b.pitch, a.columns, sums);
    for (int r = 0; r < RowsOfA; ++r) {
      for (int s = 0; s < RowsOfB; ++s) {
        T& out = c(i + r, j + s);
        out = beta == T{0} ? alpha * sums[r][s] : alpha * sums[r][s] + beta * out;
      }
    }
  }
};

template <class T>
void gemm_few_rows(T alpha, Rows<const T> a, Rows<const T> b, T beta, Rows<T> c) {
  const Index work = a.columns * (1 + a.rows / 4);
  parallel_chunks(c.columns, 4 + 32768 / (work + 1), DotProducts<T>{alpha, a, b, beta, c});
}

}  // namespace caprl::detail
