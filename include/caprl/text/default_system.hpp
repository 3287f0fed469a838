#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace caprl {

namespace detail {

/// A line break at the beginning of template text: one as it is, or the two characters that mean one in a string
/// literal. Gives its length, or 0.
inline std::size_t template_break(std::string_view text) {
  if (text.starts_with('\n')) return 1;
  return text.starts_with("\\n") ? 2 : 0;
}

/// Template text in which nothing is computed, as it would be written; nothing where it ends a literal or an
/// expression begins.
inline bool append_literal(std::string_view source, std::string& text) {
  for (std::size_t i = 0; i < source.size(); ++i) {
    const char c = source[i];
    if (c == '\'' || c == '"' || c == '{') return false;
    if (c != '\\') {
      text += c;
      continue;
    }
    if (++i == source.size()) return false;
    text += source[i] == 'n' ? '\n' : source[i];
  }
  return true;
}

}  // namespace detail

/// The system message with which a ChatML chat template (Jinja text, as published with tokenizers) begins a chat that
/// has none: what stands in one piece between "<|im_start|>system\n" and "<|im_end|>". Qwen2, Qwen2.5 and SmolLM2 have
/// one, Qwen3 has not. Empty for none, and for a message that the template computes: the template is not run.
inline std::string default_system_message(std::string_view chat_template) {
  constexpr std::string_view begin = "<|im_start|>system", end = "<|im_end|>";
  for (std::size_t at = chat_template.find(begin); at != std::string_view::npos;
       at = chat_template.find(begin, at + 1)) {
    std::string_view rest = chat_template.substr(at + begin.size());
    const std::size_t line_break = detail::template_break(rest);
    if (line_break == 0) continue;
    rest.remove_prefix(line_break);
    std::string message;
    const std::size_t length = rest.find(end);
    if (length != std::string_view::npos && detail::append_literal(rest.substr(0, length), message)) return message;
  }
  return "";
}

}  // namespace caprl
