#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/autograd/embedding.hpp"
#include "caprl/data/item.hpp"
#include "caprl/model/decoder.hpp"
#include "caprl/tensor/prefix_tree_builder.hpp"
#include "caprl/text/chat_template.hpp"

namespace examples {

/// Asks a language model how likely it is to write each option of a question as its whole answer. For models that read
/// but do not follow letters, as small ones do.
class OptionLikelihood {
 public:
  /// Throws Error where the tokenizer lacks a special token.
  OptionLikelihood(caprl::Decoder<float> model, const caprl::Tokenizer& tokenizer)
      : model_(std::move(model)), chat_(tokenizer) {}

  /// For each question of the item the log-probability of each option, after the caption. One pass over what is
  /// distinct: questions share the caption, options their question.
  std::vector<std::vector<double>> operator()(const caprl::CaptionItem& item, std::string_view caption) const {
    const caprl::NoGradient silent;
    Texts texts;
    for (const caprl::Question& question : item.questions) {
      const std::vector<caprl::Token> before = prompt(caption, question);
      for (const std::string& option : question.options) texts.add(before, answer(option));
    }
    const std::vector<double> of_texts = log_probabilities(texts);
    std::vector<std::vector<double>> result;
    std::size_t at = 0;
    for (const caprl::Question& question : item.questions) {
      auto& of_options = result.emplace_back();
      for (std::size_t option = 0; option < question.options.size(); ++option) of_options.push_back(of_texts[at++]);
    }
    return result;
  }

 private:
  /// Prompts with an answer each.
  struct Texts {
    std::vector<std::vector<caprl::Token>> tokens;
    std::vector<std::size_t> answer_begin;

    void add(std::vector<caprl::Token> prompt, const std::vector<caprl::Token>& answer) {
      answer_begin.push_back(prompt.size());
      prompt.insert(prompt.end(), answer.begin(), answer.end());
      tokens.push_back(std::move(prompt));
    }
  };

  std::vector<caprl::Token> prompt(std::string_view caption, const caprl::Question& question) const {
    const std::string text = std::string("Answer the question from the description.\nDescription: ")
                                 .append(caption)
                                 .append("\nQuestion: ")
                                 .append(question.text);
    return chat_.render({caprl::ChatMessage::of_text("user", text)}, {.assistant_prefill = "Answer:"}).tokens;
  }

  std::vector<caprl::Token> answer(const std::string& option) const {
    std::vector<caprl::Token> tokens = chat_.tokenizer().encode(" " + option);
    tokens.push_back(chat_.special_tokens().turn_end);
    return tokens;
  }

  /// Of each text's answer.
  std::vector<double> log_probabilities(const Texts& texts) const {
    caprl::PrefixTreeBuilder builder;
    for (const auto& tokens : texts.tokens) {
      std::vector<caprl::TokenKey> keys;
      for (const caprl::Token token : tokens) keys.push_back({token, 0});
      builder.add(keys);
    }
    const caprl::SharedBatch batch = builder.build();
    std::vector<caprl::Index> ids;
    for (const auto& [sequence, position] : batch.sources) {
      ids.push_back(texts.tokens[static_cast<std::size_t>(sequence)][static_cast<std::size_t>(position)]);
    }
    std::vector<caprl::HeadPair> pairs;
    for (std::size_t t = 0; t < texts.tokens.size(); ++t) {
      for (std::size_t i = texts.answer_begin[t]; i < texts.tokens[t].size(); ++i) {
        const auto before = static_cast<caprl::Index>(i) - 1;
        pairs.push_back({batch.row(static_cast<caprl::Index>(t), before), texts.tokens[t][i]});
      }
    }
    const auto rows = embed(model_.embedding, caprl::Var<float>(), ids);
    const auto of_tokens = model_.log_probabilities(rows, batch.tree, std::move(pairs), 1.0);
    const float* next = of_tokens.value().data();
    std::vector<double> sums;
    for (std::size_t t = 0; t < texts.tokens.size(); ++t) {
      double sum = 0;
      for (std::size_t i = texts.answer_begin[t]; i < texts.tokens[t].size(); ++i) sum += static_cast<double>(*next++);
      sums.push_back(sum);
    }
    return sums;
  }

  caprl::Decoder<float> model_;
  caprl::ChatTemplate chat_;
};

}  // namespace examples
