#pragma once

#include <limits>

#include "caprl/core/index.hpp"
#include "caprl/tensor/kernels/pack.hpp"
#include "caprl/tensor/kernels/pack_math.hpp"
#include "caprl/tensor/kernels/team.hpp"

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
