#pragma once

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/unfold.hpp"

namespace caprl {

/// The patches of a square convolution as rows, so that `linear` finishes it: x [N * H * W, C] to
/// [N * out_height * out_width, kernel * kernel * C].
template <class T, class Device>
Var<T, Device> unfold(const Var<T, Device>& x, const Convolution& shape) {
  const Index images = x.shape().rows() / (shape.height * shape.width);
  Var<T, Device> y(Tensor<T, Device>({images * shape.out_height() * shape.out_width(),
                                      shape.kernel * shape.kernel * x.shape().columns()}),
                   needs_backward(x));
  unfold(Device{}, shape, x.rows(), y.rows());
  record_backward(y, [=] {
    Tensor<T, Device> gradient(x.shape());
    unfold_backward(Device{}, shape, y.gradient().rows(), gradient.rows());
    add_gradient(x, gradient);
  });
  return y;
}

}  // namespace caprl
