#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/math.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

namespace caprl {

namespace kernels {

/// y = softmax(scale x) over each row of x [T, C]. A row of minus infinities gives NaN.
template <class T>
struct Softmax {
  Accumulator<T> scale;
  Rows<const T> x;
  Rows<T> y;  ///< may be x

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    T* out = y.row(row);
    const Accumulator<T> top = team.template max<T>(x.columns, [&](auto at) { return at(in) * scale; });
    const Accumulator<T> total = team.template sum<T>(x.columns, [&](auto at) {
      const auto value = exponential(at(in) * scale - top);
      at.store(out, value);
      return value;
    });
    const Accumulator<T> share = 1 / total;
    team.template each<T>(x.columns, [&](auto at) { at.store(out, at(out) * share); });
  }
};

/// dx = scale y (dy - sum(dy y)).
template <class T>
struct SoftmaxBackward {
  Accumulator<T> scale;
  Rows<const T> y;
  Rows<const T> dy;
  Rows<T> dx;  ///< may be dy

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* probability = y.row(row);
    const T* gradient = dy.row(row);
    T* out = dx.row(row);
    const Accumulator<T> level =
        team.template sum<T>(y.columns, [&](auto at) { return at(probability) * at(gradient); });
    team.template each<T>(y.columns, [&](auto at) { at.store(out, (at(gradient) - level) * at(probability) * scale); });
  }
};

/// y = log softmax(scale x) over each row. `log_total` [T], if not null, receives log(sum(exp(scale x))).
template <class T>
struct LogSoftmax {
  Accumulator<T> scale;
  Rows<const T> x;
  Rows<T> y;  ///< may be x
  Accumulator<T>* log_total;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    T* out = y.row(row);
    const Accumulator<T> top = team.template max<T>(x.columns, [&](auto at) { return at(in) * scale; });
    const Accumulator<T> total =
        team.template sum<T>(x.columns, [&](auto at) { return exponential(at(in) * scale - top); });
    const Accumulator<T> level = top + logarithm(total);
    team.template each<T>(x.columns, [&](auto at) { at.store(out, at(in) * scale - level); });
    if (log_total != nullptr && team.leader()) log_total[row] = level;
  }
};

}  // namespace kernels

/// y = softmax(scale x) over each row; y may be x.
template <class Device, class T>
void softmax(Device device, Accumulator<T> scale, ConstRows<T> x, Rows<T> y) {
  detail::require_same_shape("softmax", x, y);
  launch_rows(device, x.rows, kernels::Softmax<T>{scale, x, y}, 8 * x.columns);
}

/// Replaces dx, which may be dy; y is the forward pass's result.
template <class Device, class T>
void softmax_backward(Device device, Accumulator<T> scale, ConstRows<T> y, ConstRows<T> dy, Rows<T> dx) {
  detail::require_same_shape("softmax_backward", y, dy);
  detail::require_same_shape("softmax_backward", y, dx);
  launch_rows(device, y.rows, kernels::SoftmaxBackward<T>{scale, y, dy, dx}, 2 * y.columns);
}

/// y = log softmax(scale x) over each row; y may be x. `log_total` [T] may be null.
template <class Device, class T>
void log_softmax(Device device, Accumulator<T> scale, ConstRows<T> x, Rows<T> y, Accumulator<T>* log_total = nullptr) {
  detail::require_same_shape("log_softmax", x, y);
  launch_rows(device, x.rows, kernels::LogSoftmax<T>{scale, x, y, log_total}, 8 * x.columns);
}

}  // namespace caprl
