#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace caprl {

/// One step of reading UTF-8. `length` (at least 1) is the size of the sequence, or, where it is ill-formed, of its
/// maximal subpart: the bytes that one U+FFFD stands for (Unicode Standard, section 3.9, as browsers and Rust do it).
struct Utf8Step {
  char32_t scalar = 0xFFFD;
  std::size_t length = 1;
  bool valid = false;
  bool cut = false;  ///< ill-formed only because the text ends here
};

/// Reads the scalar value that begins at `position`, which lies inside `text`.
inline Utf8Step read_utf8(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(position);
  if (lead < 0x80) return {lead, 1, true, false};
  if (lead < 0xC2 || lead > 0xF4) return {};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t scalar = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (position + i >= text.size()) return {0xFFFD, i, false, true};
    const unsigned next = byte(position + i);
    if (next < low || next > high) return {0xFFFD, i, false, false};
    scalar = scalar << 6 | (next & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {scalar, length, true, false};
}

/// The position of the first ill-formed sequence, or npos where `text` is valid UTF-8.
inline std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t position = 0; position < text.size();) {
    const Utf8Step step = read_utf8(text, position);
    if (!step.valid) return position;
    position += step.length;
  }
  return std::string_view::npos;
}

/// Appends a scalar value as UTF-8.
inline void append_utf8(std::string& text, char32_t scalar) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (scalar < 0x80) {
    put(scalar);
    return;
  }
  const int continuations = scalar < 0x800 ? 1 : scalar < 0x10000 ? 2 : 3;
  const char32_t lead = continuations == 1 ? 0xC0u : continuations == 2 ? 0xE0u : 0xF0u;
  put(lead | scalar >> (6 * continuations));
  for (int i = continuations - 1; i >= 0; --i) put(0x80u | (scalar >> (6 * i) & 0x3Fu));
}

/// `bytes` with each ill-formed sequence replaced by U+FFFD.
inline std::string replace_invalid_utf8(std::string_view bytes) {
  if (find_invalid_utf8(bytes) == std::string_view::npos) return std::string(bytes);
  std::string text;
  for (std::size_t position = 0; position < bytes.size();) {
    const Utf8Step step = read_utf8(bytes, position);
    append_utf8(text, step.scalar);
    position += step.length;
  }
  return text;
}

/// How many bytes at the end of `bytes` may be the beginning of a scalar value whose rest has not come yet (0 to 3).
inline std::size_t unfinished_utf8(std::string_view bytes) {
  for (std::size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    const Utf8Step step = read_utf8(bytes, bytes.size() - back);
    if (step.cut && step.length == back) return back;
  }
  return 0;
}

}  // namespace caprl
