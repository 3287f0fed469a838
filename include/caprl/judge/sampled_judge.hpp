#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/judge/prompt_score.hpp"
#include "caprl/judge/published_faults.hpp"
#include "caprl/judge/question_draws.hpp"
#include "caprl/judge/question_reader.hpp"
#include "caprl/judge/reward_judge.hpp"

namespace caprl {

struct SampledJudgeSettings {
  QuestionPrompt prompt = QuestionPrompt::standard();
  Index draws = 8;                       ///< questions asked about a caption, drawn with replacement
  std::optional<OptionOrders> orders{};  ///< each draw takes one of these; empty: options are shuffled each draw
  double temperature = 0.6;              ///< of the judge's answer
  Index answer_tokens = 10;              ///< at most, where answers are written out (`faults.first_capital`)
  std::optional<double> penalty{};       ///< of a wrong answer; empty: `guess_penalty` of the question's options
  PublishedFaults faults{};              ///< those of its questions and answers
  std::uint64_t seed = 0;
  Index maximum_rows = 2048;                     ///< tokens in one pass of the model, at most: see `ExactJudge`
  WeightFormat weights = WeightFormat::float32;  ///< bf16: the judge works with rounded weights

  /// As CapRL++ has it (arXiv 2606.09393), faults included.
  static SampledJudgeSettings published() {
    SampledJudgeSettings settings;
    settings.faults = caprl::published();
    return settings;
  }
};

/// What a sampled judge made of one drawn question.
struct SampledAnswer {
  QuestionDraw draw;
  std::optional<char> letter;  ///< that it answered with, options being A, B, ... in the order shown; empty: none
  double score = 0;            ///< 1 for the right option, -penalty for another, else 0
};

/// The published judge: asks a few drawn questions about a caption and samples the answers. A caption's reward is the
/// mean score of its draws.
///
/// Unless a fault is switched on, all captions of a request are asked the same questions in the same orders, the first
/// token of the answer must be a letter, and equal captions are judged once: then the reward's expectation is that of
/// `ExactJudge` with the same orders. Draws depend on the seed, the item and the captions of the request, not on their
/// order; the same request is always answered alike.
template <class T, class Device = Cpu>
class SampledJudge {
 public:
  /// `tally`, if not null, is told what was done; it must outlive the judge.
  SampledJudge(Decoder<T, Device> model, const Tokenizer& tokenizer, SampledJudgeSettings settings,
               JudgeTally* tally = nullptr)
      : reader_(std::move(model), tokenizer, prompt_of(settings), settings.maximum_rows, settings.weights, tally),
        settings_(std::move(settings)),
        tally_(tally) {
    require(settings_.temperature > 0 && settings_.draws >= 1 && settings_.answer_tokens >= 1,
            "[SampledJudge] expected a temperature above 0, at least one draw and one token of an answer");
  }

  std::vector<std::string> part_names() const { return {"accuracy"}; }
  /// All but the wording and the model. A penalty of -1 is that of guessing.
  RecordedNumbers recorded() const {
    RecordedNumbers numbers = settings_.orders ? settings_.orders->recorded() : RecordedNumbers{};
    numbers.emplace_back("draws", settings_.draws);
    numbers.emplace_back("temperature", settings_.temperature);
    numbers.emplace_back("answer_tokens", settings_.answer_tokens);
    numbers.emplace_back("penalty", settings_.penalty.value_or(-1));
    numbers.emplace_back("seed", settings_.seed);
    numbers.emplace_back("bf16", settings_.weights == WeightFormat::bf16);
    const PublishedFaults& faults = settings_.faults;
    numbers.emplace_back("faults.questions_by_caption", faults.questions_by_caption);
    numbers.emplace_back("faults.abstaining_is_wrong", faults.abstaining_is_wrong);
    numbers.emplace_back("faults.first_capital", faults.first_capital);
    numbers.emplace_back("faults.fixed_abstain_letter", faults.fixed_abstain_letter);
    numbers.emplace_back("faults.old_labels", faults.old_labels);
    return numbers;
  }

  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) const {
    return rewards_or_missing(requests, [this](std::span<const JudgeRequest> some) {
      std::vector<std::vector<Reward>> rewards;
      for (const auto& captions : answer(some)) {
        std::vector<Reward>& group = rewards.emplace_back();
        for (const std::vector<SampledAnswer>& answers : captions) group.push_back(reward_of(answers));
      }
      return rewards;
    });
  }

  /// For each request and each of its captions the questions that were drawn, and their answers. Throws Error if the
  /// model's numbers are broken.
  std::vector<std::vector<std::vector<SampledAnswer>>> answer(std::span<const JudgeRequest> requests) const {
    std::vector<std::vector<std::vector<SampledAnswer>>> answers;
    JudgePrompts prompts(reader_.tokens());
    std::vector<Asked> asked;
    for (const JudgeRequest& request : requests) answers.emplace_back(request.captions.size());
    for (std::size_t r = 0; r < requests.size(); ++r) ask(requests[r], answers[r], prompts, asked);
    if (settings_.faults.first_capital) {
      read_written_answers(prompts, asked);
    } else {
      draw_letters(prompts, asked);
    }
    for (const Asked& one : asked) one.answer->score = score_of(*one.item, *one.answer);
    for (std::size_t r = 0; r < requests.size(); ++r) {
      for (std::size_t c = 0; c < requests[r].captions.size() && !settings_.faults.questions_by_caption; ++c) {
        answers[r][c] = answers[r][first_equal_caption(requests[r].captions, c)];
      }
    }
    return answers;
  }

