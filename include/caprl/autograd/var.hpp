#pragma once

#include <memory>
#include <utility>

#include "caprl/autograd/tape.hpp"
#include "caprl/tensor/bf16.hpp"
#include "caprl/tensor/tensor.hpp"

namespace caprl {

/// Where an op's backward pass puts an input's gradient: it assigns if `fresh`, else it adds.
template <class T, class Device>
struct GradientSlot {
  Rows<T> rows;
  bool fresh = true;

  /// The factor of what is already there, as in C = A B + beta C.
  T beta() const { return fresh ? T{0} : T{1}; }
};

/// A tensor in a computation, with a gradient once a backward pass has reached it. A handle: copies are the same value.
template <class T, class Device = Cpu>
class Var {
 public:
  Var() = default;

  /// A value that needs no gradient (a constant), or one that does (a leaf, such as the keys of a shared prefix).
  explicit Var(Tensor<T, Device> value, bool needs_gradient = false)
      : state_(std::make_shared<State>(State{std::move(value), {}, needs_gradient, false})) {}

  /// False for a variable that was never given a tensor.
  bool defined() const { return state_ != nullptr; }
  const Tensor<T, Device>& value() const { return state_->value; }
  Rows<T> rows() const { return value().rows(); }
  const Shape& shape() const { return value().shape(); }

  bool needs_gradient() const { return state_ != nullptr && state_->needs_gradient; }
  /// For an op that changes the value in place and has inputs of its own that need gradients.
  void require_gradient() const { state_->needs_gradient = true; }
  bool has_gradient() const { return state_->has_gradient; }
  const Tensor<T, Device>& gradient() const { return state_->gradient; }

  /// For the backward pass of an op that has this as an input. The gradient is allocated at its first use.
  GradientSlot<T, Device> gradient_slot() const {
    if (state_->gradient.shape() != state_->value.shape()) state_->gradient = Tensor<T, Device>(state_->value.shape());
    return {state_->gradient.rows(), !std::exchange(state_->has_gradient, true)};
  }

  /// Gives the gradient, where a backward pass begins. Replaces what was there. Takes the tensor over: the backward
  /// pass may write to it, so who still needs it gives a clone.
  void seed_gradient(Tensor<T, Device> gradient) const {
    if (gradient.shape() != shape()) {
      throw Error("[Var::seed_gradient] expected shape " + to_string(shape()) + ", got " + to_string(gradient.shape()));
    }
    state_->gradient = std::move(gradient);
    state_->has_gradient = true;
  }

  /// Lets go of the gradient's storage, after the last op that reads it.
  void drop_gradient() const {
    state_->gradient = {};
    state_->has_gradient = false;
  }

 private:
  struct State {
    Tensor<T, Device> value;
    Tensor<T, Device> gradient;
    bool needs_gradient;
    bool has_gradient;
  };
  std::shared_ptr<State> state_;
};

/// The type in which a parameter's gradients are summed.
template <class T>
struct GradientType {
  using type = T;
};
template <>
struct GradientType<bf16> {
  using type = float;
};

/// A tensor that is trained, unless it is frozen. Its gradient adds up over backward passes until `zero_gradient`. A
/// handle, so tied weights are one parameter in two places.
template <class T, class Device = Cpu>
class Parameter {
 public:
  using Gradient = typename GradientType<T>::type;

  Parameter() = default;
  explicit Parameter(const Shape& shape)
      : state_(std::make_shared<State>(State{Tensor<T, Device>(shape), {}, false})) {}

  /// False for one that was never given a shape, such as the bias of a layer without one.
  bool defined() const { return state_ != nullptr; }
  const Shape& shape() const { return state_->value.shape(); }
  const Tensor<T, Device>& value() const { return state_->value; }
  Rows<T> rows() const { return value().rows(); }

  /// False for none and for one that is frozen: backward passes leave it out, and end where nothing below needs any.
  bool needs_gradient() const { return state_ != nullptr && !state_->frozen; }
  /// From now on no gradient is computed; what was summed is gone.
  void freeze() const {
    state_->frozen = true;
    state_->gradient = {};
  }

  /// The summed gradient; zeros are allocated at the first use.
  const Tensor<Gradient, Device>& gradient() const {
    if (state_->gradient.shape() != shape()) state_->gradient = Tensor<Gradient, Device>::zeros(shape());
    return state_->gradient;
  }
  void zero_gradient() const { std::fill_n(gradient().data(), gradient().elements(), Gradient{}); }

  friend bool operator==(const Parameter& a, const Parameter& b) { return a.state_ == b.state_; }

 private:
  struct State {
    Tensor<T, Device> value;
    Tensor<Gradient, Device> gradient;
    bool frozen;
  };
  std::shared_ptr<State> state_;
};

/// True if an op with these inputs, variables or parameters, has to record its backward pass.
template <class... Inputs>
bool needs_backward(const Inputs&... inputs) {
  return Tape::recording() && (inputs.needs_gradient() || ...);
}

}  // namespace caprl
