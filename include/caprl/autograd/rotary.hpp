#pragma once

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/rotary.hpp"

namespace caprl {

/// Turns the first `columns` columns of x [T, ...] (whole heads) in place by the angles `cosine` and `sine` [T, D / 2],
/// and x's gradient back in place. For a value that nothing else has read, such as a product of queries, keys and
/// values.
template <class T, class Device>
void rotary_in_place(const Var<T, Device>& x, Index columns, const Tensor<float, Device>& cosine,
                     const Tensor<float, Device>& sine) {
  require(columns >= 0 && columns <= x.shape().columns(), "[rotary_in_place] expected no more columns than x has");
  const auto turn = [=](Turn direction, const Tensor<T, Device>& tensor) {
    const Rows<T> heads = tensor.rows().columns_between(0, columns);
    rotary(Device{}, direction, cosine.rows(), sine.rows(), heads, heads);
  };
  turn(Turn::forward, x.value());
  record_backward(x, [=] { turn(Turn::backward, x.gradient()); });
}

}  // namespace caprl
