#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "caprl/judge/exact_judge.hpp"

namespace caprl {

/// How a judge answers one question without a caption, and from captions: what tells a good question from a bad one.
struct QuestionRecord {
  double chance = 0;          ///< 1 / options
  double blind_accuracy = 0;  ///< P(gold) without a caption, renormalised over the options, the abstain option left out
  double blind_abstain = 0;   ///< P(abstaining) without a caption: near 1 for a judge that keeps to the caption
  double position_bias = 0;   ///< without a caption: how far the letters' shares lie from equal, 0 to 1 - 1 / options
  double leftover = 0;        ///< on tokens that are no letter: the largest seen, without a caption or with one
  Index captions = 0;         ///< from which the next two are means
  double accuracy = 0;        ///< P(gold), the abstain option offered
  double abstain = 0;         ///< P(abstaining): from captions that do not say, and to questions that nothing answers
};

/// From which values on a question is called bad.
struct QuestionLimits {
  double blind_above_chance = 0.1;  ///< the curation default: blind accuracy at most this above chance
  double position_bias = 0.3;
  double leftover = 0.2;
  double abstain = 0.95;  ///< of several captions
};

/// The record of one question from the judge's answer without a caption and those from captions. The judge must have
/// asked in all cyclic orders, or all: else a leaning to a position and one to an option cannot be told apart.
inline QuestionRecord question_record(const Question& question, const QuestionAnswer& blind,
                                      std::span<const QuestionAnswer> captioned) {
  QuestionRecord record;
  const auto options = static_cast<double>(question.options.size());
  double of_options = 0;
  for (const double probability : blind.options) of_options += probability;
  record.chance = 1 / options;
  record.blind_accuracy = blind.options[static_cast<std::size_t>(question.gold)] / of_options;
  record.blind_abstain = blind.abstain;
  for (const double position : blind.positions)
    record.position_bias += std::abs(position / of_options - 1 / options) / 2;
  record.leftover = blind.leftover;
  record.captions = static_cast<Index>(captioned.size());
  const auto count = static_cast<double>(captioned.size());
  for (const QuestionAnswer& answer : captioned) {
    record.accuracy += answer.options[static_cast<std::size_t>(question.gold)] / count;
    record.abstain += answer.abstain / count;
    record.leftover = std::max(record.leftover, answer.leftover);
  }
  return record;
}

/// For each request the records of its item's questions. Throws Error for a judge that does not ask in all rotations.
template <class T, class Device>
std::vector<std::vector<QuestionRecord>> question_records(const ExactJudge<T, Device>& judge,
                                                          std::span<const JudgeRequest> requests) {
  const OptionOrders& orders = judge.settings().orders;
  require(orders.kind == OptionOrders::Kind::all || (orders.kind == OptionOrders::Kind::cyclic && orders.count == 0),
          "[question_records] expected a judge that asks in all cyclic orders, or in all");
  const std::vector<Caption> nothing(1);
  std::vector<JudgeRequest> blind;
  for (const JudgeRequest& request : requests) blind.push_back({request.item, nothing});
  const auto without = judge.answer(blind);
  const auto with = judge.answer(requests);
  std::vector<std::vector<QuestionRecord>> records;
  for (std::size_t r = 0; r < requests.size(); ++r) {
    std::vector<QuestionRecord>& of_item = records.emplace_back();
    const std::vector<Question>& questions = requests[r].item->questions;
    for (std::size_t q = 0; q < questions.size(); ++q) {
      std::vector<QuestionAnswer> captioned;
      for (const auto& answers : with[r]) captioned.push_back(answers[q]);
      of_item.push_back(question_record(questions[q], without[r][0][q], captioned));
    }
  }
  return records;
}

/// What is wrong with a question, in words; nothing for a good one.
inline std::vector<std::string> question_faults(const QuestionRecord& record, const QuestionLimits& limits = {}) {
  std::vector<std::string> faults;
  const auto check = [&](bool bad, const std::string& what, double value) {
    if (bad) faults.push_back(what + " (" + std::to_string(value) + ")");
  };
  check(!(record.blind_accuracy <= record.chance + limits.blind_above_chance), "answered without a caption",
        record.blind_accuracy);
  check(!(record.position_bias <= limits.position_bias), "answered by the options' positions", record.position_bias);
  check(!(record.leftover <= limits.leftover), "answered with something other than a letter", record.leftover);
  check(record.captions > 1 && !(record.abstain <= limits.abstain), "never settled by a caption", record.abstain);
  return faults;
}

}  // namespace caprl
