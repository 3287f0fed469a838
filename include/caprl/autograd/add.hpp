#pragma once

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/elementwise.hpp"

namespace caprl {

/// a + b, of equal shapes. The backward pass hands the result's gradient on to an input, so it is gone afterwards.
template <class T, class Device>
Var<T, Device> add(const Var<T, Device>& a, const Var<T, Device>& b) {
  Var<T, Device> y(Tensor<T, Device>(a.shape()), needs_backward(a, b));
  add(Device{}, a.rows(), b.rows(), y.rows());
  record_backward(y, [=] {
    if (a.needs_gradient() && b.needs_gradient()) add_gradient(a, y.gradient().clone());
    hand_on_gradient(y, b.needs_gradient() ? b : a);
  });
  return y;
}

}  // namespace caprl
