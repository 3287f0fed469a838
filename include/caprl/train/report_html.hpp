#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>

#include "caprl/text/utf8.hpp"

namespace caprl::detail {

/// Text that is safe between tags and within quotes. Ill-formed UTF-8 and control characters become U+FFFD.
inline std::string html_text(std::string_view text) {
  std::string escaped;
  for (const char c : replace_invalid_utf8(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default: {
        const auto byte = static_cast<unsigned char>(c);
        const bool control = (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F;
        if (control) {
          escaped += "\uFFFD";
        } else {
          escaped += c;
        }
      }
    }
  }
  return escaped;
}

/// "<tag class="...">content</tag>". The content is HTML already.
inline std::string element(const std::string& tag, const std::string& css_class, const std::string& content) {
  std::string html = "<" + tag;
  if (!css_class.empty()) html += " class=\"" + css_class + "\"";
  html += ">" + content;
  return html + "</" + tag + ">";
}

/// The same with text for content; nothing at all for an empty one.
inline std::string text_element(const std::string& tag, const std::string& css_class, std::string_view text) {
  return text.empty() ? std::string() : element(tag, css_class, html_text(text));
}

/// A number with `decimals` digits after the point.
inline std::string fixed(double value, int decimals) {
  std::array<char, 400> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.*f", decimals, value);
  return buffer.data();
}

/// A coordinate of a drawing.
inline std::string coordinate(double value) { return fixed(value, 1); }

/// A value as a reader wants it: three figures that count, or a percentage.
inline std::string shown_number(double value, bool percent) {
  if (!std::isfinite(value)) return std::isnan(value) ? "n/a" : value > 0 ? "\u221E" : "\u2212\u221E";
  if (percent) return fixed(100 * value, std::abs(value) < 0.0995 && value != 0 ? 1 : 0) + "\u2009%";
  const double size = std::abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) {
    std::array<char, 40> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%.2g", value);
    return buffer.data();
  }
  return fixed(value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

}  // namespace caprl::detail
