#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "caprl/autograd/log_probability.hpp"
#include "caprl/judge/judge_tokens.hpp"
#include "caprl/model/decoder.hpp"
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
  std::array<std::vector<caprl::HeadPair>, kinds_of_said> pairs;  ///< of each kind
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
      const caprl::Index row = lesson.shared.row(target.sequence, target.position);
      lesson.pairs[static_cast<std::size_t>(target.kind)].push_back({row, target.said});
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
/// say one, the question and the sentence that answers it must be understood, the answer found in the sentence, found
/// among the options, and named. So the steps are taught too, at tokens that are there anyway: after the question and
/// after each option any of its words, after the question the answer's first word, after each option's line the
/// option's letter if it is the answer and a line break if not.
inline void add_question(const caprl::JudgeTokens& tokens, const std::string& caption, const world::JudgeSample& sample,
                         caprl::RandomStream& random, LessonMaker& maker) {
  const caprl::OptionOrder order = random_order(random, sample.question.options.size());
  const auto right = sample.answer ? std::ranges::find(order, caprl::Index{*sample.answer}) - order.begin()
                                   : static_cast<std::ptrdiff_t>(order.size());
  const auto letter = [&](std::ptrdiff_t position) { return tokens.letter(caprl::option_letter(position)).front(); };
  const std::string& answer =
      sample.answer ? sample.question.options[static_cast<std::size_t>(*sample.answer)] : tokens.prompt().abstain;

  std::vector<caprl::Token> sequence = tokens.before_question(caption);
  const std::size_t asked_from = sequence.size();
  const std::vector<caprl::Token> question = tokens.question_tokens(sample.question, order);
  sequence.insert(sequence.end(), question.begin(), question.end());
  const caprl::Index number = maker.add(sequence);

  // Line breaks after the caption, the question, each option, and in the turns' frame.
  const std::vector<std::size_t> ends = line_ends(tokens.tokenizer(), question);
  const caprl::Token line_break = tokens.tokenizer().encode("\n").back();
  const auto expect_words = [&](std::size_t line, const std::string& text) {
    for (const caprl::Token word : tokens.tokenizer().encode(text)) {
      maker.expect(Said::sentence, number, asked_from + ends.at(line), word);
    }
  };
  expect_words(1, " " + sample.question.text);
  const auto asked = world::parse_question(sample.question.text);
  if (!asked || asked->kind != world::QuestionKind::order) {  // what happens first is asked of the options
    maker.expect(Said::word, number, asked_from + ends.at(1), tokens.tokenizer().encode(" " + answer).front());
  }
  for (std::ptrdiff_t option = 0; option <= std::ssize(order); ++option) {
    if (option < std::ssize(order)) {
      expect_words(static_cast<std::size_t>(option) + 2,
                   " " + sample.question.options[static_cast<std::size_t>(order[static_cast<std::size_t>(option)])]);
    }
    maker.expect(Said::option, number, asked_from + ends.at(static_cast<std::size_t>(option) + 2),
                 option == right ? letter(option) : line_break);
  }
  maker.expect(Said::letter, number, sequence.size() - 1, letter(right));
}

/// After each sentence of the caption any of its words may be said again: what belongs together is gathered where the
/// questions can find it, at tokens that are there anyway.
inline void add_sentences(const caprl::JudgeTokens& tokens, const world::JudgeGroup& group, LessonMaker& maker) {
  const std::vector<caprl::Token> sequence = tokens.before_question(group.caption);
  const caprl::Token full_stop = tokens.tokenizer().encode(" .").front();
  const caprl::Index number = maker.add(sequence);
  std::size_t begin = tokens.before_question("").size();
  for (std::size_t end = begin; end < sequence.size(); ++end) {
    if (sequence[end] != full_stop) continue;
    for (; begin < end; ++begin) maker.expect(Said::sentence, number, end, sequence[begin]);
    ++begin;
  }
}