  const SampledJudgeSettings& settings() const { return settings_; }

 private:
  /// One prompt, and where its answer goes.
  struct Asked {
    const CaptionItem* item;
    RandomKey key;  ///< of the answer
    SampledAnswer* answer;
  };

  static QuestionPrompt prompt_of(const SampledJudgeSettings& settings) {
    QuestionPrompt prompt = settings.prompt;
    if (settings.faults.fixed_abstain_letter) prompt.abstain_letter = 'F';
    return prompt;
  }

  void ask(const JudgeRequest& request, std::vector<std::vector<SampledAnswer>>& answers, JudgePrompts& prompts,
           std::vector<Asked>& asked) const {
    const CaptionItem& item = *request.item;
    if (item.questions.empty()) return;
    const std::vector<Question> shown = settings_.faults.old_labels ? with_old_labels(item) : item.questions;
    const std::uint64_t group = request_fingerprint(request);
    for (std::size_t c = 0; c < request.captions.size(); ++c) {
      const bool own = settings_.faults.questions_by_caption;
      if (!own && first_equal_caption(request.captions, c) < c) continue;
      const std::size_t caption = prompts.add_caption(request.captions[c].text);
      const auto number = static_cast<std::uint32_t>(c + 1);
      RandomKey key = group_key(settings_.seed, Purpose::judge_sampling, group);
      key.step = own ? number : static_cast<std::uint32_t>(Fnv1a().add(request.captions[c].text).value());
      RandomKey draw_key = group_key(settings_.seed, Purpose::question_draw, group);
      draw_key.step = own ? number : 0;
      for (QuestionDraw& draw : draw_questions(item, settings_.draws, settings_.orders, draw_key)) {
        prompts.ask(caption, prompts.add_question(shown[draw.question], draw.order));
        answers[c].push_back({.draw = std::move(draw), .letter = std::nullopt});
      }
      for (SampledAnswer& answer : answers[c]) {
        asked.push_back({&item, key, &answer});
        ++key.position;
      }
    }
  }

  /// Samples the first token: all that matters of it is which letter it is, or none.
  void draw_letters(const JudgePrompts& prompts, std::vector<Asked>& asked) const {
    const auto probabilities = reader_.letter_probabilities(prompts, settings_.temperature);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      double remaining = random_uniform(asked[i].key);
      for (std::size_t position = 0; position < probabilities[i].size(); ++position) {
        if (!std::isfinite(probabilities[i][position])) {
          throw Error("[SampledJudge] expected probabilities, got numbers that are none", asked[i].item->where);
        }
        if (remaining < probabilities[i][position]) {
          asked[i].answer->letter = prompts.letters(prompts.asks()[i])[position];
          break;
        }
        remaining -= probabilities[i][position];
      }
    }
    if (tally_ == nullptr) return;
    for (const std::vector<double>& letters : probabilities) tally_->add_answer(letters);
  }

  void read_written_answers(const JudgePrompts& prompts, std::vector<Asked>& asked) const {
    std::vector<std::uint32_t> keys;
    for (const Asked& one : asked) keys.push_back(static_cast<std::uint32_t>(random_bits(one.key)));
    const auto texts =
        reader_.write_answers(prompts, settings_.temperature, settings_.answer_tokens, settings_.seed, keys);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      if (const auto position = first_capital(texts[i])) asked[i].answer->letter = option_letter(*position);
    }
  }

  double score_of(const CaptionItem& item, const SampledAnswer& answer) const {
    const OptionOrder& order = answer.draw.order;
    const auto options = static_cast<Index>(order.size());
    const Index position = answer.letter ? *answer.letter - 'A' : options;
    if (position >= options) return 0;  // no letter, or the abstain option's
    const bool right = order[static_cast<std::size_t>(position)] == item.questions[answer.draw.question].gold;
    const double penalty =
        settings_.faults.abstaining_is_wrong ? 0 : settings_.penalty.value_or(guess_penalty(options));
    return prompt_score(right ? 1 : 0, right ? 0 : 1, penalty);
  }

  static Reward reward_of(const std::vector<SampledAnswer>& answers) {
    if (answers.empty()) return Reward::missing("the item has no questions");
    double sum = 0;
    for (const SampledAnswer& answer : answers) sum += answer.score;
    return Reward::of(sum / static_cast<double>(answers.size()));
  }

  QuestionReader<T, Device> reader_;
  SampledJudgeSettings settings_;
  JudgeTally* tally_;
};

}  // namespace caprl
