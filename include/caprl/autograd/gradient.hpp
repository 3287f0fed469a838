#pragma once

#include <utility>

#include "caprl/autograd/var.hpp"
#include "caprl/tensor/kernels/elementwise.hpp"

namespace caprl {

/// Records an op's backward pass if `result` needs a gradient. It runs if one has reached `result`: what nothing else
/// reads has none.
template <class T, class Device, class Backward>
void record_backward(const Var<T, Device>& result, Backward backward) {
  if (!needs_backward(result)) return;
  Tape::record([result, run = std::move(backward)] {
    if (!result.has_gradient()) return false;
    run();
    return true;
  });
}

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
