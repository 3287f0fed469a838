#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/column_sum.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// Root-mean-square normalisation (Zhang and Sennrich, 2019, arXiv 1910.07467): y = x gain / sqrt(mean(x^2) + epsilon)
/// over each row of x [T, C].
namespace caprl {

namespace kernels {

template <class T>
struct RmsNorm {
  Rows<const T> x;
  const T* gain;           ///< [C]
  Accumulator<T> epsilon;  ///< added to the mean square
  Rows<T> y;
  Accumulator<T>* inverse_rms;  ///< [T], for the backward pass

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    T* out = y.row(row);
    const auto squares = team.template sum<T>(x.columns, [&](auto at) {
      const auto value = at(in);
      return value * value;
    });
    const Accumulator<T> inverse = 1 / square_root(squares / static_cast<Accumulator<T>>(x.columns) + epsilon);
    team.template each<T>(x.columns, [&](auto at) { at.store(out, at(in) * inverse * at(gain)); });
    if (team.leader()) inverse_rms[row] = inverse;
  }
};

/// dx = s (dy gain - x s^2 mean(dy gain x)) with s the inverse root mean square.
template <class T>
struct RmsNormBackward {
  Rows<const T> x;
  const T* gain;
  const Accumulator<T>* inverse_rms;
  Rows<const T> dy;
  Rows<T> dx;
  bool accumulate;  ///< add to dx instead of replacing it

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    const T* gradient = dy.row(row);
    T* out = dx.row(row);
    const auto inner = team.template sum<T>(x.columns, [&](auto at) { return at(gradient) * at(gain) * at(in); });
    const Accumulator<T> s = inverse_rms[row];
    const Accumulator<T> along = inner * s * s * s / static_cast<Accumulator<T>>(x.columns);
    if (accumulate) {
      team.template each<T>(x.columns,
                            [&](auto at) { at.store(out, at(out) + (at(gradient) * at(gain) * s - at(in) * along)); });
    } else {
      team.template each<T>(x.columns, [&](auto at) { at.store(out, at(gradient) * at(gain) * s - at(in) * along); });
    }
  }
};

/// One row's share of the gain's gradient: dy x s.
template <class T>
struct RmsNormGainTerm {
  Rows<const T> x;
  const Accumulator<T>* inverse_rms;
  Rows<const T> dy;

  template <class Position>
  CAPRL_HD auto operator()(Index row, Position at) const {
    return at(dy.row(row)) * at(x.row(row)) * inverse_rms[row];
  }
};

}  // namespace kernels

template <class Device, class T>
void rms_norm(Device device, ConstRows<T> x, const T* gain, Accumulator<T> epsilon, Rows<T> y,
              Accumulator<T>* inverse_rms) {
  detail::require_same_shape("rms_norm", x, y);
  launch_rows(device, x.rows, kernels::RmsNorm<T>{x, gain, epsilon, y, inverse_rms}, x.columns);
}

/// dx (replaced, or added to if `accumulate`); dgain [C], always added to, may be null.
template <class Device, class T, class G>
void rms_norm_backward(Device device, ConstRows<T> x, const T* gain, const Accumulator<T>* inverse_rms, ConstRows<T> dy,
                       Rows<T> dx, bool accumulate, G* dgain) {
  detail::require_same_shape("rms_norm_backward", x, dy);
  detail::require_same_shape("rms_norm_backward", x, dx);
  const kernels::RmsNormBackward<T> kernel{x, gain, inverse_rms, dy, dx, accumulate};
  if (dgain != nullptr) {
    add_column_sums<T>(device, x.rows, x.columns, kernels::RmsNormGainTerm<T>{x, inverse_rms, dy}, dgain, kernel);
  } else {
    launch_rows(device, x.rows, kernel, 2 * x.columns);
  }
}

}  // namespace caprl
