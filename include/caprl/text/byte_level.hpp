#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "caprl/text/utf8.hpp"

namespace caprl {

/// The byte-level alphabet of GPT-2 (Radford et al. 2019, `bytes_to_unicode` in its encoder.py): bytes that print
/// stand for themselves; the other 68 are written as U+0100, U+0101, ... in order. Tokenizer files hold text so.
namespace detail {

struct ByteLevelAlphabet {
  std::array<char32_t, 256> scalar_of{};
  std::array<int, 324> byte_of{};  ///< by scalar; -1 where the scalar is outside the alphabet

  constexpr ByteLevelAlphabet() {
    for (int& byte : byte_of) byte = -1;
    char32_t next = 256;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      scalar_of[byte] = prints ? static_cast<char32_t>(byte) : next++;
      byte_of[scalar_of[byte]] = static_cast<int>(byte);
    }
  }
};

inline constexpr ByteLevelAlphabet byte_level_alphabet;

}  // namespace detail

/// Bytes written in the byte-level alphabet, as UTF-8: " cat" becomes "Ġcat".
inline std::string to_byte_level(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes)
    append_utf8(text, detail::byte_level_alphabet.scalar_of[static_cast<unsigned char>(byte)]);
  return text;
}

/// The bytes that a byte-level string stands for; nothing where it holds a character outside the alphabet.
inline std::optional<std::string> from_byte_level(std::string_view text) {
  std::string bytes;
  for (std::size_t position = 0; position < text.size();) {
    const Utf8Step step = read_utf8(text, position);
    const auto& byte_of = detail::byte_level_alphabet.byte_of;
    if (!step.valid || step.scalar >= byte_of.size() || byte_of[step.scalar] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte_of[step.scalar]));
    position += step.length;
  }
  return bytes;
}

}  // namespace caprl
