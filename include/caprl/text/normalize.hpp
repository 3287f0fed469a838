#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "caprl/text/unicode_tables.hpp"
#include "caprl/text/utf8.hpp"

namespace caprl {

namespace detail {

/// Hangul syllables decompose and compose by arithmetic (Unicode Standard, section 3.12).
struct Hangul {
  static constexpr char32_t syllables = 0xAC00, leads = 0x1100, vowels = 0x1161, trails = 0x11A7;
  static constexpr char32_t lead_count = 19, vowel_count = 21, trail_count = 28;
  static constexpr char32_t syllable_count = lead_count * vowel_count * trail_count;
  static bool is_syllable(char32_t c) { return c - syllables < syllable_count; }
};

/// Reads the numbers of unicode_tables.hpp.
class TableReader {
 public:
  explicit TableReader(std::string_view table) : table_(table) {}
  bool done() const { return position_ >= table_.size(); }
  std::uint32_t number() {
    std::uint32_t value = 0;
    for (int shift = 0;; shift += 5) {
      const auto digit = static_cast<std::uint32_t>(table_[position_++] - '?');
      value |= (digit & 31u) << shift;
      if (digit < 32) return value;
    }
  }
  std::int32_t difference() {
    const std::uint32_t value = number();
    return static_cast<std::int32_t>(value >> 1) ^ -static_cast<std::int32_t>(value & 1);
  }

 private:
  std::string_view table_;
  std::size_t position_ = 0;
};

/// What NFC needs to know of each scalar value; unpacked once.
class NormalizationData {
 public:
  struct Decomposition {
    char32_t first = 0;
    char32_t second = 0;  ///< 0 where the decomposition is a single scalar
  };

  static const NormalizationData& instance() {
    static const NormalizationData data;
    return data;
  }

  int combining_class(char32_t c) const { return facts(c) & class_mask; }

  /// False: the scalar is a starter that neither changes under NFC nor joins what stands before it.
  bool needs_care(char32_t c) const { return facts(c) != 0; }

  const Decomposition* decomposition(char32_t c) const {
    const auto found = decompositions_.find(c);
    return found == decompositions_.end() ? nullptr : &found->second;
  }

  /// The scalar that two scalars compose to, or 0.
  char32_t composition(char32_t first, char32_t second) const {
    if (first - Hangul::leads < Hangul::lead_count && second - Hangul::vowels < Hangul::vowel_count) {
      const char32_t index = (first - Hangul::leads) * Hangul::vowel_count + (second - Hangul::vowels);
      return Hangul::syllables + index * Hangul::trail_count;
    }
    if (Hangul::is_syllable(first) && (first - Hangul::syllables) % Hangul::trail_count == 0 &&
        second - (Hangul::trails + 1) < Hangul::trail_count - 1) {
      return first + (second - Hangul::trails);
    }
    const auto found = compositions_.find(pair_key(first, second));
    return found == compositions_.end() ? 0 : found->second;
  }

 private:
  static constexpr int class_mask = 0xFF, care = 0x100, page_bits = 8;
  using Page = std::array<std::uint16_t, 1 << page_bits>;

  NormalizationData() {
    pages_.emplace_back();  // page 0: nothing to say
    read_decompositions();
    TableReader classes(combining_classes);
    for (char32_t c = 0; !classes.done();) {
      c += classes.number();
      const char32_t end = c + classes.number();
      const auto value = static_cast<std::uint16_t>(classes.number());
      for (; c < end; ++c) add_facts(c, static_cast<std::uint16_t>(value | care));
    }
    for (char32_t i = 0; i < Hangul::vowel_count; ++i) add_facts(Hangul::vowels + i, care);
    for (char32_t i = 1; i < Hangul::trail_count; ++i) add_facts(Hangul::trails + i, care);
  }

  void read_decompositions() {
    TableReader table(canonical_decompositions);
    Decomposition before;
    for (char32_t c = 0; !table.done();) {
      c += table.number();
      const std::uint32_t kind = table.number();
      before.first += static_cast<char32_t>(table.difference());
      if (kind >= 2) before.second += static_cast<char32_t>(table.difference());
      decompositions_[c] = {before.first, kind >= 2 ? before.second : 0};
      if (kind == 3) {
        compositions_[pair_key(before.first, before.second)] = c;
        add_facts(before.second, care);
      } else {
        add_facts(c, care);
      }
    }
  }

