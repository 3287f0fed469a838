#pragma once

#include <span>
#include <utility>
#include <vector>

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/gather.hpp"

namespace caprl {

/// y[i] = x[picked[i]]: x [rows, C], result [picked, C]. Throws Error on a row beyond x.
template <class T, class Device>
Var<T, Device> take_rows(const Var<T, Device>& x, std::vector<Index> picked) {
  const Var<T, Device> y(Tensor<T, Device>({static_cast<Index>(picked.size()), x.shape().columns()}),
                         needs_backward(x));
  gather_rows(Device{}, ConstRows<T>(x.rows()), picked, y.rows());
  record_backward(y, [=, rows = std::move(picked)] {
    if (!x.has_gradient()) x.seed_gradient(Tensor<T, Device>::zeros(x.shape()));
    scatter_add_rows(Device{}, y.gradient().rows(), rows, x.gradient().rows());
  });
  return y;
}

}  // namespace caprl
