#pragma once

#include "caprl/autograd/var.hpp"
#include "caprl/tensor/kernels/elementwise.hpp"

namespace caprl {

/// Adds `gradient` to what `var` has, or makes it the gradient if there is none. The tensor must not be used
/// afterwards.
template <class T, class Device>
void add_gradient(const Var<T, Device>& var, Tensor<T, Device> gradient) {
  if (!var.needs_gradient()) return;
  if (var.has_gradient()) {
    add_into<Device, T>(Device{}, gradient.rows(), var.gradient().rows());
  } else {
    var.seed_gradient(std::move(gradient));
  }
}

/// Gives the gradient of an op's result to an input of the same shape without a copy. The result has none afterwards.
template <class T, class Device>
void hand_on_gradient(const Var<T, Device>& result, const Var<T, Device>& input) {
  Tensor<T, Device> gradient = result.gradient();
  result.drop_gradient();
  add_gradient(input, std::move(gradient));
}

}  // namespace caprl
