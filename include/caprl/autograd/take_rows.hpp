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

/// y = x, with features[sources[i]] added to row rows[i]: x [rows, C], features [sources, C]. The backward pass hands
/// y's gradient on to x, so it is gone afterwards. Throws Error on a row beyond x, or a source beyond the features.
template <class T, class Device>
Var<T, Device> add_rows(const Var<T, Device>& x, const Var<T, Device>& features, const std::vector<Index>& rows,
                        const std::vector<Index>& sources) {
  const Var<T, Device> y(Tensor<T, Device>(x.shape()), needs_backward(x, features));
  const auto taken = [count = static_cast<Index>(rows.size())](const Tensor<T, Device>& from,
                                                               const std::vector<Index>& picked) {
    const Tensor<T, Device> part({count, from.shape().columns()});
    gather_rows(Device{}, ConstRows<T>(from.rows()), picked, part.rows());
    return part;
  };
  copy_rows(Device{}, x.rows(), y.rows());
  scatter_add_rows(Device{}, taken(features.value(), sources).rows(), rows, y.rows());
  record_backward(y, [=] {
    if (features.needs_gradient()) {
      if (!features.has_gradient()) features.seed_gradient(Tensor<T, Device>::zeros(features.shape()));
      scatter_add_rows(Device{}, taken(y.gradient(), rows).rows(), sources, features.gradient().rows());
    }
    hand_on_gradient(y, x);
  });
  return y;
}

/// y[r] = the sum over k of weights[r, k] table[places[r, k]]: positions between those of a table [places, C]. `places`
/// is row-major; result [rows, C]. Throws Error on a place beyond the table.
template <class T, class Device>
Var<T, Device> weighted_rows(const Parameter<T, Device>& table, std::vector<Index> places,
                             const Tensor<float>& weights) {
  detail::require_ids("weighted_rows", std::span<const Index>(places), weights.elements(), table.shape()[0]);
  const Index rows = weights.shape()[0], columns = table.shape()[1];
  const Var<T, Device> y(Tensor<T, Device>({rows, columns}), needs_backward(table));
  launch_rows(Device{}, rows, kernels::GatherWeighted<T>{table.rows(), places.data(), weights.rows(), y.rows()},
              weights.shape()[1] * columns);
  record_backward(y, [=, picked = std::move(places)] {
    using G = typename Parameter<T, Device>::Gradient;
    const PlaceGroups groups = group_by_place(std::span<const Index>(picked));
    const kernels::AddWeightedGroups<T, G> add{groups.places.data(), groups.starts.data(), groups.order.data(),
                                               weights.rows(),       y.gradient().rows(),  table.gradient().rows()};
    launch_rows(Device{}, static_cast<Index>(groups.places.size()), add, columns);
  });
  return y;
}

}  // namespace caprl
