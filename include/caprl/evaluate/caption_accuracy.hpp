#pragma once

#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "caprl/judge/exact_judge.hpp"
#include "caprl/judge/judge_groups.hpp"

namespace caprl {

/// What a judge makes of one item's caption: means over the item's questions.
struct ItemAccuracy {
  double accuracy = 0;  ///< P(gold), the abstain option offered, nothing subtracted for wrong answers
  double abstain = 0;
  double leftover = 0;
  std::vector<QuestionAnswer> answers;  ///< one for each question
};

/// Throws Error for an item without questions and for answers that are no numbers: neither has an accuracy.
inline ItemAccuracy item_accuracy(const CaptionItem& item, std::vector<QuestionAnswer> answers) {
  if (answers.empty()) throw Error("[caption_accuracy] expected an item with questions, got none", item.where);
  ItemAccuracy result;
  const auto count = static_cast<double>(answers.size());
  for (std::size_t q = 0; q < answers.size(); ++q) {
    result.accuracy += answers[q].options[static_cast<std::size_t>(item.questions[q].gold)] / count;
    result.abstain += answers[q].abstain / count;
    result.leftover += answers[q].leftover / count;
  }
  if (!std::isfinite(result.accuracy + result.abstain + result.leftover)) {
    throw Error("[caption_accuracy] expected probabilities from the judge, got numbers that are none", item.where);
  }
  result.answers = std::move(answers);
  return result;
}

/// The accuracy of given captions: captions[i] is a text about items[i].
template <class T, class Device>
std::vector<ItemAccuracy> caption_accuracy(const ExactJudge<T, Device>& judge,
                                           std::span<const CaptionItem* const> items,
                                           std::span<const Caption> captions) {
  require(items.size() == captions.size(), "[caption_accuracy] expected one caption for each item");
  std::vector<JudgeRequest> requests;
  for (std::size_t i = 0; i < items.size(); ++i) requests.push_back({items[i], captions.subspan(i, 1)});
  auto answers = judge.answer(requests);
  std::vector<ItemAccuracy> accuracies;
  for (std::size_t i = 0; i < items.size(); ++i) {
    accuracies.push_back(item_accuracy(*items[i], std::move(answers[i].front())));
  }
  return accuracies;
}

}  // namespace caprl
