#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/column_sum.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// Layer normalisation (Ba et al., 2016, arXiv 1607.06450): y = (x - mean) gain / sqrt(variance + epsilon) + bias over
/// each row of x [T, C].
namespace caprl {

namespace kernels {

template <class T>
struct LayerNorm {
  Rows<const T> x;
  const T* gain;           ///< [C]
  const T* bias;           ///< [C]
  Accumulator<T> epsilon;  ///< added to the variance
  Rows<T> y;
  Accumulator<T>* mean;               ///< [T], for the backward pass
  Accumulator<T>* inverse_deviation;  ///< [T], for the backward pass

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    T* out = y.row(row);
    const auto count = static_cast<Accumulator<T>>(x.columns);
    const Accumulator<T> centre = team.template sum<T>(x.columns, [&](auto at) { return at(in); }) / count;
    const auto squares = team.template sum<T>(x.columns, [&](auto at) {
      const auto apart = at(in) - centre;
      return apart * apart;
    });
    const Accumulator<T> inverse = 1 / square_root(squares / count + epsilon);
    team.template each<T>(x.columns,
                          [&](auto at) { at.store(out, (at(in) - centre) * inverse * at(gain) + at(bias)); });
    if (team.leader()) {
      mean[row] = centre;
      inverse_deviation[row] = inverse;
    }
  }
};

/// With h = (x - mean) s and g = dy gain: dx = s (g - mean(g) - h mean(g h)).
template <class T>
struct LayerNormBackward {
  Rows<const T> x;
  const T* gain;
  const Accumulator<T>* mean;
  const Accumulator<T>* inverse_deviation;
  Rows<const T> dy;
  Rows<T> dx;
  bool accumulate;  ///< add to dx instead of replacing it

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    const T* gradient = dy.row(row);
    T* out = dx.row(row);
    const Accumulator<T> centre = mean[row];
    const Accumulator<T> s = inverse_deviation[row];
    const auto count = static_cast<Accumulator<T>>(x.columns);
    const Accumulator<T> level =
        team.template sum<T>(x.columns, [&](auto at) { return at(gradient) * at(gain); }) / count;
    const Accumulator<T> along = team.template sum<T>(x.columns, [&](auto at) {
      return at(gradient) * at(gain) * (at(in) - centre);
    }) * s * s / count;
    team.template each<T>(x.columns, [&](auto at) {
      const auto change = (at(gradient) * at(gain) - level - (at(in) - centre) * along) * s;
      at.store(out, accumulate ? at(out) + change : change);
    });
  }
};

/// One row's share of the gain's gradient: dy h.
template <class T>
struct LayerNormGainTerm {
  Rows<const T> x;
  const Accumulator<T>* mean;
  const Accumulator<T>* inverse_deviation;
  Rows<const T> dy;

  template <class Position>
  CAPRL_HD auto operator()(Index row, Position at) const {
    return at(dy.row(row)) * (at(x.row(row)) - mean[row]) * inverse_deviation[row];
  }
};

}  // namespace kernels

template <class Device, class T>
void layer_norm(Device device, ConstRows<T> x, const T* gain, const T* bias, Accumulator<T> epsilon, Rows<T> y,
                Accumulator<T>* mean, Accumulator<T>* inverse_deviation) {
  detail::require_same_shape("layer_norm", x, y);
  launch_rows(device, x.rows, kernels::LayerNorm<T>{x, gain, bias, epsilon, y, mean, inverse_deviation}, 2 * x.columns);
}

/// dx (replaced, or added to if `accumulate`); dgain and dbias [C], always added to, may be null.
template <class Device, class T, class G>
void layer_norm_backward(Device device, ConstRows<T> x, const T* gain, const Accumulator<T>* mean,
                         const Accumulator<T>* inverse_deviation, ConstRows<T> dy, Rows<T> dx, bool accumulate,
                         G* dgain, G* dbias) {
  detail::require_same_shape("layer_norm_backward", x, dy);
  detail::require_same_shape("layer_norm_backward", x, dx);
  if (dbias != nullptr) add_column_sums(device, Rows<const T>(dy), dbias);
  const kernels::LayerNormBackward<T> kernel{x, gain, mean, inverse_deviation, dy, dx, accumulate};
  if (dgain != nullptr) {
    const kernels::LayerNormGainTerm<T> term{x, mean, inverse_deviation, dy};
    add_column_sums<T>(device, x.rows, x.columns, term, dgain, kernel);
  } else {
    launch_rows(device, x.rows, kernel, 3 * x.columns);
  }
}

}  // namespace caprl
