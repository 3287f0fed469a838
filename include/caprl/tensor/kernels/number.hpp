#pragma once

#include <cmath>
#include <type_traits>

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/bf16.hpp"

/// Single numbers as kernels use them; packs of them offer the same functions.
namespace caprl {

namespace detail {

template <class T>
struct AccumulatorOf {
  using type = float;
};
template <>
struct AccumulatorOf<double> {
  using type = double;
};

}  // namespace detail

/// The type in which values stored as T are computed and summed: double for double, float for everything else.
template <class T>
using Accumulator = typename detail::AccumulatorOf<std::remove_const_t<T>>::type;

/// `a` where the condition holds, else `b`.
CAPRL_HD inline float select(bool condition, float a, float b) { return condition ? a : b; }
CAPRL_HD inline double select(bool condition, double a, double b) { return condition ? a : b; }

/// The greater of the two; NaN if either is NaN, so that bad numbers are seen and not dropped.
template <class V>
CAPRL_HD V maximum(const V& a, const V& b) {
  return select(a > b, a, select(a == a, b, a));
}

CAPRL_HD inline float square_root(float a) { return std::sqrt(a); }
CAPRL_HD inline double square_root(double a) { return std::sqrt(a); }

}  // namespace caprl
