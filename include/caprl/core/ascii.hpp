#pragma once

#include <string>
#include <string_view>

namespace caprl {

/// The lower case of an ASCII letter; every other byte is left as it is, whatever the locale.
constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// The same for each byte of a text.
inline std::string ascii_lower(std::string text) {
  for (char& c : text) c = ascii_lower(c);
  return text;
}

/// True for two bytes that differ at most in the case of an ASCII letter.
constexpr bool same_letter(char a, char b) { return ascii_lower(a) == ascii_lower(b); }

/// The text without blanks and line ends on either side.
constexpr std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace caprl
