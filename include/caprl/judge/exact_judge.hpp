#pragma once

#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/judge/option_orders.hpp"
#include "caprl/judge/prompt_score.hpp"
#include "caprl/judge/question_reader.hpp"
#include "caprl/judge/reward_judge.hpp"

namespace caprl {

struct ExactJudgeSettings {
  QuestionPrompt prompt = QuestionPrompt::standard();
  OptionOrders orders{};
  double temperature = 0.6;         ///< of the judge's first token
  std::optional<double> penalty{};  ///< lambda of `prompt_score`; empty: `guess_penalty` of the question's options
  bool letters_only = false;        ///< renormalise over the letters; otherwise the mass on other tokens scores 0
  Index maximum_rows = 2048;        ///< tokens in one pass of the model, at most: activations stay in the caches
  WeightFormat weights = WeightFormat::float32;  ///< bf16: the judge works with rounded weights
};

/// What a judge makes of one question from one caption, averaged over the option orders.
struct QuestionAnswer {
  std::vector<double> options;    ///< probability of each option, in the question's own order
  std::vector<double> positions;  ///< probability of each position's letter, A first, the abstain option left out
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
  /// `tally`, if not null, is told what was done; it must outlive the judge.
  ExactJudge(Decoder<T, Device> model, const Tokenizer& tokenizer, ExactJudgeSettings settings,
             JudgeTally* tally = nullptr)
      : reader_(std::move(model), tokenizer, settings.prompt, settings.maximum_rows, settings.weights, tally),
        settings_(std::move(settings)),
        tally_(tally) {
    require(settings_.temperature > 0, "[ExactJudge] expected a temperature above 0");
  }

  std::vector<std::string> part_names() const { return {"accuracy"}; }
  /// All but the wording and the model. A penalty of -1 is that of guessing.
  RecordedNumbers recorded() const {
    RecordedNumbers numbers = settings_.orders.recorded();
    numbers.emplace_back("temperature", settings_.temperature);
    numbers.emplace_back("penalty", settings_.penalty.value_or(-1));
    numbers.emplace_back("letters_only", settings_.letters_only);
    numbers.emplace_back("bf16", settings_.weights == WeightFormat::bf16);
    return numbers;
  }

  /// A caption's reward is the mean score of its item's questions.
  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) const {
    return rewards_or_missing(requests, [this](std::span<const JudgeRequest> some) {
      std::vector<std::vector<Reward>> rewards;
      for (const auto& captions : answer(some)) {
        std::vector<Reward>& group = rewards.emplace_back();
        for (const std::vector<QuestionAnswer>& answers : captions) group.push_back(reward_of(answers));
      }
      return rewards;
    });
  }

  /// For each request, each of its captions and each question of its item: the judge's answer. Throws Error for a
  /// question that cannot be asked.
  std::vector<std::vector<std::vector<QuestionAnswer>>> answer(std::span<const JudgeRequest> requests) const {
    std::vector<std::vector<std::vector<QuestionAnswer>>> answers;
    for (const JudgeRequest& request : requests) answers.push_back(empty_answers(request));
    JudgePrompts prompts(reader_.tokens());
    std::vector<Asked> asked;
    for (std::size_t r = 0; r < requests.size(); ++r) ask(requests[r], answers[r], prompts, asked);
    const auto probabilities = reader_.letter_probabilities(prompts, settings_.temperature);
    for (std::size_t i = 0; i < asked.size(); ++i) add_answer(asked[i], probabilities[i]);
    for (std::size_t r = 0; r < requests.size(); ++r) {
      for (std::size_t c = 0; c < requests[r].captions.size(); ++c) {
        answers[r][c] = answers[r][first_equal_caption(requests[r].captions, c)];
      }
    }
    return answers;
  }

  const ExactJudgeSettings& settings() const { return settings_; }

 private:
  /// A question in one order about one caption, and where its answer goes.
  struct Asked {
    const Question* question;
    OptionOrder order;
    double share;  ///< 1 / orders of this question
    QuestionAnswer* answer;
  };

  static std::vector<std::vector<QuestionAnswer>> empty_answers(const JudgeRequest& request) {
    std::vector<QuestionAnswer> of_caption;
    for (const Question& question : request.item->questions) {
      const std::vector<double> zeros(question.options.size());
      of_caption.push_back({.options = zeros, .positions = zeros});
    }
    return std::vector<std::vector<QuestionAnswer>>(request.captions.size(), of_caption);
  }

  /// Every distinct caption is asked every question in the same orders.
  void ask(const JudgeRequest& request, std::vector<std::vector<QuestionAnswer>>& answers, JudgePrompts& prompts,
           std::vector<Asked>& asked) const {
    struct InOneOrder {
      std::size_t question;
      std::size_t number;
      OptionOrder order;
      double share;
    };
    const std::vector<Question>& questions = request.item->questions;
    std::vector<InOneOrder> common;
    for (std::size_t q = 0; q < questions.size(); ++q) {
      const auto orders = option_orders(settings_.orders, questions[q]);
      for (const OptionOrder& order : orders) {
        common.push_back(
            {q, prompts.add_question(questions[q], order), order, 1.0 / static_cast<double>(orders.size())});
      }
    }
    for (std::size_t c = 0; c < request.captions.size() && !common.empty(); ++c) {
      if (first_equal_caption(request.captions, c) < c) continue;
      const std::size_t caption = prompts.add_caption(request.captions[c].text);
      for (const InOneOrder& one : common) {
        prompts.ask(caption, one.number);
        asked.push_back({&questions[one.question], one.order, one.share, &answers[c][one.question]});
      }
    }
  }

  void add_answer(const Asked& asked, std::vector<double> probabilities) const {
    double sum = 0;
    for (const double probability : probabilities) sum += probability;
    if (settings_.letters_only) {
      for (double& probability : probabilities) probability /= sum;
      sum = 1;
    }
    QuestionAnswer& answer = *asked.answer;
    double others = 0;
    double gold = 0;
    for (std::size_t position = 0; position < asked.order.size(); ++position) {
      const Index option = asked.order[position];
      answer.options[static_cast<std::size_t>(option)] += asked.share * probabilities[position];
      answer.positions[position] += asked.share * probabilities[position];
      (option == asked.question->gold ? gold : others) += probabilities[position];
    }
    const auto options = static_cast<Index>(asked.order.size());
    answer.abstain += asked.share * probabilities.back();
    answer.leftover += asked.share * (1.0 - sum);
    if (tally_ != nullptr) tally_->add_answer(probabilities);
    answer.score += asked.share * prompt_score(gold, others, settings_.penalty.value_or(guess_penalty(options)));
  }

  static Reward reward_of(const std::vector<QuestionAnswer>& answers) {
    if (answers.empty()) return Reward::missing("the item has no questions");
    double sum = 0;
    for (const QuestionAnswer& answer : answers) sum += answer.score;
    const double mean = sum / static_cast<double>(answers.size());
    return std::isfinite(mean) ? Reward::of(mean) : Reward::missing("the judge's probabilities are not numbers");
  }

  QuestionReader<T, Device> reader_;
  ExactJudgeSettings settings_;
  JudgeTally* tally_;
};

}  // namespace caprl
