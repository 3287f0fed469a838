#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"

namespace caprl {

/// Records the backward passes of the ops that run while it lives, in the order they ran.
///
/// One tape records at a time on a thread: the innermost. Without one, ops only compute (and save nothing). Ops record
/// only where an input needs a gradient.
///
///     Tape tape;
///     Var<float> y = linear(x, weight);
///     y.seed_gradient(dy);
///     tape.backward();            // x.gradient() and weight.gradient() are there
class Tape {
 public:
  /// An op's backward pass. True if a gradient had reached the op's result, so that it did something.
  using Backward = std::function<bool()>;

  Tape() : enclosing_(std::exchange(current(), this)) {}
  ~Tape() { current() = enclosing_; }
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// True if ops are recorded on this thread.
  static bool recording() { return current() != nullptr; }

  /// Adds an op's backward pass to the recording tape.
  static void record(Backward backward) { current()->backwards_.push_back(std::move(backward)); }

  /// Runs the recorded passes from the last to the first, from gradients that were seeded before. Each pass is
  /// destroyed after its run, and with it the tensors that it kept. The tape is empty afterwards. Throws Error if no
  /// result that was recorded has a gradient: then none was seeded.
  void backward();

 private:
  friend class NoGradient;

  static Tape*& current() {
    thread_local Tape* tape = nullptr;
    return tape;
  }

  Tape* enclosing_;
  std::vector<Backward> backwards_;
};

/// While it lives, nothing is recorded on this thread.
class NoGradient {
 public:
  NoGradient() : suspended_(std::exchange(Tape::current(), nullptr)) {}
  ~NoGradient() { Tape::current() = suspended_; }
  NoGradient(const NoGradient&) = delete;
  NoGradient& operator=(const NoGradient&) = delete;

 private:
  Tape* suspended_;
};

inline void Tape::backward() {
  const NoGradient silent;
  bool reached = backwards_.empty();
  while (!backwards_.empty()) {
    const Backward pass = std::move(backwards_.back());
    backwards_.pop_back();
    reached = pass() || reached;
  }
  require(reached, "[Tape::backward] expected a gradient seeded in a recorded result, got none");
}

}  // namespace caprl
