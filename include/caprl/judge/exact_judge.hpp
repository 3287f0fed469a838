#pragma once

#include <cmath>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/autograd/embedding.hpp"
#include "caprl/autograd/log_probability.hpp"
#include "caprl/judge/judge_tokens.hpp"
#include "caprl/judge/option_orders.hpp"
#include "caprl/judge/prompt_score.hpp"
#include "caprl/judge/reward_judge.hpp"
#include "caprl/model/decoder.hpp"

namespace caprl {

struct ExactJudgeSettings {
  QuestionPrompt prompt = QuestionPrompt::standard();
  OptionOrders orders{};
  double temperature = 0.6;       ///< of the judge's first token
  std::optional<double> penalty{};  ///< lambda of `prompt_score`; empty: `guess_penalty` of the question's options
  bool letters_only = false;      ///< renormalise over the letters; otherwise the mass on other tokens scores 0
  Index maximum_rows = 16384;     ///< tokens in one pass of the model
};

/// What a judge makes of one question from one caption, averaged over the option orders.
struct QuestionAnswer {
  std::vector<double> options;  ///< probability of each option, in the question's own order
  double abstain = 0;
  double leftover = 0;  ///< on tokens that are no letter
  double score = 0;     ///< mean of `prompt_score`
};

/// Answers multiple-choice questions from captions with a language model, without sampling: the distribution of the
/// first token of the answer is read off. Every caption of an item is asked the same questions in the same orders.
/// The expectation of the published sampled judge at the price of one pass over the distinct tokens.
template <class T, class Device = Cpu>
class ExactJudge {
 public:
  ExactJudge(Decoder<T, Device> model, const Tokenizer& tokenizer, ExactJudgeSettings settings)
      : model_(std::move(model)), tokens_(tokenizer, settings.prompt), settings_(std::move(settings)) {
    require(settings_.temperature > 0, "[ExactJudge] expected a temperature above 0");
  }

  std::vector<std::string> part_names() const { return {"accuracy"}; }

  /// A caption's reward is the mean score of its item's questions.
  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) const {
    std::vector<std::vector<Reward>> rewards;
    for (const auto& captions : answer(requests)) {
      std::vector<Reward>& group = rewards.emplace_back();
      for (const std::vector<QuestionAnswer>& answers : captions) group.push_back(reward_of(answers));
    }
    return rewards;
  }

  /// For each request, each of its captions and each question of its item: the judge's answer.
  std::vector<std::vector<std::vector<QuestionAnswer>>> answer(std::span<const JudgeRequest> requests) const {
    const NoGradient silent;
    Pass pass;
    std::vector<std::vector<std::vector<QuestionAnswer>>> answers;
    for (const JudgeRequest& request : requests) answers.push_back(empty_answers(request));
    for (std::size_t r = 0; r < requests.size(); ++r) {
      const std::vector<AskedQuestion> questions = asked(*requests[r].item);
      for (std::size_t c = 0; c < requests[r].captions.size() && !questions.empty(); ++c) {
        if (first_equal(requests[r].captions, c) < c) continue;
        add_caption(requests[r].captions[c], *requests[r].item, questions, answers[r][c], pass);
        if (pass.rows >= settings_.maximum_rows) run(pass);
      }
    }
    run(pass);
    for (std::size_t r = 0; r < requests.size(); ++r) {
      for (std::size_t c = 0; c < requests[r].captions.size(); ++c) {
        answers[r][c] = answers[r][first_equal(requests[r].captions, c)];
      }
    }
    return answers;
  }

  /// Tokens that the model has read, and those that it would have read without sharing, since the start.
  Index tokens_read() const { return tokens_read_; }
  Index tokens_repeated() const { return tokens_repeated_; }

  const ExactJudgeSettings& settings() const { return settings_; }

 private:
  /// A question in one order, as tokens.
  struct AskedQuestion {
    const Question* question;
    std::size_t number;
    OptionOrder order;
    double share;  ///< 1 / orders of this question
    std::vector<Token> tokens;
  };
  /// Prompts that the model reads together, and where their answers go.
  struct Pass {
    PrefixTreeBuilder builder;
    std::vector<std::vector<TokenKey>> sequences;
    std::vector<std::pair<AskedQuestion, QuestionAnswer*>> asks;
    Index rows = 0;  ///< at most; equal captions share theirs
  };

  /// The first caption with the same text: equal captions are judged once.
  static std::size_t first_equal(std::span<const Caption> captions, std::size_t c) {
    std::size_t first = 0;
    while (captions[first].text != captions[c].text) ++first;
    return first;
  }

  static std::vector<std::vector<QuestionAnswer>> empty_answers(const JudgeRequest& request) {
    std::vector<QuestionAnswer> of_caption;
    for (const Question& question : request.item->questions) {
      of_caption.push_back({.options = std::vector<double>(question.options.size())});
    }
    return std::vector<std::vector<QuestionAnswer>>(request.captions.size(), of_caption);
  }

