#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// Rotary position embedding (Su et al., 2021, arXiv 2104.09864) in Hugging Face's half-rotated layout: of a head's D
/// features, feature i and feature i + D/2 are one plane, turned by the angle of its row.
namespace caprl {

enum class Turn { forward, backward };

namespace kernels {

template <class T>
struct Rotary {
  Rows<const float> cosine;  ///< [T, D/2]
  Rows<const float> sine;    ///< [T, D/2]
  Turn turn;
  Rows<const T> x;  ///< [T, heads * D]
  Rows<T> y;        ///< may be x

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const Index half = cosine.columns;
    const Accumulator<T> sign = turn == Turn::forward ? 1 : -1;
    const float* c = cosine.row(row);
    const float* s = sine.row(row);
    for (Index head = 0; head < x.columns; head += 2 * half) {
      const T* in = x.row(row) + head;
      T* out = y.row(row) + head;
      team.template each<T>(half, [&](auto at) {
        const auto first = at(in);
        const auto second = at(in + half);
        const auto along = at(c);
        const auto across = at(s) * sign;
        at.store(out, first * along - second * across);
        at.store(out + half, second * along + first * across);
      });
    }
  }
};

}  // namespace kernels

/// x [T, heads * D], y likewise and possibly x itself; cosine and sine [T, D/2]. `Turn::backward` turns the other way:
/// the gradient of the forward turn.
template <class Device, class T>
void rotary(Device device, Turn turn, Rows<const float> cosine, Rows<const float> sine, ConstRows<T> x, Rows<T> y) {
  detail::require_same_shape("rotary", cosine, sine);
  detail::require_same_shape("rotary", x, y);
  if (cosine.rows != x.rows || cosine.columns == 0 || x.columns % (2 * cosine.columns) != 0) {
    throw Error("[rotary] expected one row of angles for each row and whole heads of twice their columns, got angles " +
                detail::shape_text(cosine) + " for " + detail::shape_text(x));
  }
  launch_rows(device, x.rows, kernels::Rotary<T>{cosine, sine, turn, x, y}, 2 * x.columns);
}

}  // namespace caprl
