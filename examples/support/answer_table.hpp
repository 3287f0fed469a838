#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "caprl/data/item.hpp"

namespace examples {

/// Answers from the question and its options alone: how often each text was right for a question, of how often it was
/// offered.
class AnswerTable {
 public:
  explicit AnswerTable(const std::vector<caprl::CaptionItem>& items) {
    for (const caprl::CaptionItem& item : items) {
      for (const caprl::Question& question : item.questions) {
        for (std::size_t option = 0; option < question.options.size(); ++option) {
          Count& count = counts_[question.text][question.options[option]];
          ++count.offered;
          count.right += static_cast<caprl::Index>(option) == question.gold;
        }
      }
    }
  }

  /// For each item the share of questions whose likeliest option is right; equal ones share.
  std::vector<double> accuracies(const std::vector<caprl::CaptionItem>& items) const {
    std::vector<double> accuracies;
    for (const caprl::CaptionItem& item : items) {
      double sum = 0;
      for (const caprl::Question& question : item.questions) sum += right_share(question);
      accuracies.push_back(sum / static_cast<double>(item.questions.size()));
    }
    return accuracies;
  }

 private:
  struct Count {
    double offered = 0;
    double right = 0;
  };

  double rate(const caprl::Question& question, const std::string& option) const {
    const auto text = counts_.find(question.text);
    if (text == counts_.end()) return 0;
    const auto found = text->second.find(option);
    return found == text->second.end() ? 0 : found->second.right / found->second.offered;
  }
  double right_share(const caprl::Question& question) const {
    std::vector<double> rates;
    for (const std::string& option : question.options) rates.push_back(rate(question, option));
    const double top = std::ranges::max(rates);
    if (rates[static_cast<std::size_t>(question.gold)] < top) return 0;
    return 1.0 / static_cast<double>(std::ranges::count(rates, top));
  }

  std::map<std::string, std::map<std::string, Count>> counts_;
};

}  // namespace examples
