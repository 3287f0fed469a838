#pragma once

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/rms_norm.hpp"

namespace caprl {

/// y = x gain / sqrt(mean(x^2) + epsilon) over each row: x [T, C], gain [C].
template <class T, class Device>
Var<T, Device> rms_norm(const Var<T, Device>& x, const Parameter<T, Device>& gain, double epsilon) {
  require(gain.shape().elements() == x.shape().columns(), "[rms_norm] expected a gain for each column");
  Var<T, Device> y(Tensor<T, Device>(x.shape()), needs_backward(x, gain));
  Tensor<Accumulator<T>, Device> inverse_rms({x.shape().rows()});
  rms_norm(Device{}, x.rows(), static_cast<const T*>(gain.value().data()), static_cast<Accumulator<T>>(epsilon),
           y.rows(), inverse_rms.data());
  record_backward(y, [=] {
    Tensor<T, Device> unasked;  // a gradient that nobody asks for still needs a place to go to
    GradientSlot<T, Device> slot;
    if (x.needs_gradient()) {
      slot = x.gradient_slot();
    } else {
      unasked = Tensor<T, Device>(x.shape());
      slot = {unasked.rows(), true};
    }
    rms_norm_backward(Device{}, x.rows(), static_cast<const T*>(gain.value().data()),
                      static_cast<const Accumulator<T>*>(inverse_rms.data()), y.gradient().rows(), slot.rows,
                      !slot.fresh, gain.gradient().data());
  });
  return y;
}

}  // namespace caprl
