#pragma once

#include "caprl/autograd/dropout.hpp"
#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/tape.hpp"
#include "caprl/autograd/var.hpp"

namespace caprl {

/// compute(x), keeping only x for the backward pass, which computes it a second time (activation checkpointing: Chen et
/// al., arXiv 1604.06174). The gradients are the same. `compute` is copied: it must own what it needs, and give the
/// same result each time; dropout drops the same. `has_parameters`: whether `compute` reads parameters that need
/// gradients. The backward pass takes the result's gradient away.
template <class T, class Device, class Compute>
Var<T, Device> recompute(const Var<T, Device>& x, const Compute& compute, bool has_parameters = true) {
  if (!Tape::recording() || !(has_parameters || x.needs_gradient())) return compute(x);
  Var<T, Device> y;
  {
    const NoGradient silent;
    y = Var<T, Device>(compute(x).value(), true);
  }
  record_backward(y, [=, dropout = DropoutScope::current()] {
    const DropoutScope same_draws(dropout);
    Tape tape;
    const Var<T, Device> input(x.value(), x.needs_gradient());
    const Var<T, Device> again = compute(input);
    hand_on_gradient(y, again);
    tape.backward();
    if (x.needs_gradient() && input.has_gradient()) add_gradient(x, input.gradient());
  });
  return y;
}

}  // namespace caprl
