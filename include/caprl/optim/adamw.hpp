#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/nn/module.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/adamw.hpp"
#include "caprl/tensor/kernels/squared_norm.hpp"

namespace caprl {

struct AdamWSettings {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;  ///< of matrices; vectors (norms, biases) are not decayed
  double gradient_norm = 1.0;  ///< the norm over all gradients is clipped to this; 0: not clipped
};

/// AdamW with the gradients' global norm clipped, over the parameters of a module.
template <class T, class Device = Cpu>
class AdamWOptimizer {
 public:
  /// A parameter's running averages, shaped as it.
  struct State {
    Parameter<T, Device> parameter;
    Tensor<Accumulator<T>, Device> first;
    Tensor<Accumulator<T>, Device> second;
    double learning_rate_factor = 1;
  };

  /// `learning_rate_factors`: one for each parameter, or none, where all are 1. Throws Error where a parameter is
  /// frozen.
  AdamWOptimizer(std::vector<Parameter<T, Device>> parameters, const AdamWSettings& settings,
                 const std::vector<double>& learning_rate_factors = {})
      : settings_(settings) {
    require(learning_rate_factors.empty() || learning_rate_factors.size() == parameters.size(),
            "[AdamW] expected a learning-rate factor for each parameter, or none");
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      require(parameters[p].needs_gradient(), "[AdamW] expected parameters that are trained, got a frozen one");
      const Shape shape = parameters[p].shape();
      using Average = Tensor<Accumulator<T>, Device>;
      states_.push_back({std::move(parameters[p]), Average::zeros(shape), Average::zeros(shape),
                         learning_rate_factors.empty() ? 1.0 : learning_rate_factors[p]});
    }
  }

  /// One update from the summed gradients, which are zero afterwards. Returns their norm before clipping. Throws Error,
  /// with nothing changed, if a gradient is not a number.
  double step(double learning_rate) {
    const double norm = gradient_norm();
    if (!std::isfinite(norm)) {
      throw Error("[AdamW] expected finite gradients, got a norm of " + std::to_string(norm),
                  "step " + std::to_string(steps_ + 1),
                  "the run has diverged: go back to the last checkpoint and lower the learning rate");
    }
    ++steps_;
    AdamWStep numbers{.learning_rate = 0,
                      .beta1 = settings_.beta1,
                      .beta2 = settings_.beta2,
                      .epsilon = settings_.epsilon,
                      .weight_decay = 0,
                      .gradient_scale = 1,
                      .step = steps_};
    if (settings_.gradient_norm > 0 && norm > settings_.gradient_norm) {
      numbers.gradient_scale = settings_.gradient_norm / norm;
    }
    for (const State& state : states_) {
      numbers.learning_rate = learning_rate * state.learning_rate_factor;
      numbers.weight_decay = state.parameter.shape().rank() > 1 ? settings_.weight_decay : 0.0;
      adamw(Device{}, numbers, state.parameter.value().data(), state.parameter.gradient().data(), state.first.data(),
            state.second.data(), state.parameter.value().elements());
      state.parameter.zero_gradient();
    }
    return norm;
  }

  /// The norm over all gradients as they are now.
  double gradient_norm() const {
    double squares = 0;
    for (const State& state : states_) {
      squares += squared_norm(Device{}, state.parameter.gradient().data(), state.parameter.value().elements());
    }
    return std::sqrt(squares);
  }

  const std::vector<State>& states() const { return states_; }
  /// Updates made so far: with the averages, all that a resumed run needs.
  Index steps() const { return steps_; }
  void set_steps(Index steps) { steps_ = steps; }

 private:
  AdamWSettings settings_;
  std::vector<State> states_;
  Index steps_ = 0;
};

}  // namespace caprl
