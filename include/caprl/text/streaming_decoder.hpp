#pragma once

#include <string>
#include <utility>

#include "caprl/core/index.hpp"
#include "caprl/text/tokenizer.hpp"
#include "caprl/text/utf8.hpp"

namespace caprl {

/// Decodes tokens one at a time and holds back the bytes of a character that is not complete yet. What `push` and
/// `finish` return, joined, is what `Tokenizer::decode` gives for all tokens.
class StreamingDecoder {
 public:
  explicit StreamingDecoder(Tokenizer tokenizer, bool skip_special = false)
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

  /// The text that this token completes; may be empty. Throws `Error` for an id that is no token.
  std::string push(Token token) {
    if (skip_special_ && tokenizer_.is_special(token)) return {};
    held_ += tokenizer_.token_text(token);
    const std::size_t ready = held_.size() - unfinished_utf8(held_);
    std::string text = replace_invalid_utf8(std::string_view(held_).substr(0, ready));
    held_.erase(0, ready);
    return text;
  }

  /// What is held back at the end (as U+FFFD), after which the decoder is as new.
  std::string finish() { return replace_invalid_utf8(std::exchange(held_, {})); }

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  std::string held_;
};

}  // namespace caprl
