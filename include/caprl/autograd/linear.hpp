#pragma once

#include <string>

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/gemm.hpp"
#include "caprl/tensor/kernels/column_sum.hpp"
#include "caprl/tensor/kernels/elementwise.hpp"

namespace caprl {

namespace detail {

/// What `linear` and `linear_residual` share: dx = dy W and dW += dy^T x.
template <class T, class Device>
void linear_backward(const Var<T, Device>& x, const Parameter<T, Device>& weight, const Tensor<T, Device>& dy) {
  if (x.needs_gradient()) {
    const auto slot = x.gradient_slot();
    gemm<T>(Device{}, Transpose::no, Transpose::no, T{1}, dy.rows(), weight.rows(), slot.beta(), slot.rows);
  }
  gemm<T>(Device{}, Transpose::yes, Transpose::no, T{1}, dy.rows(), x.rows(), T{1}, weight.gradient().rows());
}

template <class T, class Device>
void require_linear(const char* operation, const Var<T, Device>& x, const Parameter<T, Device>& weight) {
  if (x.shape().columns() != weight.shape()[1]) {
    throw Error("[" + std::string(operation) + "] expected rows of " + std::to_string(weight.shape()[1]) +
                " features for weight " + to_string(weight.shape()) + ", got " + to_string(x.shape()));
  }
}

}  // namespace detail

/// y = x W^T: x [T, in], weight [out, in] as Hugging Face stores it, y [T, out].
template <class T, class Device>
Var<T, Device> linear(const Var<T, Device>& x, const Parameter<T, Device>& weight) {
  detail::require_linear("linear", x, weight);
  Var<T, Device> y(Tensor<T, Device>({x.shape().rows(), weight.shape()[0]}), needs_backward(x, weight));
  gemm<T>(Device{}, Transpose::no, Transpose::yes, T{1}, x.rows(), weight.rows(), T{0}, y.rows());
  record_backward(y, [=] { detail::linear_backward(x, weight, y.gradient()); });
  return y;
}

/// y = x W^T + b: bias [out].
template <class T, class Device>
Var<T, Device> linear(const Var<T, Device>& x, const Parameter<T, Device>& weight, const Parameter<T, Device>& bias) {
  detail::require_linear("linear", x, weight);
  require(bias.shape().elements() == weight.shape()[0], "[linear] expected a bias for each row of the weight");
  Var<T, Device> y(Tensor<T, Device>({x.shape().rows(), weight.shape()[0]}), needs_backward(x, weight, bias));
  gemm<T>(Device{}, Transpose::no, Transpose::yes, T{1}, x.rows(), weight.rows(), T{0}, y.rows());
  add_bias(Device{}, y.rows(), bias.value().data(), y.rows());
  record_backward(y, [=] {
    detail::linear_backward(x, weight, y.gradient());
    add_column_sums(Device{}, y.gradient().rows(), bias.gradient().data());
  });
  return y;
}

/// residual + x W^T: the end of a transformer's branch, with the sum done by the product itself. The backward pass
/// hands y's gradient on to `residual`, so it is gone afterwards.
template <class T, class Device>
Var<T, Device> linear_residual(const Var<T, Device>& x, const Parameter<T, Device>& weight,
                               const Var<T, Device>& residual) {
  detail::require_linear("linear_residual", x, weight);
  Var<T, Device> y(Tensor<T, Device>({x.shape().rows(), weight.shape()[0]}), needs_backward(x, weight, residual));
  copy_rows(Device{}, residual.rows(), y.rows());
  gemm<T>(Device{}, Transpose::no, Transpose::yes, T{1}, x.rows(), weight.rows(), T{1}, y.rows());
  record_backward(y, [=] {
    detail::linear_backward(x, weight, y.gradient());
    hand_on_gradient(y, residual);
  });
  return y;
}

}  // namespace caprl
