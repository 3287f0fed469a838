#pragma once

#include <span>
#include <utility>
#include <vector>

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/gather.hpp"

namespace caprl {

/// The input rows of a language model that also reads media: row r is the table's row `sources[r]` or, from the table's
/// size V on, row `sources[r] - V` of `features`. table [V, C], features [media tokens, C] (may be empty: no tensor),
/// result [rows, C]. Throws Error on a source beyond both.
template <class T, class Device>
Var<T, Device> embed(const Parameter<T, Device>& table, const Var<T, Device>& features, std::vector<Index> sources) {
  const Index vocabulary = table.shape()[0];
  const Index columns = table.shape()[1];
  const auto row_count = static_cast<Index>(sources.size());
  const Rows<T> media = features.defined() ? features.rows() : Rows<T>{nullptr, 0, columns, columns};
  detail::require_ids("embed", std::span<const Index>(sources), row_count, vocabulary + media.rows);
  if (media.columns != columns) {
    throw Error("[embed] expected media features of " + std::to_string(columns) + " columns, got " +
                std::to_string(media.columns));
  }
  Var<T, Device> y(Tensor<T, Device>({row_count, columns}), needs_backward(table, features));
  launch_rows(Device{}, row_count, kernels::GatherRowsOfTwo<T>{table.rows(), media, sources.data(), y.rows()}, columns);
  record_backward(y, [=, picked = std::move(sources)] {
    const PlaceGroups groups = group_by_place(std::span<const Index>(picked));
    const auto [of_table, of_features] = split_places(groups, vocabulary);
    const auto sum_into = [&](const PlaceGroups& part, auto rows) {
      add_place_groups(Device{}, part, y.gradient().rows(), rows);
    };
    if (table.needs_gradient()) sum_into(of_table, table.gradient().rows());
    if (features.needs_gradient()) {
      if (!features.has_gradient()) features.seed_gradient(Tensor<T, Device>::zeros(features.shape()));
      sum_into(of_features, features.gradient().rows());
    }
  });
  return y;
}

}  // namespace caprl
