#pragma once

#include <Eigen/Core>
#include <string>
#include <type_traits>

#if defined(CAPRL_WITH_ONEDNN)
#include <oneapi/dnnl/dnnl.h>
#endif

#include "caprl/core/error.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/tensor/cpu/few_rows_gemm.hpp"
#include "caprl/tensor/device.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

namespace caprl {

enum class Transpose { no, yes };

namespace detail {

template <class T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using EigenConst = Eigen::Map<const EigenMatrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;
template <class T>
using EigenTarget = Eigen::Map<EigenMatrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;

/// c += alpha op(a) op(b), by Eigen.
template <class T>
void gemm_eigen(Transpose ta, Transpose tb, T alpha, Rows<const T> a, Rows<const T> b, Rows<T> c) {
  if (!inside_parallel()) Eigen::setNbThreads(threads());
  const EigenConst<T> left(a.data, a.rows, a.columns, Eigen::OuterStride<>(a.pitch));
  const EigenConst<T> right(b.data, b.rows, b.columns, Eigen::OuterStride<>(b.pitch));
  EigenTarget<T> out(c.data, c.rows, c.columns, Eigen::OuterStride<>(c.pitch));
  if (ta == Transpose::no && tb == Transpose::no) out.noalias() += alpha * left * right;
  if (ta == Transpose::no && tb == Transpose::yes) out.noalias() += alpha * left * right.transpose();
  if (ta == Transpose::yes && tb == Transpose::no) out.noalias() += alpha * left.transpose() * right;
  if (ta == Transpose::yes && tb == Transpose::yes) out.noalias() += alpha * left.transpose() * right.transpose();
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
template <class T>
inline constexpr bool has_onednn = std::is_same_v<T, float>;

inline void gemm_onednn(Transpose ta, Transpose tb, float alpha, Rows<const float> a, Rows<const float> b, float beta,
                        Rows<float> c) {
  const auto letter = [](Transpose transpose) { return transpose == Transpose::yes ? 'T' : 'N'; };
  const dnnl_status_t status =
      dnnl_sgemm(letter(ta), letter(tb), c.rows, c.columns, ta == Transpose::no ? a.columns : a.rows, alpha, a.data,
                 a.pitch, b.data, b.pitch, beta, c.data, c.pitch);
  require(status == dnnl_success, "[gemm] oneDNN refused a product");
}
#else
template <class T>
inline constexpr bool has_onednn = false;
#endif

/// Up to how many rows of x our own kernel serves y = x W^T. Measured with 256 to 2048 columns and inputs on two cores:
/// against oneDNN it leads up to 8 rows with AVX2 and up to 4 with AVX-512, against Eigen 3.4 up to about 32.
template <class T>
inline constexpr Index most_few_rows = !has_onednn<T>         ? 32
                                       : register_bytes == 64 ? 4
                                                              : 8;

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
  } else if (ta == Transpose::no && tb == Transpose::yes && m <= detail::most_few_rows<T>) {
    detail::gemm_few_rows<T>(alpha, a, b, beta, c);
  } else if constexpr (detail::has_onednn<T>) {
    detail::gemm_onednn(ta, tb, alpha, a, b, beta, c);
  } else {
    detail::scale_rows(beta, c);
    detail::gemm_eigen<T>(ta, tb, alpha, a, b, c);
  }
}

}  // namespace caprl
