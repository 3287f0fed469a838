#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/number.hpp"

/// exp, log and what is built on them, for one number or a pack, on the host and in kernels. Polynomials are Chebyshev
/// fits of our own; errors stay within 2 units in the last place of a float, of the error function within 3. double
/// goes to the standard library.
namespace caprl {

namespace detail {

CAPRL_HD inline std::int32_t float_bits(float a) { return std::bit_cast<std::int32_t>(a); }
CAPRL_HD inline float float_from_bits(std::int32_t a) { return std::bit_cast<float>(a); }

CAPRL_HD inline std::int32_t shift_left(std::int32_t a, int by) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) << by);
}
CAPRL_HD inline std::int32_t shift_right(std::int32_t a, int by) { return a >> by; }

CAPRL_HD inline float to_float(std::int32_t a) { return static_cast<float>(a); }

/// Coefficients from the highest power down.
template <class V, class... Rest>
CAPRL_HD V polynomial(const V& x, float highest, Rest... rest) {
  V value = V(highest);
  ((value = value * x + V(rest)), ...);
  return value;
}

/// e^x = 2^n e^r with |r| <= ln(2) / 2; 2^n in two factors, so that results fade through the subnormals to 0 and grow
/// to infinity as they should.
template <class V>
CAPRL_HD V exp_float(const V& unbounded) {
  const V magic = V(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, held in the low bits
  V x = select(unbounded > V(89.0f), V(89.0f), unbounded);
  x = select(x < V(-104.0f), V(-104.0f), x);
  const V shifted = x * V(1.44269504f) + magic;
  const V n = shifted - magic;
  const V r = (x - n * V(0.693145752f)) - n * V(1.42860677e-6f);
  const V q = polynomial(r, 0.001392692661f, 0.008363773874f, 0.04166655011f, 0.1666657338f, 0.5f);
  const V power = (r * r * q + r) + V(1.0f);
  const auto exponent = float_bits(shifted) - float_bits(magic);
  const auto half = shift_right(exponent, 1);
  return power * float_from_bits(shift_left(half + 127, 23)) * float_from_bits(shift_left(exponent - half + 127, 23));
}

/// log(x) = n ln(2) + log(m) with m in [sqrt(1/2), sqrt(2)).
template <class V>
CAPRL_HD V log_float(const V& x) {
  const auto subnormal = x < V(1.17549435e-38f);
  const auto bits = float_bits(select(subnormal, x * V(8388608.0f), x));
  const auto above = bits - 0x3F3504F3;  // the bits of sqrt(1/2)
  const auto exponent = shift_right(above, 23);
  const V n = to_float(exponent) - select(subnormal, V(23.0f), V(0.0f));
  const V f = float_from_bits(bits - shift_left(exponent, 23)) - V(1.0f);
  const V q = polynomial(f, 0.06971611471f, -0.1147973385f, 0.1168541992f, -0.1242568733f, 0.1424905765f,
                         -0.1666780232f, 0.2000071575f, -0.2499999696f, 0.3333333118f);
  const V square = f * f;
  V value = (n * V(1.42860677e-6f) + f * square * q) - square * V(0.5f) + f + n * V(0.693145752f);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  value = select(x < V(infinity), value, x);  // infinity and NaN
  value = select(x == V(0.0f), V(-infinity), value);
  return select(x < V(0.0f), V(std::numeric_limits<float>::quiet_NaN()), value);
}

/// Below 1 an odd polynomial, above 1 - exp(-q(x)) with q a fit of -log(erfc).
template <class V>
CAPRL_HD V erf_float(const V& x) {
  const V size = select(x < V(0.0f), -x, x);
  const V t = x * x;
  const V small = x * polynomial(t, 7.875875063e-5f, -0.0008016864287f, 0.005189087423f, -0.02685421201f, 0.1128359472f,
                                 -0.3761262667f, 1.128379166f);
  const V a = select(size > V(4.0f), V(4.0f), size);
  const V q = polynomial(a, -1.643063656e-6f, 4.616385863e-5f, -0.0005975857702f, 0.004762625833f, -0.02642763715f,
                         0.1100871665f, 0.6318239181f, 1.130231055f, -0.0003185396624f);
  const V large = V(1.0f) - exp_float(-q);
  return select(size < V(1.0f), small, select(x < V(0.0f), -large, large));
}

}  // namespace detail

CAPRL_HD inline float exponential(float x) { return detail::exp_float(x); }
CAPRL_HD inline double exponential(double x) { return std::exp(x); }

CAPRL_HD inline float logarithm(float x) { return detail::log_float(x); }
CAPRL_HD inline double logarithm(double x) { return std::log(x); }

CAPRL_HD inline float error_function(float x) { return detail::erf_float(x); }
CAPRL_HD inline double error_function(double x) { return std::erf(x); }

/// 1 / (1 + e^-x).
template <class V>
CAPRL_HD V sigmoid(const V& x) {
  return V(1) / (V(1) + exponential(-x));
}

}  // namespace caprl
