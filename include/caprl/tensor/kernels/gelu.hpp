#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/math.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// Gaussian error linear unit (Hendrycks and Gimpel, 2016, arXiv 1606.08415), x P(X < x) for a normal X: exactly, or by
/// the tanh approximation that most vision towers were trained with.
namespace caprl {

enum class GeluForm { exact, tanh };

namespace detail {

/// Value and derivative at once.
template <class V>
struct GeluPoint {
  V value;
  V slope;
};

/// 0.5 (1 + tanh(u)) = sigmoid(2u) with u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class A, class V>
CAPRL_HD GeluPoint<V> gelu_tanh(const V& x) {
  const V square = x * x;
  const V share = sigmoid(x * (V(A(1.5957691216057308)) + V(A(0.07135481627260025)) * square));
  const V inner = V(A(1.5957691216057308)) + V(A(0.21406444881780074)) * square;
  return {x * share, share + x * share * (V(A(1)) - share) * inner};
}

template <class A, class V>
CAPRL_HD GeluPoint<V> gelu_exact(const V& x) {
  const V share = V(A(0.5)) + V(A(0.5)) * error_function(x * V(A(0.7071067811865476)));
  const V density = V(A(0.3989422804014327)) * exponential(x * x * V(A(-0.5)));
  return {x * share, share + x * density};
}

template <class A, class V>
CAPRL_HD GeluPoint<V> gelu_point(GeluForm form, const V& x) {
  return form == GeluForm::tanh ? gelu_tanh<A>(x) : gelu_exact<A>(x);
}

}  // namespace detail

namespace kernels {

template <class T>
struct Gelu {
  GeluForm form;
  Rows<const T> x;
  Rows<T> y;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    T* out = y.row(row);
    team.template each<T>(x.columns,
                          [&](auto at) { at.store(out, detail::gelu_point<Accumulator<T>>(form, at(in)).value); });
  }
};

template <class T>
struct GeluBackward {
  GeluForm form;
  Rows<const T> x;
  Rows<const T> dy;
  Rows<T> dx;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    const T* gradient = dy.row(row);
    T* out = dx.row(row);
    team.template each<T>(x.columns, [&](auto at) {
      at.store(out, at(gradient) * detail::gelu_point<Accumulator<T>>(form, at(in)).slope);
    });
  }
};

}  // namespace kernels

template <class Device, class T>
void gelu(Device device, GeluForm form, ConstRows<T> x, Rows<T> y) {
  detail::require_same_shape("gelu", x, y);
  launch_rows(device, x.rows, kernels::Gelu<T>{form, x, y}, 4 * x.columns);
}

/// Replaces dx, which may be dy or x itself.
template <class Device, class T>
void gelu_backward(Device device, GeluForm form, ConstRows<T> x, ConstRows<T> dy, Rows<T> dx) {
  detail::require_same_shape("gelu_backward", x, dy);
  detail::require_same_shape("gelu_backward", x, dx);
  launch_rows(device, x.rows, kernels::GeluBackward<T>{form, x, dy, dx}, 6 * x.columns);
}

}  // namespace caprl
