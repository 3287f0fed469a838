#pragma once

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "caprl/core/error.hpp"

namespace caprl {

/// A regular expression that cuts text into pieces: each match is a piece, and so is each stretch between matches.
///
/// Patterns are written for Oniguruma, as Hugging Face tokenizers reads them; PCRE2 runs them with Unicode classes.
/// `\s` is spelled out as the White_Space property, since PCRE2 counts U+180E among the spaces.
/// Letters and digits are those of the Unicode version that the PCRE2 library knows (14.0 in PCRE2 10.42).
class SplitPattern {
 public:
  /// Throws `Error` where the pattern does not compile.
  explicit SplitPattern(std::string_view pattern) {
    const std::string source = spell_out_spaces(pattern);
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code_8* compiled = pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(source.data()), source.size(),
                                             PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr);
    if (compiled == nullptr) {
      throw Error("[SplitPattern] expected a regular expression, got one that PCRE2 refuses: " + message(code),
                  "at byte " + std::to_string(offset) + " of " + source);
    }
    code_.reset(compiled, [](pcre2_code_8* c) { pcre2_code_free_8(c); });
    compiled_just_in_time_ = pcre2_jit_compile_8(compiled, PCRE2_JIT_COMPLETE) == 0;
  }

  /// Calls visit(piece) for the pieces of `text`, in order; together they are `text`. The text must be valid UTF-8.
  template <class Visit>
  void split(std::string_view text, const Visit& visit) const {
    const std::unique_ptr<pcre2_match_data_8, FreeMatch> match(pcre2_match_data_create_8(1, nullptr));
    require(match != nullptr, "[SplitPattern] expected memory for a match, got none");
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer_8(match.get());
    std::size_t piece_begin = 0;
    std::size_t search_from = 0;
    while (search_from < text.size() && find(text, search_from, match.get())) {
      const std::size_t begin = bounds[0];
      const std::size_t end = bounds[1];
      if (end <= begin) {  // an empty match cuts nothing
        search_from = next_character(text, begin < search_from ? search_from : begin);
        continue;
      }
      if (begin > piece_begin) visit(text.substr(piece_begin, begin - piece_begin));
      visit(text.substr(begin, end - begin));
      piece_begin = search_from = end;
    }
    if (piece_begin < text.size()) visit(text.substr(piece_begin));
  }

 private:
  struct FreeMatch {
    void operator()(pcre2_match_data_8* match) const { pcre2_match_data_free_8(match); }
  };

  bool find(std::string_view text, std::size_t from, pcre2_match_data_8* match) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR8>(text.data());
    int result = PCRE2_ERROR_JIT_STACKLIMIT;
    if (compiled_just_in_time_) {
      result = pcre2_jit_match_8(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, match, nullptr);
    }
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter keeps its stack on the heap
      result =
          pcre2_match_8(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, nullptr);
    }
    if (result == PCRE2_ERROR_NOMATCH) return false;
    if (result < 0) throw Error("[SplitPattern] expected to search the text, got: " + message(result));
    return true;
  }

  static std::size_t next_character(std::string_view text, std::size_t position) {
    ++position;
    while (position < text.size() && (static_cast<unsigned char>(text[position]) & 0xC0) == 0x80) ++position;
    return position;
  }

  static std::string spell_out_spaces(std::string_view pattern) {
    static constexpr std::string_view spaces = "\\x{9}-\\x{D}\\x{85}\\p{Z}";
    std::string source;
    bool in_class = false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] == '\\' && i + 1 < pattern.size()) {
        const char escaped = pattern[++i];
        if (escaped == 's' || (escaped == 'S' && !in_class)) {
          if (!in_class) source += escaped == 's' ? "[" : "[^";
          source += spaces;
          if (!in_class) source += "]";
        } else {
          source += {'\\', escaped};
        }
        continue;
      }
      if (pattern[i] == '[') in_class = true;
      if (pattern[i] == ']') in_class = false;
      source += pattern[i];
    }
    return source;
  }

  static std::string message(int code) {
    char text[256] = {};
    pcre2_get_error_message_8(code, reinterpret_cast<PCRE2_UCHAR8*>(text), sizeof text);
    return text;
  }

  std::shared_ptr<pcre2_code_8> code_;
  bool compiled_just_in_time_ = false;
};

}  // namespace caprl