  std::vector<AskedQuestion> asked(const CaptionItem& item) const {
    std::vector<AskedQuestion> asked;
    for (std::size_t q = 0; q < item.questions.size(); ++q) {
      const Question& question = item.questions[q];
      const std::vector<OptionOrder> orders = option_orders(settings_.orders, question);
      for (const OptionOrder& order : orders) {
        asked.push_back(
            {&question, q, order, 1.0 / static_cast<double>(orders.size()), tokens_.question_tokens(question, order)});
      }
    }
    return asked;
  }

  void add_caption(const Caption& caption, const CaptionItem& item, const std::vector<AskedQuestion>& questions,
                   std::vector<QuestionAnswer>& answers, Pass& pass) const {
    const std::vector<Token> start = tokens_.before_question(caption.text, item.questions.front());
    pass.rows += static_cast<Index>(start.size());
    for (const AskedQuestion& asked : questions) {
      std::vector<TokenKey> sequence;
      for (const Token token : start) sequence.push_back({token, 0});
      for (const Token token : asked.tokens) sequence.push_back({token, 0});
      pass.builder.add(sequence);
      pass.rows += static_cast<Index>(asked.tokens.size());
      tokens_repeated_ += static_cast<Index>(sequence.size());
      pass.asks.emplace_back(asked, &answers[asked.number]);
      pass.sequences.push_back(std::move(sequence));
    }
  }

  void run(Pass& pass) const {
    if (pass.asks.empty()) return;
    const SharedBatch batch = pass.builder.build();
    std::vector<Index> sources;
    for (const SharedBatch::Source& source : batch.sources) {
      const auto& sequence = pass.sequences[static_cast<std::size_t>(source.sequence)];
      sources.push_back(sequence[static_cast<std::size_t>(source.position)].id);
    }
    tokens_read_ += batch.tree.rows();
    const auto hidden = model_(embed(model_.embedding, Var<T, Device>(), std::move(sources)), batch.tree);
    read_letters(pass, batch, hidden);
    pass = Pass{};
  }

  void read_letters(const Pass& pass, const SharedBatch& batch, const Var<T, Device>& hidden) const {
    std::vector<HeadPair> pairs;
    for (std::size_t i = 0; i < pass.asks.size(); ++i) {
      const Index last = batch.row(static_cast<Index>(i), batch.lengths[i] - 1);
      for (const char letter : letters_of(*pass.asks[i].first.question)) {
        for (const Token token : tokens_.letter(letter)) pairs.push_back({last, token});
      }
    }
    const auto log_probabilities = token_log_probabilities(hidden, model_.head, pairs, 1.0 / settings_.temperature);
    const T* next = log_probabilities.value().data();
    for (const auto& [asked, answer] : pass.asks) {
      std::vector<double> probabilities;
      for (const char letter : letters_of(*asked.question)) {
        double probability = 0;
        for (std::size_t v = 0; v < tokens_.letter(letter).size(); ++v)
          probability += std::exp(static_cast<double>(*next++));
        probabilities.push_back(probability);
      }
      add_answer(asked, std::move(probabilities), *answer);
    }
  }

  /// The letters of the options and, last, of the abstain option.
  std::vector<char> letters_of(const Question& question) const {
    const auto count = static_cast<Index>(question.options.size());
    std::vector<char> letters;
    for (Index position = 0; position < count; ++position) letters.push_back(option_letter(position));
    letters.push_back(abstain_letter(settings_.prompt, count));
    return letters;
  }

  void add_answer(const AskedQuestion& asked, std::vector<double> probabilities, QuestionAnswer& answer) const {
    double sum = 0;
    for (const double probability : probabilities) sum += probability;
    if (settings_.letters_only) {
      for (double& probability : probabilities) probability /= sum;
      sum = 1;
    }
    double others = 0;
    double gold = 0;
    for (std::size_t position = 0; position < asked.order.size(); ++position) {
      const Index option = asked.order[position];
      answer.options[static_cast<std::size_t>(option)] += asked.share * probabilities[position];
      (option == asked.question->gold ? gold : others) += probabilities[position];
    }
    const auto options = static_cast<Index>(asked.order.size());
    answer.abstain += asked.share * probabilities.back();
    answer.leftover += asked.share * (1.0 - sum);
    answer.score += asked.share * prompt_score(gold, others, settings_.penalty.value_or(guess_penalty(options)));
  }

  static Reward reward_of(const std::vector<QuestionAnswer>& answers) {
    if (answers.empty()) return Reward::missing("the item has no questions");
    double sum = 0;
    for (const QuestionAnswer& answer : answers) sum += answer.score;
    const double mean = sum / static_cast<double>(answers.size());
    return std::isfinite(mean) ? Reward::of(mean) : Reward::missing("the judge's probabilities are not numbers");
  }

  Decoder<T, Device> model_;
  JudgeTokens tokens_;
  ExactJudgeSettings settings_;
  mutable Index tokens_read_ = 0;
  mutable Index tokens_repeated_ = 0;
};

}  // namespace caprl
