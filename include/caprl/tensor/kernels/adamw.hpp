#pragma once

#include <cmath>

#include "caprl/core/host_device.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/kernels/number.hpp"

namespace caprl {

/// One update's numbers, the same for every tensor that shares them.
struct AdamWStep {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  double gradient_scale = 1;  ///< what clipping multiplies every gradient with
  Index step = 1;             ///< counted from 1, for the bias corrections
};

namespace kernels {

/// Decoupled weight decay (Loshchilov and Hutter, 2019, arXiv 1711.05101, algorithm 2), as torch.optim.AdamW computes
/// it: p -= lr decay p;  m, v averages of g and g^2;  p -= lr mhat / (sqrt(vhat) + epsilon). One pass, 28 bytes for a
/// float parameter.
template <class T, class G>
struct AdamW {
  static constexpr Index block = 4096;

  T* parameter;
  const G* gradient;
  Accumulator<T>* first;   ///< m
  Accumulator<T>* second;  ///< v
  Index count;
  Accumulator<T> keep;  ///< 1 - lr decay
  Accumulator<T> beta1;
  Accumulator<T> rest1;  ///< (1 - beta1)
  Accumulator<T> beta2;
  Accumulator<T> rest2;
  Accumulator<T> gradient_scale;
  Accumulator<T> step_size;      ///< lr / (1 - beta1^step)
  Accumulator<T> root_inverse2;  ///< 1 / sqrt(1 - beta2^step)
  Accumulator<T> epsilon;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index index) const {
    const Index begin = index * block;
    const Index size = count - begin < block ? count - begin : block;
    team.template each<T>(size, [&](auto at) {
      at.offset += begin;
      const auto g = at(gradient) * gradient_scale;
      const auto m = at(first) * beta1 + g * rest1;
      const auto v = at(second) * beta2 + g * g * rest2;
      at.store(first, m);
      at.store(second, v);
      at.store(parameter, at(parameter) * keep - m * step_size / (square_root(v) * root_inverse2 + epsilon));
    });
  }
};

}  // namespace kernels

/// Updates `count` parameters and their two averages in place.
template <class Device, class T, class G>
void adamw(Device device, const AdamWStep& step, T* parameter, const G* gradient, Accumulator<T>* first,
           Accumulator<T>* second, Index count) {
  using A = Accumulator<T>;
  const double correction1 = 1 - std::pow(step.beta1, static_cast<double>(step.step));
  const double correction2 = 1 - std::pow(step.beta2, static_cast<double>(step.step));
  const kernels::AdamW<T, G> kernel{parameter,
                                    gradient,
                                    first,
                                    second,
                                    count,
                                    static_cast<A>(1 - step.learning_rate * step.weight_decay),
                                    static_cast<A>(step.beta1),
                                    static_cast<A>(1 - step.beta1),
                                    static_cast<A>(step.beta2),
                                    static_cast<A>(1 - step.beta2),
                                    static_cast<A>(step.gradient_scale),
                                    static_cast<A>(step.learning_rate / correction1),
                                    static_cast<A>(1 / std::sqrt(correction2)),
                                    static_cast<A>(step.epsilon)};
  launch_rows(device, (count + kernel.block - 1) / kernel.block, kernel, 7 * kernel.block);
}

}  // namespace caprl
