#pragma once

#include <type_traits>

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

namespace caprl {

namespace kernels {

/// y = scale_a a + scale_b b; y may be a or b.
template <class T>
struct ScaledSum {
  Accumulator<T> scale_a;
  Rows<const T> a;
  Accumulator<T> scale_b;
  Rows<const T> b;
  Rows<T> y;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* left = a.row(row);
    const T* right = b.row(row);
    T* out = y.row(row);
    team.template each<T>(y.columns, [&](auto at) { at.store(out, at(left) * scale_a + at(right) * scale_b); });
  }
};

/// y = x, from any element type to any other.
template <class From, class To>
struct Copy {
  Rows<const From> x;
  Rows<To> y;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const From* in = x.row(row);
    To* out = y.row(row);
    team.template each<To>(y.columns, [&](auto at) { at.store(out, at(in)); });
  }
};

/// y = x + bias, the same bias [C] for every row.
template <class T>
struct AddBias {
  Rows<const T> x;
  const T* bias;
  Rows<T> y;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    T* out = y.row(row);
    team.template each<T>(y.columns, [&](auto at) { at.store(out, at(in) + at(bias)); });
  }
};

}  // namespace kernels

/// y = scale_a a + scale_b b; y may be a or b.
template <class Device, class T>
void weighted_sum(Device device, Accumulator<T> scale_a, ConstRows<T> a, Accumulator<T> scale_b, ConstRows<T> b,
                  Rows<T> y) {
  detail::require_same_shape("weighted_sum", a, b);
  detail::require_same_shape("weighted_sum", a, y);
  launch_rows(device, y.rows, kernels::ScaledSum<T>{scale_a, a, scale_b, b, y}, y.columns);
}

/// y = a + b; y may be a or b.
template <class Device, class T>
void add(Device device, ConstRows<T> a, ConstRows<T> b, Rows<T> y) {
  weighted_sum<Device, T>(device, 1, a, 1, b, y);
}

/// y += x.
template <class Device, class T>
void add_into(Device device, ConstRows<T> x, Rows<T> y) {
  weighted_sum<Device, T>(device, 1, x, 1, y, y);
}

/// y = x. Element types may differ: this is the cast.
template <class Device, class From, class To>
void copy_rows(Device device, Rows<From> x, Rows<To> y) {
  detail::require_same_shape("copy_rows", x, y);
  launch_rows(device, y.rows, kernels::Copy<std::remove_const_t<From>, To>{x, y}, y.columns);
}

/// y = x + bias [C] for each row; y may be x. Its gradient is `add_column_sums`.
template <class Device, class T>
void add_bias(Device device, ConstRows<T> x, const T* bias, Rows<T> y) {
  detail::require_same_shape("add_bias", x, y);
  launch_rows(device, y.rows, kernels::AddBias<T>{x, bias, y}, y.columns);
}

}  // namespace caprl