  static std::uint64_t pair_key(char32_t a, char32_t b) { return static_cast<std::uint64_t>(a) << 32 | b; }

  std::uint16_t facts(char32_t c) const { return pages_[page_of_[c >> page_bits]][c & ((1 << page_bits) - 1)]; }

  void add_facts(char32_t c, std::uint16_t facts) {
    std::uint16_t& page = page_of_[c >> page_bits];
    if (page == 0) {
      page = static_cast<std::uint16_t>(pages_.size());
      pages_.emplace_back();
    }
    pages_[page][c & ((1 << page_bits) - 1)] |= facts;
  }

  std::array<std::uint16_t, (0x110000 >> page_bits)> page_of_{};
  std::vector<Page> pages_;
  std::unordered_map<char32_t, Decomposition> decompositions_;
  std::unordered_map<std::uint64_t, char32_t> compositions_;
};

/// Appends the full canonical decomposition of `c`.
inline void decompose(const NormalizationData& data, char32_t c, std::u32string& out) {
  if (Hangul::is_syllable(c)) {
    const char32_t index = c - Hangul::syllables;
    out += Hangul::leads + index / (Hangul::vowel_count * Hangul::trail_count);
    out += Hangul::vowels + index / Hangul::trail_count % Hangul::vowel_count;
    if (index % Hangul::trail_count != 0) out += Hangul::trails + index % Hangul::trail_count;
    return;
  }
  const NormalizationData::Decomposition* parts = data.decomposition(c);
  if (parts == nullptr) {
    out += c;
    return;
  }
  decompose(data, parts->first, out);
  if (parts->second != 0) decompose(data, parts->second, out);
}

/// Sorts each run of combining marks by combining class, keeping the order of equals.
inline void order_marks(const NormalizationData& data, std::u32string& text) {
  const auto is_mark = [&](char32_t c) { return data.combining_class(c) != 0; };
  for (auto begin = text.begin(); begin != text.end();) {
    begin = std::find_if(begin, text.end(), is_mark);
    const auto end = std::find_if_not(begin, text.end(), is_mark);
    std::stable_sort(begin, end,
                     [&](char32_t a, char32_t b) { return data.combining_class(a) < data.combining_class(b); });
    begin = end;
  }
}

/// Joins what composes, in place: a scalar joins the last starter unless another of its class, or a starter, lies
/// between them.
inline void compose(const NormalizationData& data, std::u32string& text) {
  constexpr std::size_t none = static_cast<std::size_t>(-1);
  std::size_t starter = none;
  std::size_t length = 0;
  int class_before = 0;
  for (const char32_t c : text) {
    const int combining = data.combining_class(c);
    const bool adjacent = starter != none && starter + 1 == length;
    if (starter != none && (adjacent || class_before < combining)) {
      if (const char32_t joined = data.composition(text[starter], c); joined != 0) {
        text[starter] = joined;
        continue;
      }
    }
    if (combining == 0) starter = length;
    class_before = combining;
    text[length++] = c;
  }
  text.resize(length);
}

}  // namespace detail

/// True: `text` (valid UTF-8) is surely in Normalization Form C. False: it may or may not be.
inline bool is_surely_nfc(std::string_view text) {
  const auto below_combining = [](char byte) { return static_cast<unsigned char>(byte) < 0xCC; };  // under U+0300
  std::size_t position = 0;
  while (position < text.size() && below_combining(text[position])) ++position;
  if (position == text.size()) return true;
  const detail::NormalizationData& data = detail::NormalizationData::instance();
  while (position < text.size()) {
    const Utf8Step step = read_utf8(text, position);
    if (data.needs_care(step.scalar)) return false;
    position += step.length;
  }
  return true;
}

/// `text` (valid UTF-8) in Unicode Normalization Form C (UAX #15), by the tables of unicode_tables.hpp.
inline std::string nfc(std::string_view text) {
  if (is_surely_nfc(text)) return std::string(text);
  const detail::NormalizationData& data = detail::NormalizationData::instance();
  std::u32string scalars;
  scalars.reserve(text.size());
  for (std::size_t position = 0; position < text.size();) {
    const Utf8Step step = read_utf8(text, position);
    detail::decompose(data, step.scalar, scalars);
    position += step.length;
  }
  detail::order_marks(data, scalars);
  detail::compose(data, scalars);
  std::string normalized;
  normalized.reserve(text.size());
  for (const char32_t c : scalars) append_utf8(normalized, c);
  return normalized;
}

}  // namespace caprl
