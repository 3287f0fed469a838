#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "caprl/judge/judge_tokens.hpp"
#include "caprl/tensor/cpu/head.hpp"
#include "caprl/tensor/tensor.hpp"
#include "world/judge_corpus.hpp"

/// Prompts of a judge with what should follow, from the text of the example world.
namespace examples {

/// What is to be said: a judge is read by the letter alone; the others are steps on the way to it.
enum class Said { sentence, word, option, letter };
inline constexpr int kinds_of_said = 4;

/// Sequences of many captions as one tree, and the tokens that should follow.
struct JudgeLesson {
  caprl::SharedBatch shared;
  std::vector<caprl::Index> sources;
  std::vector<caprl::HeadPair> pairs;
  std::vector<Said> kinds;  ///< [pairs]
};

/// Gathers sequences and what is to be said after some of their tokens.
class LessonMaker {
 public:
  caprl::Index add(std::span<const caprl::Token> tokens) {
    std::vector<caprl::TokenKey> keys;
    for (const caprl::Token token : tokens) keys.push_back({token, 0});
    builder_.add(keys);
    sequences_.push_back(std::move(keys));
    return static_cast<caprl::Index>(sequences_.size()) - 1;
  }

  /// After token `position` of the sequence `said` should follow.
  void expect(Said kind, caprl::Index sequence, std::size_t position, caprl::Token said) {
    targets_.push_back({kind, sequence, static_cast<caprl::Index>(position), said});
  }

  JudgeLesson build() const {
    JudgeLesson lesson;
    lesson.shared = builder_.build();
    for (const caprl::SharedBatch::Source& source : lesson.shared.sources) {
      const auto& sequence = sequences_[static_cast<std::size_t>(source.sequence)];
      lesson.sources.push_back(sequence[static_cast<std::size_t>(source.position)].id);
    }
    for (const Target& target : targets_) {
      lesson.pairs.push_back({lesson.shared.row(target.sequence, target.position), target.said});
      lesson.kinds.push_back(target.kind);
    }
    return lesson;
  }

 private:
  struct Target {
    Said kind;
    caprl::Index sequence;
    caprl::Index position;
    caprl::Token said;
  };
  caprl::PrefixTreeBuilder builder_;
  std::vector<std::vector<caprl::TokenKey>> sequences_;
  std::vector<Target> targets_;
};

inline caprl::OptionOrder random_order(caprl::RandomStream& random, std::size_t options) {
  caprl::OptionOrder order(options);
  for (std::size_t i = 0; i < options; ++i) order[i] = static_cast<caprl::Index>(i);
  random.shuffle(order);
  return order;
}

/// Tokens of a prompt that end a line: of the caption, the question and each option.
inline std::vector<std::size_t> line_ends(const caprl::Tokenizer& tokenizer, std::span<const caprl::Token> tokens) {
  std::vector<std::size_t> ends;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokenizer.decode(tokens.subspan(i, 1)).ends_with('\n')) ends.push_back(i);
  }
  return ends;
}

