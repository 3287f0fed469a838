#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "caprl/text/byte_level.hpp"
#include "caprl/text/normalize.hpp"
#include "caprl/text/utf8.hpp"

namespace {

std::string utf8(std::u32string_view scalars) {
  std::string text;
  for (const char32_t c : scalars) caprl::append_utf8(text, c);
  return text;
}

std::uint32_t fnv1a(std::uint32_t hash, std::string_view text) {
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619u;
  return hash;
}

}  // namespace

TEST_CASE("UTF-8 accepts what is well-formed and nothing else") {
  for (const char32_t c : {0u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xD7FFu, 0xE000u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
    const std::string text = utf8(std::u32string(1, c));
    const caprl::Utf8Step step = caprl::read_utf8(text, 0);
    CHECK(step.valid);
    CHECK(step.scalar == c);
    CHECK(step.length == text.size());
    CHECK(caprl::find_invalid_utf8("ab" + text) == std::string_view::npos);
  }
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xF0\x9F\x98"}) {
    CHECK(caprl::find_invalid_utf8(std::string("ab") + bad) == 2);
  }
}

TEST_CASE("Ill-formed UTF-8 becomes one U+FFFD for each maximal subpart") {
  // The example of the Unicode Standard 15, table 3-8 and its neighbours.
  const std::string replacement = "\xEF\xBF\xBD";
  CHECK(caprl::replace_invalid_utf8("a\xF0\x80\x80\x41") == "a" + replacement + replacement + replacement + "A");
  CHECK(caprl::replace_invalid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") ==
        replacement + replacement + replacement + replacement + "A");
  CHECK(caprl::replace_invalid_utf8("\xED\xA0\x80") == replacement + replacement + replacement);
  CHECK(caprl::replace_invalid_utf8("\xE2\x82") == replacement);
  CHECK(caprl::replace_invalid_utf8("fine \xE2\x82\xAC") == "fine \xE2\x82\xAC");
}

TEST_CASE("The unfinished end of a text is held back, a wrong one is not") {
  CHECK(caprl::unfinished_utf8("") == 0);
  CHECK(caprl::unfinished_utf8("abc") == 0);
  CHECK(caprl::unfinished_utf8("a\xF0") == 1);
  CHECK(caprl::unfinished_utf8("a\xF0\x9F\x98") == 3);
  CHECK(caprl::unfinished_utf8("a\xF0\x9F\x98\x80") == 0);
  CHECK(caprl::unfinished_utf8("\x9F\x98") == 0);
  CHECK(caprl::unfinished_utf8("\xF0\x80") == 0);
}

TEST_CASE("The byte-level alphabet is GPT-2's and reversible") {
  CHECK(caprl::to_byte_level(" a\n") == "\u0120a\u010A");
  CHECK(caprl::to_byte_level({"\0\x7F\xAD\xFF", 4}) == "\u0100\u0121\u0143\u00FF");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  CHECK(caprl::from_byte_level(caprl::to_byte_level(all)) == all);
  CHECK_FALSE(caprl::from_byte_level("a b").has_value());
  CHECK_FALSE(caprl::from_byte_level("\u0144").has_value());
  CHECK_FALSE(caprl::from_byte_level("\u6F22").has_value());
  CHECK_FALSE(caprl::from_byte_level("\xFF").has_value());
}

TEST_CASE("NFC composes, orders and decomposes") {
  CHECK(caprl::nfc("plain") == "plain");
  CHECK(caprl::nfc(utf8(U"e\u0301")) == utf8(U"\u00E9"));
  CHECK(caprl::nfc(utf8(U"\u212B")) == utf8(U"\u00C5"));        // a singleton
  CHECK(caprl::nfc(utf8(U"\u0958")) == utf8(U"\u0915\u093C"));  // excluded from composition
  CHECK(caprl::nfc(utf8(U"a\u0315\u0300\u05AE\u0300b")) == utf8(U"\u00E0\u05AE\u0300\u0315b"));
  CHECK(caprl::nfc(utf8(U"a\u0310\u0301")) == utf8(U"a\u0310\u0301"));  // a mark of the same class lies between
  CHECK(caprl::nfc(utf8(U"\u1112\u1161\u11AB")) == utf8(U"\uD55C"));
  CHECK(caprl::nfc(utf8(U"\uD558\u11AB")) == utf8(U"\uD55C"));
  CHECK(caprl::nfc(utf8(U"\uD558\u11A7")) == utf8(U"\uD558\u11A7"));
  CHECK(caprl::nfc(utf8(U"\u0301x")) == utf8(U"\u0301x"));
  CHECK(caprl::is_surely_nfc(utf8(U"\u6F22\uD55C\u00E9 x")));
  CHECK_FALSE(caprl::is_surely_nfc(utf8(U"x\u0301")));
}

TEST_CASE("NFC of every scalar value is that of Python's unicodedata") {
  // python3 tests/reference/text_nfc_hashes.py
  constexpr std::uint32_t expected[17] = {
#include "data/text/nfc_hashes.inc"
  };
  for (char32_t plane = 0; plane < 17; ++plane) {
    std::uint32_t hash = 2166136261u;
    for (char32_t c = plane << 16; c < (plane + 1) << 16; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      const std::u32string text{U'a', U'\u0323', c, U'\u0301', U'\uAC00', c, c, U'\u0327'};
      hash = fnv1a(hash, caprl::nfc(utf8(text)));
    }
    CAPTURE(static_cast<unsigned>(plane));
    CHECK(hash == expected[plane]);
  }
}
