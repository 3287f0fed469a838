#pragma once

#include <string>

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/column_sum.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/kernels/rms_norm.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// Root-mean-square normalisation of each attention head by itself, with the same gain [D] for all heads of x
/// [T, heads * D]: the query and key norms of Qwen3 (arXiv 2505.09388; after Dehghani et al., 2023, arXiv 2302.05442).
namespace caprl {

namespace kernels {

/// Head `h` of a view of heads of D features.
template <class T>
CAPRL_HD Rows<T> head_of(const Rows<T>& heads, Index h, Index head_size) {
  return heads.columns_between(h * head_size, (h + 1) * head_size);
}

template <class T>
struct HeadNorm {
  Rows<const T> x;
  Index head_size;
  const T* gain;           ///< [D]
  Accumulator<T> epsilon;  ///< added to the mean square
  Rows<T> y;
  Accumulator<T>* inverse_rms;  ///< [heads, T], for the backward pass

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    for (Index h = 0; h < x.columns / head_size; ++h) {
      RmsNorm<T>{head_of(x, h, head_size), gain, epsilon, head_of(y, h, head_size), inverse_rms + h * x.rows}(team,
                                                                                                              row);
    }
  }
};

template <class T>
struct HeadNormBackward {
  Rows<const T> x;
  Index head_size;
  const T* gain;
  const Accumulator<T>* inverse_rms;
  Rows<const T> dy;
  Rows<T> dx;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    for (Index h = 0; h < x.columns / head_size; ++h) {
      RmsNormBackward<T>{head_of(x, h, head_size),  gain, inverse_rms + h * x.rows, head_of(dy, h, head_size),
                         head_of(dx, h, head_size), false}(team, row);
    }
  }
};

/// One row's share of the gain's gradient: that of all its heads.
template <class T>
struct HeadNormGainTerm {
  Rows<const T> x;
  Index head_size;
  const Accumulator<T>* inverse_rms;
  Rows<const T> dy;

  template <class Position>
  CAPRL_HD auto operator()(Index row, Position at) const {
    auto sum = of_head(0, row, at);
    for (Index h = 1; h < x.columns / head_size; ++h) sum = sum + of_head(h, row, at);
    return sum;
  }

  template <class Position>
  CAPRL_HD auto of_head(Index h, Index row, Position at) const {
    return RmsNormGainTerm<T>{head_of(x, h, head_size), inverse_rms + h * x.rows, head_of(dy, h, head_size)}(row, at);
  }
};

}  // namespace kernels

namespace detail {

template <class T>
void require_whole_heads(const Rows<T>& x, Index head_size) {
  if (head_size < 1 || x.columns == 0 || x.columns % head_size != 0) {
    throw Error("[head_norm] expected whole heads of " + std::to_string(head_size) + " features, got " + shape_text(x));
  }
}

}  // namespace detail

/// x [T, heads * D]; y likewise, and possibly x itself; inverse_rms [heads, T].
template <class Device, class T>
void head_norm(Device device, ConstRows<T> x, Index head_size, const T* gain, Accumulator<T> epsilon, Rows<T> y,
               Accumulator<T>* inverse_rms) {
  detail::require_same_shape("head_norm", x, y);
  detail::require_whole_heads(x, head_size);
  launch_rows(device, x.rows, kernels::HeadNorm<T>{x, head_size, gain, epsilon, y, inverse_rms}, x.columns);
}

/// x is what went in; dx is replaced, and may be dy itself; dgain [D] is added to, and may be null.
template <class Device, class T, class G>
void head_norm_backward(Device device, ConstRows<T> x, Index head_size, const T* gain,
                        const Accumulator<T>* inverse_rms, ConstRows<T> dy, Rows<T> dx, G* dgain) {
  detail::require_same_shape("head_norm_backward", x, dy);
  detail::require_same_shape("head_norm_backward", x, dx);
  detail::require_whole_heads(x, head_size);
  const kernels::HeadNormBackward<T> kernel{x, head_size, gain, inverse_rms, dy, dx};
  if (dgain != nullptr) {
    add_column_sums<T>(device, x.rows, head_size, kernels::HeadNormGainTerm<T>{x, head_size, inverse_rms, dy}, dgain,
                       kernel);
  } else {
    launch_rows(device, x.rows, kernel, 2 * x.columns);
  }
}

}  // namespace caprl