/// A question as it is asked, and its letter. A judge is read by the letter alone, but letters alone teach slowly: to
/// say one, the answer must be found in the caption, found among the options, and named. So the steps are taught too,
/// at tokens that are there anyway: after the question the answer's first word, and after each option's line the
/// option's letter if it is the answer and a line break if not.
inline void add_question(const caprl::JudgeTokens& tokens, const std::string& caption, const world::JudgeSample& sample,
                         caprl::RandomStream& random, LessonMaker& maker) {
  const caprl::OptionOrder order = random_order(random, sample.question.options.size());
  const auto right = sample.answer ? std::ranges::find(order, caprl::Index{*sample.answer}) - order.begin()
                                   : static_cast<std::ptrdiff_t>(order.size());
  const auto letter = [&](std::ptrdiff_t position) { return tokens.letter(caprl::option_letter(position)).front(); };
  const std::string& answer =
      sample.answer ? sample.question.options[static_cast<std::size_t>(*sample.answer)] : tokens.prompt().abstain;

  std::vector<caprl::Token> sequence = tokens.before_question(caption, sample.question);
  const std::size_t asked_from = sequence.size();
  const std::vector<caprl::Token> question = tokens.question_tokens(sample.question, order);
  sequence.insert(sequence.end(), question.begin(), question.end());
  const caprl::Index number = maker.add(sequence);

  // Line breaks after the caption, the question, each option, and in the turns' frame.
  const std::vector<std::size_t> ends = line_ends(tokens.tokenizer(), question);
  const caprl::Token line_break = tokens.tokenizer().encode("\n").back();
  maker.expect(Said::word, number, asked_from + ends.at(1), tokens.tokenizer().encode(" " + answer).front());
  for (std::ptrdiff_t option = 0; option <= std::ssize(order); ++option) {
    maker.expect(Said::option, number, asked_from + ends.at(static_cast<std::size_t>(option) + 2),
                 option == right ? letter(option) : line_break);
  }
  maker.expect(Said::letter, number, sequence.size() - 1, letter(right));
}

/// After each sentence of the caption any of its words may be said again: what belongs together is gathered where the
/// questions can find it, at tokens that are there anyway.
inline void add_sentences(const caprl::JudgeTokens& tokens, const world::JudgeGroup& group, LessonMaker& maker) {
  const caprl::Question& any = group.samples.front().question;
  const std::vector<caprl::Token> sequence = tokens.before_question(group.caption, any);
  const caprl::Token full_stop = tokens.tokenizer().encode(" .").front();
  const caprl::Index number = maker.add(sequence);
  std::size_t begin = tokens.before_question("", any).size();
  for (std::size_t end = begin; end < sequence.size(); ++end) {
    if (sequence[end] != full_stop) continue;
    for (; begin < end; ++begin) maker.expect(Said::sentence, number, end, sequence[begin]);
    ++begin;
  }
}

/// Groups [first, first + count) of the corpus, each question with its options in a random order.
inline JudgeLesson make_judge_lesson(const caprl::JudgeTokens& tokens, const world::JudgeCorpusSettings& corpus,
                                     std::uint64_t seed, std::uint32_t first, caprl::Index count) {
  LessonMaker maker;
  for (caprl::Index g = 0; g < count; ++g) {
    const auto number = first + static_cast<std::uint32_t>(g);
    const world::JudgeGroup group = world::draw_judge_group(seed, number, corpus);
    caprl::RandomStream random({.seed = seed, .purpose = caprl::Purpose::option_order, .item = number});
    for (const world::JudgeSample& sample : group.samples) {
      add_question(tokens, group.caption, sample, random, maker);
    }
    if (!group.samples.empty()) add_sentences(tokens, group, maker);
  }
  return maker.build();
}

/// The mean probability of what is to be said, of one kind.
inline double mean_probability(const JudgeLesson& lesson, std::span<const float> log_probabilities, Said kind) {
  double sum = 0;
  caprl::Index count = 0;
  for (std::size_t i = 0; i < lesson.kinds.size(); ++i) {
    if (lesson.kinds[i] != kind) continue;
    sum += std::exp(static_cast<double>(log_probabilities[i]));
    ++count;
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

/// Gradients of the log-probabilities for the sum of the kinds' mean losses: there are many options for one
/// letter, and most are not the answer.
inline caprl::Tensor<float> lesson_weights(const JudgeLesson& lesson) {
  std::array<float, kinds_of_said> counts{};
  for (const Said kind : lesson.kinds) counts[static_cast<std::size_t>(kind)] += 1;
  caprl::Tensor<float> weights({static_cast<caprl::Index>(lesson.kinds.size())});
  for (std::size_t i = 0; i < lesson.kinds.size(); ++i) {
    weights.data()[i] = -1 / (kinds_of_said * counts[static_cast<std::size_t>(lesson.kinds[i])]);
  }
  return weights;
}

}  // namespace examples
