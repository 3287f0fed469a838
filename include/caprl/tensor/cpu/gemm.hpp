#pragma once

#include <algorithm>
#include <string>
#include <type_traits>

#include "caprl/core/error.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/tensor/cpu/few_rows_gemm.hpp"
#include "caprl/tensor/cpu/packed_gemm.hpp"
#include "caprl/tensor/cpu/transpose.hpp"
#include "caprl/tensor/device.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"
#include "caprl/tensor/tensor.hpp"
#if defined(CAPRL_WITH_ONEDNN)
#include "caprl/tensor/cpu/onednn_gemm.hpp"
#else
#include "caprl/tensor/cpu/eigen_gemm.hpp"
#endif

/// The matrix product. Which body serves which shape is decided here once, by measurement:
///
///     y = x W^T, a few rows        our own kernel on the weights as they lie (few_rows_gemm.hpp)
///     y = x W^T, up to 256 rows    our own kernel on weights that are laid out on the way (packed_gemm.hpp), but for
///                                  oneDNN with AVX2
///     float                        oneDNN where it is built in, else Eigen
///     double (gradient checks)     our own kernel, on transposed copies where needed: correct, not fast
namespace caprl {

namespace detail {

#if defined(CAPRL_WITH_ONEDNN)
inline constexpr bool with_onednn = true;
#else
inline constexpr bool with_onednn = false;
#endif

/// Up to how many rows our own kernel serves y = x W^T in float on the weights as they lie. Measured with AVX2, 256 to
/// 2048 columns and inputs, it leads oneDNN up to 8 rows; with AVX-512 oneDNN leads from 5 rows on.
inline constexpr Index most_few_rows = !with_onednn ? 12 : register_bytes == 64 ? 4 : 8;

/// Whether y = x W^T of `rows` rows is served by laying the weights out on the way. Measured on two cores of a Zen 4,
/// 128 to 4096 columns and inputs: with AVX-512 it leads oneDNN 2.6 from 13 rows (1.3 to 10 times at 16 to 64 rows) to
/// about 256, and Eigen 3.4 beyond; oneDNN with AVX2 is as fast from 32 rows on.
constexpr bool served_by_packing(Index rows) {
  return rows >= 13 && rows <= 256 && (!with_onednn || register_bytes == 64);
}

template <class T>
void scale_rows(T beta, Rows<T> c) {
  if (beta == T{1}) return;
  parallel_for(c.rows, 1 + 16384 / (c.columns + 1), [&](Index r) {
    T* row = c.row(r);
    for (Index i = 0; i < c.columns; ++i) row[i] = beta == T{0} ? T{0} : beta * row[i];
  });
}

#if defined(CAPRL_WITH_ONEDNN)
/// A copy whose rows are 16 elements further apart than they are long.
inline Rows<const float> spread(Rows<const float> x, Tensor<float>& storage) {
  storage = Tensor<float>({x.rows, x.columns + 16});
  const Rows<float> copy{storage.data(), x.rows, x.columns, x.columns + 16};
  parallel_for(x.rows, 1 + 131072 / x.columns, [&](Index r) { std::copy_n(x.row(r), x.columns, copy.row(r)); });
  return copy;
}

/// a^T b with a side below 512 (most weight gradients of small models) is slow in oneDNN with AVX2 where an operand's
/// rows lie a multiple of 1 KB apart: they meet in the same cache lines. Measured on one core of a Zen 3, copies
/// included: 1.15 to 1.3 times as fast at 1 KB, 1.8 to 2.2 times at 4 KB.
inline void gemm_onednn_spread(Transpose ta, Transpose tb, float alpha, Rows<const float> a, Rows<const float> b,
                               float beta, Rows<float> c) {
  constexpr Index narrow = 512;
  const auto collides = [](Rows<const float> x) { return x.columns >= 256 && x.pitch % 256 == 0; };
  Tensor<float> left, right;
  if (register_bytes == 32 && ta == Transpose::yes && tb == Transpose::no && std::min(c.rows, c.columns) < narrow) {
    if (collides(a)) a = spread(a, left);
    if (collides(b)) b = spread(b, right);
  }
  gemm_onednn(ta, tb, alpha, a, b, beta, c);
}
#endif

inline void gemm_float(Transpose ta, Transpose tb, float alpha, Rows<const float> a, Rows<const float> b, float beta,
                       Rows<float> c) {
  if (ta == Transpose::no && tb == Transpose::yes && c.rows <= most_few_rows) {
    gemm_few_rows(alpha, a, b, beta, c);
    return;
  }
  if (ta == Transpose::no && tb == Transpose::yes && served_by_packing(c.rows) && alpha == 1 &&
      (beta == 0 || beta == 1)) {
    multiply_packing(a, b, beta, c);
    return;
  }
#if defined(CAPRL_WITH_ONEDNN)
  gemm_onednn_spread(ta, tb, alpha, a, b, beta, c);
#else
  scale_rows(beta, c);
  gemm_eigen(ta, tb, alpha, a, b, c);
#endif
}

inline Tensor<double> transposed(Rows<const double> x) {
  Tensor<double> result({x.columns, x.rows});
  for (Index r = 0; r < x.rows; ++r) {
    for (Index c = 0; c < x.columns; ++c) result.data()[c * x.rows + r] = x(r, c);
  }
  return result;
}

inline void gemm_double(Transpose ta, Transpose tb, double alpha, Rows<const double> a, Rows<const double> b,
                        double beta, Rows<double> c) {
  const Tensor<double> left = ta == Transpose::yes ? transposed(a) : Tensor<double>();
  const Tensor<double> right = tb == Transpose::no ? transposed(b) : Tensor<double>();
  gemm_few_rows(alpha, ta == Transpose::yes ? Rows<const double>(left.rows()) : a,
                tb == Transpose::no ? Rows<const double>(right.rows()) : b, beta, c);
}

}  // namespace detail

/// c = alpha op(a) op(b) + beta c, op being the transpose where asked. With beta 0, c is not read.
///
/// A linear layer's weight is [out, in], as in Hugging Face folders: forward y = x W^T is (no, yes), dx = dy W is
/// (no, no), dW += dy^T x is (yes, no).
///
/// Throws Error if the shapes do not fit. The same bytes for the same thread count.
template <class T>
void gemm(Cpu, Transpose ta, Transpose tb, std::type_identity_t<T> alpha, ConstRows<T> a, ConstRows<T> b,
          std::type_identity_t<T> beta, Rows<T> c) {
  const Index m = ta == Transpose::no ? a.rows : a.columns;
  const Index k = ta == Transpose::no ? a.columns : a.rows;
  const Index k_of_b = tb == Transpose::no ? b.rows : b.columns;
  const Index n = tb == Transpose::no ? b.columns : b.rows;
  if (m != c.rows || n != c.columns || k != k_of_b) {
    const auto name = [](Transpose t) { return std::string(t == Transpose::yes ? "^T" : ""); };
    throw Error("[gemm] expected [M, K] x [K, N] = [M, N], got " + detail::shape_text(a) + name(ta) + " x " +
                detail::shape_text(b) + name(tb) + " = " + detail::shape_text(c));
  }
  if (m == 0 || n == 0) return;
  if (k == 0) {
    detail::scale_rows(beta, c);
  } else if constexpr (std::is_same_v<T, double>) {
    detail::gemm_double(ta, tb, alpha, a, b, beta, c);
  } else {
    static_assert(std::is_same_v<T, float>, "products on the CPU are of float or double");
    detail::gemm_float(ta, tb, alpha, a, b, beta, c);
  }
}

}  // namespace caprl
