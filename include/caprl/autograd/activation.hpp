#pragma once

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/gelu.hpp"
#include "caprl/tensor/kernels/swiglu.hpp"

namespace caprl {

/// silu(gate) * up, where `gate_up` [T, 2 C] holds the gate's columns, then up's. Returns [T, C].
template <class T, class Device>
Var<T, Device> swiglu(const Var<T, Device>& gate_up) {
  require(gate_up.shape().columns() % 2 == 0, "[swiglu] expected as many columns of the gate as of the rest");
  const Index columns = gate_up.shape().columns() / 2;
  Var<T, Device> y(Tensor<T, Device>({gate_up.shape().rows(), columns}), needs_backward(gate_up));
  const auto halves = [columns](Rows<T> rows) {
    return std::pair(rows.columns_between(0, columns), rows.columns_between(columns, 2 * columns));
  };
  const auto [gate, up] = halves(gate_up.rows());
  swiglu(Device{}, gate, up, y.rows());
  record_backward(y, [=] {
    Tensor<T, Device> gradient(gate_up.shape());
    const auto [d_gate, d_up] = halves(gradient.rows());
    const auto [kept_gate, kept_up] = halves(gate_up.rows());
    swiglu_backward(Device{}, kept_gate, kept_up, y.gradient().rows(), d_gate, d_up);
    add_gradient(gate_up, gradient);
  });
  return y;
}

/// x P(X < x) for a normal X; see `GeluForm`. x [T, C].
template <class T, class Device>
Var<T, Device> gelu(const Var<T, Device>& x, GeluForm form = GeluForm::tanh) {
  Var<T, Device> y(Tensor<T, Device>(x.shape()), needs_backward(x));
  gelu(Device{}, form, x.rows(), y.rows());
  record_backward(y, [=] {
    Tensor<T, Device> gradient(x.shape());
    gelu_backward(Device{}, form, x.rows(), y.gradient().rows(), gradient.rows());
    add_gradient(x, gradient);
  });
  return y;
}

}  // namespace caprl
