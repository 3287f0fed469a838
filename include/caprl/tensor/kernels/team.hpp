#pragma once

#include <limits>

#include "caprl/core/host_device.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/kernels/pack.hpp"

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

/// A pack's worth of positions on the host.
template <class T>
struct PackPosition {
  Index offset;

  using Value = Pack<Accumulator<T>>;
  template <class Stored>
  Value operator()(const Stored* from) const {
    return detail::load_pack<Accumulator<T>>(from + offset);
  }
  template <class Stored>
  void store(Stored* to, const Value& value) const {
    detail::store_pack(value, to + offset);
  }
};

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

/// The team of the CPU: one thread, 16 lanes.
struct SerialTeam {
  static constexpr bool leader() { return true; }

  template <class T, class Body>
  void each(Index count, const Body& body) const {
    constexpr Index lanes = Pack<Accumulator<T>>::lanes;
    Index i = 0;
    for (; i + lanes <= count; i += lanes) body(PackPosition<T>{i});
    for (; i < count; ++i) body(ScalarPosition<T>{i});
  }

  template <class T, class Body>
  Accumulator<T> sum(Index count, const Body& body) const {
    return reduce<T>(
        count, Accumulator<T>{0}, body, [](const auto& a, const auto& b) { return a + b; },
        [](const auto& a) { return sum_lanes(a); });
  }

  template <class T, class Body>
  Accumulator<T> max(Index count, const Body& body) const {
    return reduce<T>(
        count, -std::numeric_limits<Accumulator<T>>::infinity(), body,
        [](const auto& a, const auto& b) { return maximum(a, b); }, [](const auto& a) { return max_lanes(a); });
  }

 private:
  /// Four packs are combined at a time, since one would wait for its own last addition.
  template <class T, class Body, class Combine, class Fold>
  Accumulator<T> reduce(Index count, Accumulator<T> start, const Body& body, const Combine& combine,
                        const Fold& fold) const {
    using Value = Pack<Accumulator<T>>;
    constexpr Index lanes = Value::lanes;
    Value a(start), b(start), c(start), d(start);
    Index i = 0;
    for (; i + 4 * lanes <= count; i += 4 * lanes) {
      a = combine(a, body(PackPosition<T>{i}));
      b = combine(b, body(PackPosition<T>{i + lanes}));
      c = combine(c, body(PackPosition<T>{i + 2 * lanes}));
      d = combine(d, body(PackPosition<T>{i + 3 * lanes}));
    }
    for (; i + lanes <= count; i += lanes) a = combine(a, body(PackPosition<T>{i}));
    Accumulator<T> result = fold(combine(combine(a, b), combine(c, d)));
    for (; i < count; ++i) result = combine(result, body(ScalarPosition<T>{i}));
    return result;
  }
};

}  // namespace caprl
