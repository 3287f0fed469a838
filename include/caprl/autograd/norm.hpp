#pragma once

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/elementwise.hpp"
#include "caprl/tensor/kernels/head_norm.hpp"
#include "caprl/tensor/kernels/layer_norm.hpp"
#include "caprl/tensor/kernels/rms_norm.hpp"

namespace caprl {

namespace detail {

/// Where a norm's backward pass puts dx: a gradient that nobody asks for still needs a place to go to.
template <class T, class Device>
struct NormGradient {
  Tensor<T, Device> unasked;
  GradientSlot<T, Device> slot;

  explicit NormGradient(const Var<T, Device>& x) {
    if (x.needs_gradient()) {
      slot = x.gradient_slot();
    } else {
      unasked = Tensor<T, Device>(x.shape());
      slot = {unasked.rows(), true};
    }
  }
};

/// Where a parameter's gradient is added to; null if it is frozen.
template <class T, class Device>
auto* gradient_or_null(const Parameter<T, Device>& parameter) {
  return parameter.needs_gradient() ? parameter.gradient().data() : nullptr;
}

}  // namespace detail

/// y = x gain / sqrt(mean(x^2) + epsilon) over each row: x [T, C], gain [C].
template <class T, class Device>
Var<T, Device> rms_norm(const Var<T, Device>& x, const Parameter<T, Device>& gain, double epsilon) {
  require(gain.shape().elements() == x.shape().columns(), "[rms_norm] expected a gain for each column");
  Var<T, Device> y(Tensor<T, Device>(x.shape()), needs_backward(x, gain));
  Tensor<Accumulator<T>, Device> inverse_rms({x.shape().rows()});
  rms_norm(Device{}, x.rows(), static_cast<const T*>(gain.value().data()), static_cast<Accumulator<T>>(epsilon),
           y.rows(), inverse_rms.data());
  record_backward(y, [=] {
    const detail::NormGradient<T, Device> dx(x);
    rms_norm_backward(Device{}, x.rows(), static_cast<const T*>(gain.value().data()),
                      static_cast<const Accumulator<T>*>(inverse_rms.data()), y.gradient().rows(), dx.slot.rows,
                      !dx.slot.fresh, detail::gradient_or_null(gain));
  });
  return y;
}

/// y = (x - mean(x)) gain / sqrt(variance(x) + epsilon) + bias over each row: x [T, C], gain and bias [C].
template <class T, class Device>
Var<T, Device> layer_norm(const Var<T, Device>& x, const Parameter<T, Device>& gain, const Parameter<T, Device>& bias,
                          double epsilon) {
  require(gain.shape().elements() == x.shape().columns() && bias.shape() == gain.shape(),
          "[layer_norm] expected a gain and a bias for each column");
  using A = Accumulator<T>;
  Var<T, Device> y(Tensor<T, Device>(x.shape()), needs_backward(x, gain, bias));
  const Tensor<A, Device> moments({2, x.shape().rows()});
  A* mean = moments.data();
  A* inverse_deviation = mean + x.shape().rows();
  layer_norm<Device, T>(Device{}, x.rows(), gain.value().data(), bias.value().data(), static_cast<A>(epsilon), y.rows(),
                        RowMoments<A>{mean, inverse_deviation});
  record_backward(y, [=] {
    const detail::NormGradient<T, Device> dx(x);
    const RowMoments<const A> kept{moments.data(), moments.data() + x.shape().rows()};
    layer_norm_backward<Device, T>(Device{}, x.rows(), gain.value().data(), kept, y.gradient().rows(), dx.slot.rows,
                                   !dx.slot.fresh, detail::gradient_or_null(gain), detail::gradient_or_null(bias));
  });
  return y;
}

/// Normalises each head of columns [begin, end) of x [T, ...] in place, all with the same gain [D], and turns x's
/// gradient back in place. For a value that nothing else has read, such as a product of queries, keys and values; what
/// was there is copied if a tape records.
template <class T, class Device>
void head_norm_in_place(const Var<T, Device>& x, Index begin, Index end, const Parameter<T, Device>& gain,
                        double epsilon) {
  require(begin >= 0 && begin <= end && end <= x.shape().columns(), "[head_norm_in_place] expected columns of x");
  const Index size = gain.shape().elements();
  const Rows<T> heads = x.rows().columns_between(begin, end);
  if (needs_backward(gain)) x.require_gradient();
  const bool records = needs_backward(x);
  const Tensor<T, Device> before(records ? Shape{heads.rows, heads.columns} : Shape{0, 0});
  if (records) copy_rows(Device{}, heads, before.rows());
  const Tensor<Accumulator<T>, Device> inverse_rms({heads.columns / size, heads.rows});
  head_norm<Device, T>(Device{}, heads, size, gain.value().data(), static_cast<Accumulator<T>>(epsilon), heads,
                       inverse_rms.data());
  record_backward(x, [=] {
    const Rows<T> gradient = x.gradient().rows().columns_between(begin, end);
    head_norm_backward<Device, T>(Device{}, before.rows(), size, gain.value().data(), inverse_rms.data(), gradient,
                                  gradient, detail::gradient_or_null(gain));
  });
}

}  // namespace caprl
