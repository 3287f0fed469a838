#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "caprl/judge/exact_judge.hpp"
#include "caprl/model/language_model.hpp"
#include "support/tiny_world.hpp"

namespace caprl::test {

inline CaptionItem asked_item() {
  CaptionItem item = image_item();
  item.questions = {{"what colour is the circle ?", {"red", "blue", "green"}, 1},
                    {"what is left of it ?", {"a square", "a circle"}, 0}};
  return item;
}

inline ExactJudge<float> small_judge(ExactJudgeSettings settings = {}, JudgeTally* count = nullptr) {
  const Tokenizer tokenizer = small_tokenizer();
  const Decoder<float> model(small_decoder_settings(tokenizer));
  initialize(model, 3);
  settings.prompt = QuestionPrompt::brief();
  return ExactJudge<float>(model, tokenizer, settings, count);
}

/// A judge's model with random weights that puts much of its probability on letters.
inline Decoder<float> opinionated_model(const Tokenizer& tokenizer) {
  const Decoder<float> model(small_decoder_settings(tokenizer));
  initialize(model, 3);
  const JudgeTokens tokens(tokenizer, QuestionPrompt::brief());
  for (const char letter : {'A', 'B', 'C', 'D'}) {
    for (const Token token : tokens.letter(letter)) {
      float* row = model.embedding.rows().row(token);
      for (Index c = 0; c < model.embedding.shape()[1]; ++c) row[c] *= 40;
    }
  }
  return model;
}

/// A model whose next token depends on the last one alone: after a prompt it writes `text` and ends. No token may stand
/// twice in it.
inline Decoder<float> reciting_model(const Tokenizer& tokenizer, const std::string& text) {
  DecoderSettings settings = small_decoder_settings(tokenizer);
  settings.block.hidden_size = 64;
  settings.tied_embeddings = false;
  const Decoder<float> model(settings);
  initialize(model, 3);
  for (const auto& block : model.blocks) {
    std::fill_n(block.output.weight.value().data(), block.output.weight.value().elements(), 0.0f);
    std::fill_n(block.down.weight.value().data(), block.down.weight.value().elements(), 0.0f);
  }
  std::fill_n(model.head.value().data(), model.head.value().elements(), 0.0f);
  const JudgeTokens tokens(tokenizer, QuestionPrompt::brief());
  const Question question = asked_item().questions[0];
  std::vector<Token> chain{tokens.question_tokens(question, {0, 1, 2}).back()};
  for (const Token token : tokenizer.encode(text)) chain.push_back(token);
  chain.push_back(*tokenizer.id_of("<|im_end|>"));
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    const float* from = model.embedding.rows().row(chain[i]);
    double squares = 0;
    for (Index c = 0; c < 64; ++c) squares += static_cast<double>(from[c]) * static_cast<double>(from[c]);
    for (Index c = 0; c < 64; ++c) {
      model.head.rows().row(chain[i + 1])[c] += 4 * from[c] / static_cast<float>(std::sqrt(squares));
    }
  }
  return model;
}

}  // namespace caprl::test
