#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "caprl/core/host_device.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/bf16.hpp"
#include "caprl/tensor/kernels/number.hpp"

namespace caprl {

namespace detail {

#if defined(__AVX512F__)
inline constexpr int register_bytes = 64;
#elif defined(__AVX__)
inline constexpr int register_bytes = 32;
#else
inline constexpr int register_bytes = 16;
#endif

template <class T, int Bytes>
struct RegisterOf {
  using type __attribute__((vector_size(Bytes))) = T;
};

template <class T>
struct MaskElementOf {
  using type = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;
};

}  // namespace detail

/// 64 bytes of numbers (16 floats, 8 doubles) in vector registers: one with AVX-512, two with AVX2, four with SSE.
///
/// On the host only (nvcc compiles no vectors for the device). A struct of registers, because the compiler splits a
/// vector wider than a register badly.
template <class T>
struct Pack {
  static constexpr int lanes = 64 / static_cast<int>(sizeof(T));
  static constexpr int parts = 64 / detail::register_bytes;
  static constexpr int part_lanes = lanes / parts;
  using value_type = T;
  using Register = typename detail::RegisterOf<T, detail::register_bytes>::type;
  using Mask = Pack<typename detail::MaskElementOf<T>::type>;

  Register part[parts];

  Pack() = default;
  Pack(T value) {  // a broadcast, so that `2 * x` reads as it does for a number
    for (int p = 0; p < parts; ++p) part[p] = value - Register{};
  }

  T operator[](int lane) const { return part[lane / part_lanes][lane % part_lanes]; }

  // A register at a time: one copy of the whole struct would go through the stack in halves of a register.
  static Pack load(const T* from) {
    return each([&](int p) {
      Register loaded;
      std::memcpy(&loaded, from + p * part_lanes, sizeof(Register));
      return loaded;
    });
  }
  void store(T* to) const {
#pragma GCC unroll 8
    for (int p = 0; p < parts; ++p) std::memcpy(to + p * part_lanes, &part[p], sizeof(Register));
  }

  Pack& operator+=(const Pack& other) { return *this = *this + other; }
  Pack& operator*=(const Pack& other) { return *this = *this * other; }

  friend Pack operator-(const Pack& a) {
    return each([&](int p) { return -a.part[p]; });
  }
  friend Pack operator+(const Pack& a, const Pack& b) {
    return each([&](int p) { return a.part[p] + b.part[p]; });
  }
  friend Pack operator-(const Pack& a, const Pack& b) {
    return each([&](int p) { return a.part[p] - b.part[p]; });
  }
  friend Pack operator*(const Pack& a, const Pack& b) {
    return each([&](int p) { return a.part[p] * b.part[p]; });
  }
  friend Pack operator/(const Pack& a, const Pack& b) {
    return each([&](int p) { return a.part[p] / b.part[p]; });
  }
  friend Mask operator<(const Pack& a, const Pack& b) {
    return Mask::each([&](int p) { return a.part[p] < b.part[p]; });
  }
  friend Mask operator>(const Pack& a, const Pack& b) { return b < a; }
  friend Mask operator==(const Pack& a, const Pack& b) {
    return Mask::each([&](int p) { return a.part[p] == b.part[p]; });
  }

