#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/math.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

namespace caprl {

namespace kernels {

/// y = log softmax(scale x) over each row of x [T, C]; a row of minus infinities gives NaN.
template <class T>
struct LogSoftmax {
  Accumulator<T> scale;
  Rows<const T> x;
  Rows<T> y;  ///< may be x

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    T* out = y.row(row);
    const Accumulator<T> top = team.template max<T>(x.columns, [&](auto at) { return at(in) * scale; });
    const Accumulator<T> total =
        team.template sum<T>(x.columns, [&](auto at) { return exponential(at(in) * scale - top); });
    const Accumulator<T> level = top + logarithm(total);
    team.template each<T>(x.columns, [&](auto at) { at.store(out, at(in) * scale - level); });
  }
};

}  // namespace kernels

/// y = log softmax(scale x) over each row; y may be x.
template <class Device, class T>
void log_softmax(Device device, Accumulator<T> scale, ConstRows<T> x, Rows<T> y) {
  detail::require_same_shape("log_softmax", x, y);
  launch_rows(device, x.rows, kernels::LogSoftmax<T>{scale, x, y}, 8 * x.columns);
}

}  // namespace caprl
