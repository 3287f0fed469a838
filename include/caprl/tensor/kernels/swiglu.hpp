#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/math.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// Gated unit (Shazeer, 2020, arXiv 2002.05202): y = gate sigmoid(gate) up, all [T, C]; gate and up may be column
/// blocks of one fused product.
namespace caprl {

namespace kernels {

template <class T>
struct SwiGlu {
  Rows<const T> gate;
  Rows<const T> up;
  Rows<T> y;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* g = gate.row(row);
    const T* u = up.row(row);
    T* out = y.row(row);
    team.template each<T>(gate.columns, [&](auto at) {
      const auto value = at(g);
      at.store(out, value * sigmoid(value) * at(u));
    });
  }
};

/// Replaces dgate and dup; they may be gate and up themselves.
template <class T>
struct SwiGluBackward {
  Rows<const T> gate;
  Rows<const T> up;
  Rows<const T> dy;
  Rows<T> dgate;
  Rows<T> dup;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* g = gate.row(row);
    const T* u = up.row(row);
    const T* gradient = dy.row(row);
    T* to_gate = dgate.row(row);
    T* to_up = dup.row(row);
    team.template each<T>(gate.columns, [&](auto at) {
      const auto value = at(g);
      const auto change = at(gradient);
      const auto share = sigmoid(value);
      const auto silu = value * share;
      const auto slope = share + silu * (Accumulator<T>{1} - share);
      const auto through = change * at(u) * slope;
      at.store(to_up, change * silu);
      at.store(to_gate, through);
    });
  }
};

}  // namespace kernels

template <class Device, class T>
void swiglu(Device device, ConstRows<T> gate, ConstRows<T> up, Rows<T> y) {
  detail::require_same_shape("swiglu", gate, up);
  detail::require_same_shape("swiglu", gate, y);
  launch_rows(device, gate.rows, kernels::SwiGlu<T>{gate, up, y}, 4 * gate.columns);
}

/// Replaces dgate and dup; they may be gate and up themselves.
template <class Device, class T>
void swiglu_backward(Device device, ConstRows<T> gate, ConstRows<T> up, ConstRows<T> dy, Rows<T> dgate, Rows<T> dup) {
  detail::require_same_shape("swiglu_backward", gate, up);
  detail::require_same_shape("swiglu_backward", gate, dy);
  detail::require_same_shape("swiglu_backward", gate, dgate);
  detail::require_same_shape("swiglu_backward", gate, dup);
  launch_rows(device, gate.rows, kernels::SwiGluBackward<T>{gate, up, dy, dgate, dup}, 6 * gate.columns);
}

}  // namespace caprl
