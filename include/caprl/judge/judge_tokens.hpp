#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/judge/question_prompt.hpp"
#include "caprl/tensor/prefix_tree_builder.hpp"
#include "caprl/text/special_tokens.hpp"
#include "caprl/text/tokenizer.hpp"

namespace caprl {

/// A judge's prompts as tokens. What comes before the caption, the caption and what comes after it are tokenised apart:
/// so the prompts of one caption share their beginning to the token, and nothing in a caption can become a special
/// token.
class JudgeTokens {
 public:
  JudgeTokens(const Tokenizer& tokenizer, QuestionPrompt prompt)
      : tokenizer_(tokenizer), special_(SpecialTokenIds::of(tokenizer)), prompt_(std::move(prompt)) {
    detail::prompt_slots(prompt_.text);  // throws where one is missing
    for (char letter = 'A'; letter <= 'Z'; ++letter) letters_.push_back(variants(letter));
  }

  const QuestionPrompt& prompt() const { return prompt_; }

  /// The turn up to the caption, and the caption.
  std::vector<Token> before_question(std::string_view caption) const {
    std::vector<Token> tokens;
    if (!prompt_.system.empty()) append_turn(tokens, "system\n" + prompt_.system);
    tokens.push_back(special_.turn_start);
    append(tokens, "user\n" + std::string(detail::prompt_slots(prompt_.text).before_caption));
    append(tokens, escape_caption(prompt_, std::string(caption)));
    return tokens;
  }

  /// The question, its options in the given order, and the beginning of the answer.
  std::vector<Token> question_tokens(const Question& question, const OptionOrder& order) const {
    std::vector<Token> tokens;
    append(tokens, write_question(prompt_, question, order));
    tokens.push_back(special_.turn_end);
    append(tokens, "\n");
    tokens.push_back(special_.turn_start);
    append(tokens, "assistant\n" + prompt_.prefill);
    return tokens;
  }

  /// The tokens that name a letter: " A" and "A", as far as each is one token.
  const std::vector<Token>& letter(char letter) const { return letters_.at(static_cast<std::size_t>(letter - 'A')); }

  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  std::vector<Token> variants(char letter) const {
    std::vector<Token> found;
    for (const std::string& text : {std::string(" ") + letter, std::string(1, letter)}) {
      const std::vector<Token> tokens = tokenizer_.encode(text);
      if (tokens.size() == 1) found.push_back(tokens.front());
    }
    return found;
  }

  void append(std::vector<Token>& tokens, const std::string& text) const {
    const std::vector<Token> more = tokenizer_.encode(text);
    tokens.insert(tokens.end(), more.begin(), more.end());
  }
  void append_turn(std::vector<Token>& tokens, const std::string& text) const {
    tokens.push_back(special_.turn_start);
    append(tokens, text);
    tokens.push_back(special_.turn_end);
    append(tokens, "\n");
  }

  Tokenizer tokenizer_;
  SpecialTokenIds special_;
  QuestionPrompt prompt_;
  std::vector<std::vector<Token>> letters_;
};

}  // namespace caprl
