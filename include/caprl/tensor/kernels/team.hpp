#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/kernels/number.hpp"

/// Kernels written once for every device.
///
/// A kernel is a function object `kernel(team, row)`. The team is what works on one row together: one thread on the
/// CPU, a block of threads on CUDA. It offers
///
///     team.each<T>(count, body)   body(at) for positions that together cover [0, count) once
///     team.sum<T>(count, body)    the sum of body(at), in a fixed order; every member gets it
///     team.max<T>(count, body)    the greatest body(at); NaN if there is one
///     team.leader()               true in one member: it writes what there is one of
///
/// where `at` is several neighbouring elements or, in the tail, one: `at(pointer)` loads `pointer[position]` as numbers
/// to compute with, `at.store(pointer, value)` rounds and stores. The body is a generic lambda, so the same line of
/// arithmetic runs on a pack of 16 floats, on 16 bytes in CUDA, and on single numbers. T is the type stored.
namespace caprl {

/// A single position, on any device.
template <class T>
struct ScalarPosition {
  Index offset;

  using Value = Accumulator<T>;
  template <class Stored>
  CAPRL_HD Value operator()(const Stored* from) const {
    return static_cast<Value>(static_cast<Accumulator<Stored>>(from[offset]));
  }
  template <class Stored>
  CAPRL_HD void store(Stored* to, Value value) const {
    to[offset] = static_cast<Stored>(static_cast<Accumulator<Stored>>(value));
  }
};

}  // namespace caprl
