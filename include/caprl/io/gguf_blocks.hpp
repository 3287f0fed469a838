#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "caprl/core/index.hpp"
#include "caprl/io/stored_type.hpp"
#include "caprl/tensor/bf16.hpp"

/// The element types of GGUF files and what their blocks say as numbers. Layouts: ggml-common.h and ggml-quants.c of
/// https://github.com/ggml-org/ggml. Every product below is exact in float (a scale of 11 bits, a scale of the scale of
/// at most 8, a number of at most 6), so that a compiler may fuse it with a sum, or not, without a change of the
/// result.
namespace caprl {

namespace detail {

/// A number of a block, whose bytes may lie anywhere.
template <class T>
T stored_number(const std::byte* bytes) {
  T number;
  std::memcpy(&number, bytes, sizeof number);
  return number;
}

inline float stored_half(const std::byte* bytes) { return half_to_float(stored_number<std::uint16_t>(bytes)); }
inline int stored_byte(std::byte byte) { return std::to_integer<int>(byte); }

inline void expand_f32(const std::byte* block, float* out) { *out = stored_number<float>(block); }
inline void expand_f16(const std::byte* block, float* out) { *out = stored_half(block); }
inline void expand_bf16(const std::byte* block, float* out) { *out = static_cast<float>(stored_number<bf16>(block)); }

/// 32 numbers of 4 bits from 16 bytes: the lower halves first. number(i, low bits) is what is written.
template <class Number>
void expand_nibbles(const std::byte* bytes, float* out, const Number& number) {
  for (int i = 0; i < 16; ++i) {
    out[i] = number(i, stored_byte(bytes[i]) & 15);
    out[i + 16] = number(i + 16, stored_byte(bytes[i]) >> 4);
  }
}

/// scale, 16 bytes: scale * (n - 8).
inline void expand_q4_0(const std::byte* block, float* out) {
  const float scale = stored_half(block);
  expand_nibbles(block + 2, out, [&](int, int low) { return scale * static_cast<float>(low - 8); });
}

/// scale, minimum, 16 bytes: scale * n + minimum.
inline void expand_q4_1(const std::byte* block, float* out) {
  const float scale = stored_half(block);
  const float minimum = stored_half(block + 2);
  expand_nibbles(block + 4, out, [&](int, int low) { return scale * static_cast<float>(low) + minimum; });
}

/// scale, a fifth bit for each number, 16 bytes: scale * (n - 16).
inline void expand_q5_0(const std::byte* block, float* out) {
  const float scale = stored_half(block);
  const auto fifth = stored_number<std::uint32_t>(block + 2);
  expand_nibbles(block + 6, out, [&](int i, int low) {
    return scale * static_cast<float>((low | static_cast<int>(fifth >> i & 1u) << 4) - 16);
  });
}

/// scale, minimum, a fifth bit for each number, 16 bytes: scale * n + minimum.
inline void expand_q5_1(const std::byte* block, float* out) {
  const float scale = stored_half(block);
  const float minimum = stored_half(block + 2);
  const auto fifth = stored_number<std::uint32_t>(block + 4);
  expand_nibbles(block + 8, out, [&](int i, int low) {
    return scale * static_cast<float>(low | static_cast<int>(fifth >> i & 1u) << 4) + minimum;
  });
}

/// scale, 32 signed bytes: scale * n.
inline void expand_q8_0(const std::byte* block, float* out) {
  const float scale = stored_half(block);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(stored_number<std::int8_t>(block + 2 + i));
}

/// What Q4_K and Q5_K make of the eight groups of 32 numbers of a block: scale * n - minimum.
struct GroupScales {
  std::array<float, 8> scale;
  std::array<float, 8> minimum;
};

/// From the block's own two scales and 12 bytes that hold eight numbers of 6 bits for the scales and eight for the
/// minima: the first four of each in the lower bits of bytes 0 to 7, the others by halves: 4 bits in bytes 8 to 11, 2
/// in the upper bits of bytes 0 to 7.
inline GroupScales group_scales(const std::byte* block) {
  const float scale = stored_half(block);
  const float minimum = stored_half(block + 2);
  const auto byte = [&](int i) { return stored_byte(block[4 + i]); };
  GroupScales groups;
  for (int g = 0; g < 4; ++g) {
    const auto at = static_cast<std::size_t>(g);
    groups.scale[at] = scale * static_cast<float>(byte(g) & 63);
    groups.minimum[at] = minimum * static_cast<float>(byte(g + 4) & 63);
    groups.scale[at + 4] = scale * static_cast<float>((byte(g + 8) & 15) | byte(g) >> 6 << 4);
    groups.minimum[at + 4] = minimum * static_cast<float>(byte(g + 8) >> 4 | byte(g + 4) >> 6 << 4);
  }
  return groups;
}

/// 256 numbers in groups of 32, two of which share 32 bytes: the lower halves are the first group's. fifth(group, i) is
/// what stands above the 4 bits.
template <class Fifth>
void expand_groups(const GroupScales& groups, const std::byte* bytes, float* out, const Fifth& fifth) {
  for (int group = 0; group < 8; ++group) {
    const auto at = static_cast<std::size_t>(group);
    for (int i = 0; i < 32; ++i) {
      const int low = stored_byte(bytes[group / 2 * 32 + i]) >> (group % 2 * 4) & 15;
      out[group * 32 + i] = groups.scale[at] * static_cast<float>(low | fifth(group, i)) - groups.minimum[at];
    }
  }
}

/// Two scales, 12 bytes of groups' scales and minima, 128 bytes.
inline void expand_q4_k(const std::byte* block, float* out) {
  expand_groups(group_scales(block), block + 16, out, [](int, int) { return 0; });
}

/// The same with 32 bytes before the last 128: bit g of byte i is the fifth bit of number i of group g.
inline void expand_q5_k(const std::byte* block, float* out) {
  const std::byte* fifths = block + 16;
  expand_groups(group_scales(block), block + 48, out,
                [&](int group, int i) { return (stored_byte(fifths[i]) >> group & 1) << 4; });
}

/// 128 bytes of lower 4 bits, 64 of upper 2, 16 signed scales of 16 numbers each, the block's scale. In each half of
/// 128 numbers, four groups of 32: number i of group g has its lower bits in byte (g % 2) * 32 + i, half g / 2, and its
/// upper bits at 2 g of byte i.
inline void expand_q6_k(const std::byte* block, float* out) {
  const float scale = stored_half(block + 208);
  for (int half = 0; half < 2; ++half) {
    const std::byte* lower = block + half * 64;
    const std::byte* upper = block + 128 + half * 32;
    const std::byte* scales = block + 192 + half * 8;
    for (int i = 0; i < 128; ++i) {
      const int group = i / 32;
      const int low = stored_byte(lower[group % 2 * 32 + i % 32]) >> (group / 2 * 4) & 15;
      const int high = stored_byte(upper[i % 32]) >> (2 * group) & 3;
      const float of_sixteen = scale * static_cast<float>(stored_number<std::int8_t>(scales + i / 16));
      out[half * 128 + i] = of_sixteen * static_cast<float>((low | high << 4) - 32);
    }
  }
}

}  // namespace detail

/// An element type of GGUF files that is read: `elements` numbers that follow one another in a row are `bytes` bytes.
struct GgufType {
  std::uint32_t number;  ///< in files
  std::string_view name;
  Index elements;
  Index bytes;
  void (*expand)(std::span<const std::byte> blocks, float* out);  ///< whole blocks; `out` has room for their numbers
};

namespace detail {

template <void (*expand_block)(const std::byte*, float*), Index elements, Index bytes>
constexpr GgufType gguf_type(std::uint32_t number, std::string_view name) {
  return {number, name, elements, bytes, [](std::span<const std::byte> blocks, float* out) {
            for (std::size_t at = 0; at < blocks.size(); at += bytes, out += elements) {
              expand_block(blocks.data() + at, out);
            }
          }};
}

}  // namespace detail

inline constexpr std::array<GgufType, 11> gguf_types{detail::gguf_type<detail::expand_f32, 1, 4>(0, "F32"),
                                                     detail::gguf_type<detail::expand_f16, 1, 2>(1, "F16"),
                                                     detail::gguf_type<detail::expand_bf16, 1, 2>(30, "BF16"),
                                                     detail::gguf_type<detail::expand_q8_0, 32, 34>(8, "Q8_0"),
                                                     detail::gguf_type<detail::expand_q4_0, 32, 18>(2, "Q4_0"),
                                                     detail::gguf_type<detail::expand_q4_1, 32, 20>(3, "Q4_1"),
                                                     detail::gguf_type<detail::expand_q5_0, 32, 22>(6, "Q5_0"),
                                                     detail::gguf_type<detail::expand_q5_1, 32, 24>(7, "Q5_1"),
                                                     detail::gguf_type<detail::expand_q4_k, 256, 144>(12, "Q4_K"),
                                                     detail::gguf_type<detail::expand_q5_k, 256, 176>(13, "Q5_K"),
                                                     detail::gguf_type<detail::expand_q6_k, 256, 210>(14, "Q6_K")};

/// The type of that number, or null if it is not among those that are read.
constexpr const GgufType* gguf_type_of(std::uint32_t number) {
  for (const GgufType& type : gguf_types) {
    if (type.number == number) return &type;
  }
  return nullptr;
}

/// What a type that is not read is called, for messages.
inline std::string other_gguf_type(std::uint32_t number) {
  struct Other {
    std::uint32_t number;
    const char* name;
  };
  static constexpr Other others[] = {{9, "Q8_1"},    {10, "Q2_K"},    {11, "Q3_K"},  {15, "Q8_K"},   {16, "IQ2_XXS"},
                                     {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"},
                                     {22, "IQ2_S"},  {23, "IQ4_XS"},  {24, "I8"},    {25, "I16"},    {26, "I32"},
                                     {27, "I64"},    {28, "F64"},     {29, "IQ1_M"}, {34, "TQ1_0"},  {35, "TQ2_0"},
                                     {39, "MXFP4"},  {40, "NVFP4"},   {41, "Q1_0"}};
  for (const Other& other : others) {
    if (other.number == number) return other.name;
  }
  return "number " + std::to_string(number);
}

}  // namespace caprl
