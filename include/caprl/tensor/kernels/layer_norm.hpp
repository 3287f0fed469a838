#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/column_sum.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// Layer normalisation (Ba et al., 2016, arXiv 1607.06450): y = (x - mean(x)) gain / sqrt(variance(x) + epsilon) + bias
/// over each row of x [T, C].
namespace caprl {

/// What the backward pass of a layer norm needs of each row. [T]
template <class A>
struct RowMoments {
  A* mean = nullptr;
  A* inverse_deviation = nullptr;
};

namespace kernels {

template <class T>
struct LayerNorm {
  Rows<const T> x;
  const T* gain;           ///< [C]
  const T* bias;           ///< [C]
  Accumulator<T> epsilon;  ///< added to the variance
  Rows<T> y;
  RowMoments<Accumulator<T>> moments;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    T* out = y.row(row);
    const auto count = static_cast<Accumulator<T>>(x.columns);
    const Accumulator<T> mean = team.template sum<T>(x.columns, [&](auto at) { return at(in); }) / count;
    const auto squares = team.template sum<T>(x.columns, [&](auto at) {
      const auto centred = at(in) - mean;
      return centred * centred;
    });
    const Accumulator<T> inverse = 1 / square_root(squares / count + epsilon);
    team.template each<T>(x.columns, [&](auto at) { at.store(out, (at(in) - mean) * inverse * at(gain) + at(bias)); });
    if (team.leader()) {
      moments.mean[row] = mean;
      moments.inverse_deviation[row] = inverse;
    }
  }
};

/// dx = s (g - mean(g) - z mean(g z)) with s the inverse deviation, g = dy gain and z = (x - mean) s.
template <class T>
struct LayerNormBackward {
  Rows<const T> x;
  const T* gain;
  RowMoments<const Accumulator<T>> moments;
  Rows<const T> dy;
  Rows<T> dx;
  bool accumulate;  ///< add to dx instead of replacing it

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = x.row(row);
    const T* gradient = dy.row(row);
    T* out = dx.row(row);
    const Accumulator<T> mean = moments.mean[row], s = moments.inverse_deviation[row];
    const auto count = static_cast<Accumulator<T>>(x.columns);
    const Accumulator<T> along_ones =
        team.template sum<T>(x.columns, [&](auto at) { return at(gradient) * at(gain); }) / count;
    const Accumulator<T> along_x = team.template sum<T>(x.columns, [&](auto at) {
      return at(gradient) * at(gain) * (at(in) - mean);
    }) * s * s / count;
    team.template each<T>(x.columns, [&](auto at) {
      const auto change = (at(gradient) * at(gain) - along_ones - (at(in) - mean) * along_x) * s;
      if (accumulate) {
        at.store(out, at(out) + change);
      } else {
        at.store(out, change);
      }
    });
  }
};

/// One row's share of the gain's gradient: dy z.
template <class T>
struct LayerNormGainTerm {
  Rows<const T> x;
  RowMoments<const Accumulator<T>> moments;
  Rows<const T> dy;

  template <class Position>
  CAPRL_HD auto operator()(Index row, Position at) const {
    return at(dy.row(row)) * (at(x.row(row)) - moments.mean[row]) * moments.inverse_deviation[row];
  }
};

}  // namespace kernels

template <class Device, class T>
void layer_norm(Device device, ConstRows<T> x, const T* gain, const T* bias, Accumulator<T> epsilon, Rows<T> y,
                RowMoments<Accumulator<T>> moments) {
  detail::require_same_shape("layer_norm", x, y);
  launch_rows(device, x.rows, kernels::LayerNorm<T>{x, gain, bias, epsilon, y, moments}, 2 * x.columns);
}

/// dx (replaced, or added to if `accumulate`); dgain and dbias [C] are added to, and may be null.
template <class Device, class T, class G>
void layer_norm_backward(Device device, ConstRows<T> x, const T* gain, RowMoments<const Accumulator<T>> moments,
                         ConstRows<T> dy, Rows<T> dx, bool accumulate, G* dgain, G* dbias) {
  detail::require_same_shape("layer_norm_backward", x, dy);
  detail::require_same_shape("layer_norm_backward", x, dx);
  const kernels::LayerNormBackward<T> kernel{x, gain, moments, dy, dx, accumulate};
  if (dgain != nullptr) {
    add_column_sums<T>(device, x.rows, x.columns, kernels::LayerNormGainTerm<T>{x, moments, dy}, dgain, kernel);
  } else {
    launch_rows(device, x.rows, kernel, 2 * x.columns);
  }
  if (dbias != nullptr) add_column_sums(device, dy, dbias);
}

}  // namespace caprl
