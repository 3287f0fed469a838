#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/judge/judge_tokens.hpp"
#include "caprl/judge/reward_judge.hpp"

namespace caprl {

/// The prompts that a judge's model is to read: captions and questions, each tokenised once, and which question is
/// asked about which caption.
class JudgePrompts {
 public:
  struct Ask {
    std::size_t caption;
    std::size_t question;
  };

  /// `tokens` must outlive the prompts.
  explicit JudgePrompts(const JudgeTokens& tokens) : tokens_(&tokens) {}

  /// Adds a caption and returns its number.
  std::size_t add_caption(std::string_view caption) {
    captions_.push_back(tokens_->before_question(caption));
    return captions_.size() - 1;
  }

  /// Adds a question in one order and returns its number.
  std::size_t add_question(const Question& question, const OptionOrder& order) {
    const auto count = static_cast<Index>(question.options.size());
    std::vector<char> letters;
    for (Index position = 0; position < count; ++position) letters.push_back(option_letter(position));
    letters.push_back(abstain_letter(tokens_->prompt(), count));
    questions_.push_back({tokens_->question_tokens(question, order), std::move(letters)});
    return questions_.size() - 1;
  }

  /// Asks a question about a caption. Prompts of one caption should be asked one after the other: they share a pass.
  void ask(std::size_t caption, std::size_t question) { asks_.push_back({caption, question}); }

  std::span<const Ask> asks() const { return asks_; }
  /// The letters of a prompt's options and, last, of the abstain option.
  const std::vector<char>& letters(const Ask& ask) const { return questions_[ask.question].letters; }

  Index caption_rows(const Ask& ask) const { return static_cast<Index>(captions_[ask.caption].size()); }
  Index question_rows(const Ask& ask) const { return static_cast<Index>(questions_[ask.question].tokens.size()); }

  /// A whole prompt.
  std::vector<Token> tokens(const Ask& ask) const {
    std::vector<Token> tokens = captions_[ask.caption];
    const std::vector<Token>& rest = questions_[ask.question].tokens;
    tokens.insert(tokens.end(), rest.begin(), rest.end());
    return tokens;
  }

 private:
  struct Asked {
    std::vector<Token> tokens;
    std::vector<char> letters;
  };

  const JudgeTokens* tokens_;
  std::vector<std::vector<Token>> captions_;
  std::vector<Asked> questions_;
  std::vector<Ask> asks_;
};

/// The first caption with the same text: equal captions are judged once.
inline std::size_t first_equal_caption(std::span<const Caption> captions, std::size_t c) {
  std::size_t first = 0;
  while (captions[first].text != captions[c].text) ++first;
  return first;
}

}  // namespace caprl
