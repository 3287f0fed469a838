#pragma once

#include <bit>
#include <cstdint>

#include "caprl/core/host_device.hpp"

namespace caprl {

/// Brain float: the upper 16 bits of a float. For storage; arithmetic is done in float.
struct bf16 {
  std::uint16_t bits = 0;

  bf16() = default;

  /// Rounds to nearest, ties to even; NaN stays NaN.
  CAPRL_HD explicit bf16(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    const bool is_nan = (word & 0x7FFFFFFFu) > 0x7F800000u;
    bits = static_cast<std::uint16_t>(is_nan ? (word >> 16) | 0x40u : (word + 0x7FFFu + ((word >> 16) & 1u)) >> 16);
  }

  CAPRL_HD explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

  friend bool operator==(bf16, bf16) = default;
};

}  // namespace caprl
