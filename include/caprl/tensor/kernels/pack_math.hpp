#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "caprl/tensor/kernels/math.hpp"
#include "caprl/tensor/kernels/pack.hpp"

/// math.hpp for the host's packs: the same polynomials for float, lane by lane for double.
namespace caprl {

inline Pack<std::int32_t> float_bits(const Pack<float>& a) { return std::bit_cast<Pack<std::int32_t>>(a); }
inline Pack<float> float_from_bits(const Pack<std::int32_t>& a) { return std::bit_cast<Pack<float>>(a); }
inline Pack<std::int32_t> shift_left(const Pack<std::int32_t>& a, int by) {
  return Pack<std::int32_t>::each([&](int p) { return a.part[p] << by; });
}
inline Pack<std::int32_t> shift_right(const Pack<std::int32_t>& a, int by) {
  return Pack<std::int32_t>::each([&](int p) { return a.part[p] >> by; });
}
inline Pack<float> to_float(const Pack<std::int32_t>& a) {
  return Pack<float>::each([&](int p) { return __builtin_convertvector(a.part[p], Pack<float>::Register); });
}
inline Pack<float> exponential(const Pack<float>& x) { return detail::exp_float(x); }
inline Pack<double> exponential(const Pack<double>& x) {
  return map_lanes(x, [](double lane) { return std::exp(lane); });
}
inline Pack<float> logarithm(const Pack<float>& x) { return detail::log_float(x); }
inline Pack<double> logarithm(const Pack<double>& x) {
  return map_lanes(x, [](double lane) { return std::log(lane); });
}
inline Pack<float> error_function(const Pack<float>& x) { return detail::erf_float(x); }
inline Pack<double> error_function(const Pack<double>& x) {
  return map_lanes(x, [](double lane) { return std::erf(lane); });
}

}  // namespace caprl
