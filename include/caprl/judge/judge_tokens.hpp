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
    for (char letter = 'A'; letter <= 'Z'; ++letter) letters_.push_back(variants(letter));
  }

  const QuestionPrompt& prompt() const { return prompt_; }

  /// The turn up to the caption, and the caption.
  std::vector<Token> before_question(std::string_view caption, const Question& question) const {
    const PromptPieces pieces = write_prompt(prompt_, caption, question, identity(question));
    std::vector<Token> tokens;
    if (!pieces.system.empty()) append_turn(tokens, "system\n" + pieces.system);
    tokens.push_back(special_.turn_start);
    append(tokens, "user\n" + pieces.before_caption);
    append(tokens, pieces.caption);
    return tokens;
  }

  /// The question, its options in the given order, and the beginning of the answer.
  std::vector<Token> question_tokens(const Question& question, const OptionOrder& order) const {
    const PromptPieces pieces = write_prompt(prompt_, "", question, order);
    std::vector<Token> tokens;
    append(tokens, pieces.after_caption);
    tokens.push_back(special_.turn_end);
    append(tokens, "\n");
    tokens.push_back(special_.turn_start);
    append(tokens, "assistant\n" + pieces.prefill);
    return tokens;
  }

  /// The tokens that name a letter: " A" and "A", as far as each is one token.
  const std::vector<Token>& letter(char letter) const { return letters_.at(static_cast<std::size_t>(letter - 'A')); }

  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  static OptionOrder identity(const Question& question) {
    OptionOrder order(question.options.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Index>(i);
    return order;
  }

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
