#pragma once

#include <string>

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/gemm.hpp"
#include "caprl/tensor/kernels/column_sum.hpp"
#include "caprl/tensor/kernels/elementwise.hpp"

namespace caprl {

namespace detail {

template <class T, class Device>
void require_linear(const char* operation, const Var<T, Device>& x, const Parameter<T, Device>& weight,
                    const Parameter<T, Device>& bias) {
  if (x.shape().columns() != weight.shape()[1]) {
    throw Error("[" + std::string(operation) + "] expected rows of " + std::to_string(weight.shape()[1]) +
                " features for weight " + to_string(weight.shape()) + ", got " + to_string(x.shape()));
  }
  require(!bias.defined() || bias.shape().elements() == weight.shape()[0],
          "[linear] expected a bias for each row of the weight");
}

/// y = x W^T + beta y + b.
template <class T, class Device>
void linear_forward(const Var<T, Device>& x, const Parameter<T, Device>& weight, const Parameter<T, Device>& bias,
                    T beta, Rows<T> y) {
  gemm<T>(Device{}, Transpose::no, Transpose::yes, T{1}, x.rows(), weight.rows(), beta, y);
  if (bias.defined()) add_bias<Device, T>(Device{}, y, bias.value().data(), y);
}

/// dx = dy W, dW += dy^T x and db += the sum of dy's rows, each where it is asked for.
template <class T, class Device>
void linear_backward(const Var<T, Device>& x, const Parameter<T, Device>& weight, const Parameter<T, Device>& bias,
                     const Tensor<T, Device>& dy) {
  if (x.needs_gradient()) {
    const auto slot = x.gradient_slot();
    gemm<T>(Device{}, Transpose::no, Transpose::no, T{1}, dy.rows(), weight.rows(), slot.beta(), slot.rows);
  }
  if (weight.needs_gradient()) {
    gemm<T>(Device{}, Transpose::yes, Transpose::no, T{1}, dy.rows(), x.rows(), T{1}, weight.gradient().rows());
  }
  if (bias.needs_gradient()) add_column_sums(Device{}, dy.rows(), bias.gradient().data());
}

}  // namespace detail

/// y = x W^T + b: x [T, in], weight [out, in] as Hugging Face stores it, bias [out] or none, y [T, out].
template <class T, class Device>
Var<T, Device> linear(const Var<T, Device>& x, const Parameter<T, Device>& weight,
                      const Parameter<T, Device>& bias = {}) {
  detail::require_linear("linear", x, weight, bias);
  Var<T, Device> y(Tensor<T, Device>({x.shape().rows(), weight.shape()[0]}), needs_backward(x, weight, bias));
  detail::linear_forward(x, weight, bias, T{0}, y.rows());
  record_backward(y, [=] { detail::linear_backward(x, weight, bias, y.gradient()); });
  return y;
}

/// residual + x W^T + b: the end of a transformer's branch, with the sum done by the product itself. The backward pass
/// hands y's gradient on to `residual`, so it is gone afterwards.
template <class T, class Device>
Var<T, Device> linear_residual(const Var<T, Device>& x, const Parameter<T, Device>& weight,
                               const Var<T, Device>& residual, const Parameter<T, Device>& bias = {}) {
  detail::require_linear("linear_residual", x, weight, bias);
  Var<T, Device> y(Tensor<T, Device>({x.shape().rows(), weight.shape()[0]}), needs_backward(x, weight, bias, residual));
  copy_rows(Device{}, residual.rows(), y.rows());
  detail::linear_forward(x, weight, bias, T{1}, y.rows());
  record_backward(y, [=] {
    detail::linear_backward(x, weight, bias, y.gradient());
    hand_on_gradient(y, residual);
  });
  return y;
}

}  // namespace caprl