  /// The pack whose part p is function(p).
  template <class Function>
  static Pack each(const Function& function) {
    Pack pack;
#pragma GCC unroll 8
    for (int p = 0; p < parts; ++p) pack.part[p] = function(p);
    return pack;
  }
};

/// Lane by lane: `a` where the mask holds, else `b`.
template <class T>
Pack<T> select(const typename Pack<T>::Mask& mask, const Pack<T>& a, const Pack<T>& b) {
  return Pack<T>::each([&](int p) { return mask.part[p] ? a.part[p] : b.part[p]; });
}
/// function applied to each lane.
template <class T, class Function>
Pack<T> map_lanes(const Pack<T>& a, const Function& function) {
  T values[Pack<T>::lanes];
  a.store(values);
  for (T& value : values) value = function(value);
  return Pack<T>::load(values);
}

namespace detail {

/// By instruction: std::sqrt may set errno, which keeps a loop over it from becoming one.
inline Pack<float>::Register square_root_register(Pack<float>::Register a) {
#if defined(__GNUC__) && !defined(__clang__) && defined(__AVX512F__)
  return __builtin_ia32_sqrtps512_mask(a, a, static_cast<unsigned short>(-1), 4);  // 4: the current rounding
#elif defined(__GNUC__) && !defined(__clang__) && defined(__AVX__)
  return __builtin_ia32_sqrtps256(a);
#elif defined(__GNUC__) && !defined(__clang__) && defined(__SSE__)
  return __builtin_ia32_sqrtps(a);
#else
  for (int i = 0; i < Pack<float>::part_lanes; ++i) a[i] = std::sqrt(a[i]);
  return a;
#endif
}

}  // namespace detail

inline Pack<float> square_root(const Pack<float>& a) {
  return Pack<float>::each([&](int p) { return detail::square_root_register(a.part[p]); });
}
inline Pack<double> square_root(const Pack<double>& a) {
  return map_lanes(a, [](double lane) { return std::sqrt(lane); });
}

namespace detail {

/// Lane i of the result is lane (i + By) mod N of `a`.
template <int By, class Register, int... Lane>
Register rotate_lanes(const Register& a, std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(a, a, ((Lane + By) % static_cast<int>(sizeof...(Lane)))...);
}

/// The lanes of a register, halves folded onto each other: lane 0 of the result.
template <int Half, class Register, class Combine>
Register fold_register(const Register& a, const Combine& combine) {
  if constexpr (Half == 0) {
    return a;
  } else {
    constexpr int lanes = sizeof(Register) / sizeof(a[0]);
    const Register other = rotate_lanes<Half>(a, std::make_integer_sequence<int, lanes>());
    return fold_register<Half / 2>(combine(a, other), combine);
  }
}

/// All lanes of a pack combined, halves folded onto each other: the same order on every processor.
template <class T, class Combine>
T fold_lanes(Pack<T> a, const Combine& combine) {
#pragma GCC unroll 2
  for (int half = Pack<T>::parts / 2; half > 0; half /= 2) {
#pragma GCC unroll 2
    for (int p = 0; p < half; ++p) a.part[p] = combine(a.part[p], a.part[p + half]);
  }
  return fold_register<Pack<T>::part_lanes / 2>(a.part[0], combine)[0];
}

}  // namespace detail

template <class T>
T sum_lanes(const Pack<T>& a) {
  return detail::fold_lanes(a, [](const auto& x, const auto& y) { return x + y; });
}

/// NaN if a lane is.
template <class T>
T max_lanes(const Pack<T>& a) {
  return detail::fold_lanes(a, [](const auto& x, const auto& y) { return x > y ? x : (x == x ? y : x); });
}

namespace detail {

using HalfWords = RegisterOf<std::uint16_t, register_bytes / 2>::type;
using Words = RegisterOf<std::uint32_t, register_bytes>::type;

inline Pack<float> load_bf16(const bf16* from) {
  return Pack<float>::each([&](int p) {
    HalfWords halves;
    std::memcpy(&halves, from + p * Pack<float>::part_lanes, sizeof(halves));
    return std::bit_cast<Pack<float>::Register>(__builtin_convertvector(halves, Words) << 16);
  });
}

/// Rounds as bf16's constructor does.
inline void store_bf16(const Pack<float>& pack, bf16* to) {
#pragma GCC unroll 8
  for (int p = 0; p < Pack<float>::parts; ++p) {
    const auto word = std::bit_cast<Words>(pack.part[p]);
    const Words rounded = (word + 0x7FFFu + ((word >> 16) & 1u)) >> 16;
    const Words stored = pack.part[p] == pack.part[p] ? rounded : (word >> 16) | 0x40u;
    const HalfWords halves = __builtin_convertvector(stored, HalfWords);
    std::memcpy(static_cast<void*>(to + p * Pack<float>::part_lanes), &halves, sizeof(halves));
  }
}

/// A pack of A from stored elements of any type, and back.
template <class A, class Stored>
Pack<A> load_pack(const Stored* from) {
  if constexpr (std::is_same_v<Stored, A>) {
    return Pack<A>::load(from);
  } else if constexpr (std::is_same_v<Stored, bf16> && std::is_same_v<A, float>) {
    return load_bf16(from);
  } else {
    A values[Pack<A>::lanes];
    for (int i = 0; i < Pack<A>::lanes; ++i) values[i] = static_cast<A>(static_cast<Accumulator<Stored>>(from[i]));
    return Pack<A>::load(values);
  }
}

template <class A, class Stored>
void store_pack(const Pack<A>& pack, Stored* to) {
  if constexpr (std::is_same_v<Stored, A>) {
    pack.store(to);
  } else if constexpr (std::is_same_v<Stored, bf16> && std::is_same_v<A, float>) {
    store_bf16(pack, to);
  } else {
    A values[Pack<A>::lanes];
    pack.store(values);
    for (int i = 0; i < Pack<A>::lanes; ++i) to[i] = static_cast<Stored>(static_cast<Accumulator<Stored>>(values[i]));
  }
}

}  // namespace detail

}  // namespace caprl
