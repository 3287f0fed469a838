#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include "caprl/core/index.hpp"
#include "caprl/tensor/bf16.hpp"

namespace caprl {

/// The element types of safetensors files, by their names and in the order of the reference implementation, which
/// writes the last ones first.
enum class StoredType { BOOL, U8, I8, F8_E5M2, F8_E4M3, I16, U16, F16, BF16, I32, U32, F32, F64, I64, U64 };

namespace detail {

struct StoredTypeFacts {
  StoredType type;
  std::string_view name;
  Index bytes;
};

inline constexpr std::array<StoredTypeFacts, 15> stored_types{{{StoredType::BOOL, "BOOL", 1},
                                                               {StoredType::U8, "U8", 1},
                                                               {StoredType::I8, "I8", 1},
                                                               {StoredType::F8_E5M2, "F8_E5M2", 1},
                                                               {StoredType::F8_E4M3, "F8_E4M3", 1},
                                                               {StoredType::I16, "I16", 2},
                                                               {StoredType::U16, "U16", 2},
                                                               {StoredType::F16, "F16", 2},
                                                               {StoredType::BF16, "BF16", 2},
                                                               {StoredType::I32, "I32", 4},
                                                               {StoredType::U32, "U32", 4},
                                                               {StoredType::F32, "F32", 4},
                                                               {StoredType::F64, "F64", 8},
                                                               {StoredType::I64, "I64", 8},
                                                               {StoredType::U64, "U64", 8}}};

/// The value of an IEEE 754 half-precision number; exact.
inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1Fu;
  const std::uint32_t fraction = half & 0x3FFu;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1.0p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide_exponent = exponent == 31 ? 255u : exponent + 112u;
  return std::bit_cast<float>(sign | wide_exponent << 23 | fraction << 13);
}

}  // namespace detail

constexpr std::string_view name_of(StoredType type) {
  return detail::stored_types[static_cast<std::size_t>(type)].name;
}

constexpr Index bytes_of(StoredType type) { return detail::stored_types[static_cast<std::size_t>(type)].bytes; }

constexpr std::optional<StoredType> stored_type_named(std::string_view name) {
  for (const auto& facts : detail::stored_types) {
    if (facts.name == name) return facts.type;
  }
  return std::nullopt;
}

/// The stored type whose elements are T's.
template <class T>
constexpr StoredType stored_type_of() {
  if constexpr (std::is_same_v<T, float>) {
    return StoredType::F32;
  } else if constexpr (std::is_same_v<T, double>) {
    return StoredType::F64;
  } else if constexpr (std::is_same_v<T, bf16>) {
    return StoredType::BF16;
  } else {
    static_assert(std::is_integral_v<T> && !std::is_same_v<T, bool>, "expected float, double, bf16 or an integer");
    constexpr bool is_signed = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1) return is_signed ? StoredType::I8 : StoredType::U8;
    if constexpr (sizeof(T) == 2) return is_signed ? StoredType::I16 : StoredType::U16;
    if constexpr (sizeof(T) == 4) return is_signed ? StoredType::I32 : StoredType::U32;
    if constexpr (sizeof(T) == 8) return is_signed ? StoredType::I64 : StoredType::U64;
  }
}

}  // namespace caprl