/// Everything a caption says, asked in few words: "circle colour red circle size small ...". What is to be found in a
/// caption is taught by many more targets than whole questions have.
inline void add_drills(const caprl::JudgeTokens& tokens, const world::JudgeGroup& group, LessonMaker& maker) {
  std::vector<caprl::Token> sequence = tokens.before_question(group.caption);
  std::vector<std::size_t> answers;
  const auto append = [&](const std::string& text, bool is_answer) {
    for (const caprl::Token token : tokens.tokenizer().encode(text)) {
      if (is_answer) answers.push_back(sequence.size());
      sequence.push_back(token);
    }
  };
  for (const world::Drill& drill : group.drills) {
    for (const auto& [question, answer] : drill.facts) {
      append(" " + drill.key + " " + question, false);
      append(" " + answer, true);
    }
  }
  const caprl::Index number = maker.add(sequence);
  for (const std::size_t position : answers) maker.expect(Said::word, number, position - 1, sequence[position]);
}

/// Groups [first, first + count) of the corpus, each question with its options in a random order; or without questions,
/// drills alone.
inline JudgeLesson make_judge_lesson(const caprl::JudgeTokens& tokens, const world::JudgeCorpusSettings& corpus,
                                     std::uint64_t seed, std::uint32_t first, caprl::Index count,
                                     bool with_questions = true) {
  LessonMaker maker;
  for (caprl::Index g = 0; g < count; ++g) {
    const auto number = first + static_cast<std::uint32_t>(g);
    const world::JudgeGroup group = world::draw_judge_group(seed, number, corpus);
    caprl::RandomStream random({.seed = seed, .purpose = caprl::Purpose::option_order, .item = number});
    if (group.samples.empty()) continue;
    for (std::size_t s = 0; with_questions && s < group.samples.size(); ++s) {
      add_question(tokens, group.caption, group.samples[s], random, maker);
    }
    add_sentences(tokens, group, maker);
    if (!group.drills.empty()) add_drills(tokens, group, maker);
  }
  return maker.build();
}

/// After how many of a judge's blocks each kind is read: in the order in which an answer is found, so that each step
/// is done by the blocks before the next.
inline std::array<caprl::Index, kinds_of_said> depths_of_kinds(caprl::Index blocks) {
  caprl::require(blocks >= 4, "[judge lesson] expected a judge of at least 4 blocks");
  return {blocks - 4 > 0 ? blocks - 4 : 1, blocks - 2, blocks - 1, blocks};
}

/// For each kind the log-probabilities of what is to be said. Before the last block by the same norm and head.
inline std::array<caprl::Var<float>, kinds_of_said> lesson_log_probabilities(const caprl::Decoder<float>& judge,
                                                                             const JudgeLesson& lesson) {
  using namespace caprl;
  const auto depths = depths_of_kinds(static_cast<Index>(judge.blocks.size()));
  const PrefixTree& tree = lesson.shared.tree;
  const auto angles = judge.rotary(tree.depths());
  std::array<Var<float>, kinds_of_said> read;
  Var<float> x = embed(judge.embedding, Var<float>(), lesson.sources);
  Index deepest = 0;  // nothing is read after it
  for (std::size_t kind = 0; kind < read.size(); ++kind) {
    if (!lesson.pairs[kind].empty()) deepest = std::max(deepest, depths[kind]);
  }
  for (std::size_t block = 0; block < static_cast<std::size_t>(deepest); ++block) {
    x = judge.blocks[block].over_tree(x, &angles, tree, judge.blocks[block].attention_options(), false);
    for (std::size_t kind = 0; kind < read.size(); ++kind) {
      if (depths[kind] != static_cast<Index>(block) + 1 || lesson.pairs[kind].empty()) continue;
      const auto normed = rms_norm(x, judge.final_norm, judge.settings.block.norm_epsilon);
      read[kind] = token_log_probabilities(normed, judge.head, lesson.pairs[kind], 1.0);
    }
  }
  return read;
}

inline double mean_of(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value);
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

inline double mean_probability(std::span<const float> log_probabilities) {
  double sum = 0;
  for (const float value : log_probabilities) sum += std::exp(static_cast<double>(value));
  return log_probabilities.empty() ? 0 : sum / static_cast<double>(log_probabilities.size());
}

}  // namespace examples
