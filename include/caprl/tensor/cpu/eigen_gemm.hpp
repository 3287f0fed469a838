#pragma once

#include <Eigen/Core>

#include "caprl/core/threads.hpp"
#include "caprl/tensor/cpu/transpose.hpp"
#include "caprl/tensor/rows.hpp"

namespace caprl::detail {

template <class T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using EigenConst = Eigen::Map<const EigenMatrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;
template <class T>
using EigenTarget = Eigen::Map<EigenMatrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;

/// c += alpha op(a) op(b), by Eigen. In a header of its own, because instantiating it takes the compiler seconds.
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

}  // namespace caprl::detail
