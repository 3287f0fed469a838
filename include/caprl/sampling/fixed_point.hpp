#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "caprl/core/host_device.hpp"

namespace caprl {

/// The fixed-point weight of the most probable token. Others get less, in proportion to their probabilities.
inline constexpr std::uint64_t fixed_point_one = std::uint64_t{1} << 40;

/// round(exp(logit - largest) * 2^40), for logit <= largest: an unnormalised probability as an integer, so that sums do
/// not depend on their order. A vocabulary of up to 2^24 tokens cannot overflow 64 bits.
///
/// The same bits on every device: each multiplication that is followed by an addition is written as one fused
/// operation, so that no compiler may choose. The relative error is below 3e-10 + 2^-41 / exp(logit - largest).
CAPRL_HD inline std::uint64_t fixed_point_weight(float logit, float largest) {
  constexpr double log2_e = 1.4426950408889634;
  constexpr double to_integer = 0x1.8p52;  // adding it leaves the nearest integer in the low bits
  constexpr double least = -700.0;         // the weight is 0 far above this; minus infinity ends here too
  const double raised = static_cast<double>(logit) - static_cast<double>(largest);
  const double exponent = raised > least ? raised : least;
  const double shifted = std::fma(exponent, log2_e, to_integer);
  const double fraction = std::fma(exponent, log2_e, to_integer - shifted);  // in [-1/2, 1/2]
  // 2^fraction by its Taylor series: ln(2)^n / n!.
  double power = 1.3215486790144307e-06;
  power = std::fma(power, fraction, 1.5252733804059841e-05);
  power = std::fma(power, fraction, 1.5403530393381608e-04);
  power = std::fma(power, fraction, 1.3333558146428443e-03);
  power = std::fma(power, fraction, 9.6181291076284772e-03);
  power = std::fma(power, fraction, 5.5504108664821580e-02);
  power = std::fma(power, fraction, 2.4022650695910072e-01);
  power = std::fma(power, fraction, 6.9314718055994531e-01);
  power = std::fma(power, fraction, 1.0);
  const auto whole = std::bit_cast<std::int64_t>(shifted) - std::bit_cast<std::int64_t>(to_integer);
  const double scale = std::bit_cast<double>((whole + 40 + 1023) << 52);
  // The sum with 2^52 rounds to an integer, whose bits are the low ones.
  return std::bit_cast<std::uint64_t>(std::fma(power, scale, 0x1p52)) & ((std::uint64_t{1} << 52) - 1);
}

/// floor(a * b / 2^64): a fraction a / 2^64 of b.
CAPRL_HD inline std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t a_low = a & 0xFFFFFFFFu, a_high = a >> 32;
  const std::uint64_t b_low = b & 0xFFFFFFFFu, b_high = b >> 32;
  const std::uint64_t low = a_low * b_low;
  const std::uint64_t middle = a_high * b_low + (low >> 32);
  const std::uint64_t other = a_low * b_high + (middle & 0xFFFFFFFFu);
  return a_high * b_high + (middle >> 32) + (other >> 32);
}

}  // namespace caprl
