#pragma once

#include <utility>

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"

namespace caprl {

/// The numbers of x in another shape: a view of the same storage, so nothing may write to either in place. The backward
/// pass hands the result's gradient on, so it is gone afterwards.
template <class T, class Device>
Var<T, Device> reshape(const Var<T, Device>& x, const Shape& shape) {
  const Var<T, Device> y(x.value().reshape(shape), needs_backward(x));
  record_backward(y, [=] {
    Tensor<T, Device> gradient = y.gradient().reshape(x.shape());
    y.drop_gradient();
    add_gradient(x, std::move(gradient));
  });
  return y;
}

}  // namespace caprl
