#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/judge/question_prompt.hpp"
#include "caprl/tensor/prefix_tree_builder.hpp"
#include "caprl/text/chat_template.hpp"
#include "caprl/text/tokenizer.hpp"

namespace caprl {

/// A judge's prompts as tokens: a chat, cut where the caption and the question go. What comes before the caption, the
/// caption and what comes after it are tokenised apart: so the prompts of one caption share their beginning to the
/// token, and nothing in a caption can become a special token.
class JudgeTokens {
 public:
  /// Throws Error where the prompt lacks a slot or the tokenizer a special token.
  JudgeTokens(const Tokenizer& tokenizer, QuestionPrompt prompt) : tokenizer_(tokenizer), prompt_(std::move(prompt)) {
    cut_chat(ChatTemplate(tokenizer_));
    for (char letter = 'A'; letter <= 'Z'; ++letter) letters_.push_back(variants(letter));
  }

  const QuestionPrompt& prompt() const { return prompt_; }

  /// The turn up to the caption, and the caption.
  std::vector<Token> before_question(std::string_view caption) const {
    return joined(before_caption_, tokenizer_.encode(escape_caption(prompt_, std::string(caption))));
  }

  /// The question, its options in the given order, and the beginning of the answer.
  std::vector<Token> question_tokens(const Question& question, const OptionOrder& order) const {
    return joined(tokenizer_.encode(write_question(prompt_, question, order)), after_question_);
  }

  /// The tokens that name a letter: " A" and "A", as far as each is one token; each token once. Throws Error where none
  /// is.
  const std::vector<Token>& letter(char letter) const {
    const std::vector<Token>& tokens = letters_.at(static_cast<std::size_t>(letter - 'A'));
    if (tokens.empty()) {
      throw Error(std::string("[JudgeTokens] expected a token of its own for the letter ") + letter + ", got none", "",
                  "take a judge whose tokenizer keeps single letters whole");
    }
    return tokens;
  }

  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  std::vector<Token> variants(char letter) const {
    std::vector<Token> found;
    for (const std::string& text : {std::string(" ") + letter, std::string(1, letter)}) {
      const std::vector<Token> tokens = tokenizer_.encode(text);
      if (tokens.size() != 1) continue;
      // A tokenizer that puts a blank before every text reads both alike: a token counted twice would weigh twice.
      if (std::ranges::find(found, tokens.front()) == found.end()) found.push_back(tokens.front());
    }
    return found;
  }

  /// The chat whose user says what stands before the caption, in two: before and after the end of that turn.
  void cut_chat(const ChatTemplate& chat) {
    std::vector<ChatMessage> messages;
    if (!prompt_.system.empty()) messages.push_back(ChatMessage::of_text("system", prompt_.system));
    messages.push_back(ChatMessage::of_text("user", std::string(detail::prompt_slots(prompt_.text).before_caption)));
    const std::vector<Token> tokens =
        chat.render(messages, {.assistant_prefill = prompt_.prefill, .empty_thinking = prompt_.empty_thinking}).tokens;
    const auto last_end = std::find(tokens.rbegin(), tokens.rend(), chat.special_tokens().turn_end);
    before_caption_.assign(tokens.begin(), last_end.base() - 1);
    after_question_.assign(last_end.base() - 1, tokens.end());
  }

  static std::vector<Token> joined(std::vector<Token> first, const std::vector<Token>& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  }

  Tokenizer tokenizer_;
  QuestionPrompt prompt_;
  std::vector<Token> before_caption_;
  std::vector<Token> after_question_;
  std::vector<std::vector<Token>> letters_;
};

}  // namespace caprl
