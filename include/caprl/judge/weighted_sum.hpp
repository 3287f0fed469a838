#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/recorded_numbers.hpp"
#include "caprl/judge/reward_judge.hpp"

namespace caprl {

/// A judge and its weight in a sum.
template <class Judge>
struct Weighted {
  static_assert(RewardJudge<Judge>);  // here rather than in the template's head: the error is a third as long
  Judge judge;
  double weight = 1;
};

template <class Judge>
Weighted(Judge, double) -> Weighted<Judge>;

/// The weighted sum of judges. Its parts are the judges' parts, unweighted and in order; their weights in the total are
/// `part_weights()`. A reward that is missing in any judge is missing in the sum.
///
///     WeightedSum reward{Weighted{std::move(accuracy), 1.0}, Weighted{LengthTerm{}, 0.2}};
template <class... Judges>
class WeightedSum {
  static_assert(sizeof...(Judges) > 0, "WeightedSum takes at least one judge");

 public:
  explicit WeightedSum(Weighted<Judges>... terms) : terms_(std::move(terms)...) {}

  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) {
    std::vector<std::vector<Reward>> sums;
    const Reward nothing{.total = 0.0, .parts = {}, .missing_reason = {}};
    for (const JudgeRequest& request : requests) sums.emplace_back(request.captions.size(), nothing);
    std::apply([&](auto&... term) { (add(term, requests, sums), ...); }, terms_);
    return sums;
  }

  /// A name that comes again is numbered: accuracy, accuracy.2.
  std::vector<std::string> part_names() const {
    auto names = gather<std::string>([](const auto& term) { return term.judge.part_names(); });
    for (std::size_t i = names.size(); i-- > 0;) {
      const auto before = std::count(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]);
      if (before > 0) names[i] += "." + std::to_string(before + 1);
    }
    return names;
  }
  /// Each judge's weight times the weights of its own parts.
  std::vector<double> part_weights() const {
    return gather<double>([](const auto& term) { return weights_of(term); });
  }

  /// What each judge tells, under the name of its first part.
  RecordedNumbers recorded() const {
    const auto names = part_names();
    RecordedNumbers numbers;
    std::size_t part = 0;
    const auto append = [&](const auto& term) {
      const std::string prefix = part < names.size() ? names[part] + "." : "";  // a judge may have no part
      for (const auto& [name, number] : recorded_numbers(term.judge)) numbers.emplace_back(prefix + name, number);
      part += term.judge.part_names().size();
    };
    std::apply([&](const auto&... term) { (append(term), ...); }, terms_);
    return numbers;
  }

  /// The judge at a position, to read its figures.
  template <std::size_t Position>
  auto& judge() {
    return std::get<Position>(terms_).judge;
  }

 private:
  template <class Term>
  static std::vector<double> weights_of(const Term& term) {
    std::vector<double> weights = caprl::part_weights(term.judge);
    for (double& weight : weights) weight *= term.weight;
    return weights;
  }

  template <class Element, class Function>
  std::vector<Element> gather(const Function& function) const {
    std::vector<Element> all;
    const auto append = [&](const auto& term) {
      for (auto& element : function(term)) all.push_back(std::move(element));
    };
    std::apply([&](const auto&... term) { (append(term), ...); }, terms_);
    return all;
  }

  template <class Term>
  static void add(Term& term, std::span<const JudgeRequest> requests, std::vector<std::vector<Reward>>& sums) {
    const std::vector<double> weights = weights_of(term);
    const std::vector<std::vector<Reward>> rewards = term.judge.score(requests);
    require(rewards.size() == sums.size(), "[WeightedSum] expected one vector of rewards for each request");
    for (std::size_t r = 0; r < sums.size(); ++r) {
      require(rewards[r].size() == sums[r].size(), "[WeightedSum] expected one reward for each caption");
      for (std::size_t i = 0; i < sums[r].size(); ++i) add_reward(rewards[r][i], weights, sums[r][i]);
    }
  }

  static void add_reward(const Reward& reward, const std::vector<double>& weights, Reward& sum) {
    if (!reward.total) {
      const bool first = sum.missing_reason.empty();
      sum = Reward::missing(first ? reward.missing_reason : sum.missing_reason + "; " + reward.missing_reason);
      return;
    }
    if (!sum.total) return;
    require(reward.parts.size() == weights.size(), "[WeightedSum] expected one part for each of part_names()");
    for (std::size_t part = 0; part < weights.size(); ++part) {
      *sum.total += weights[part] * reward.parts[part];
      sum.parts.push_back(reward.parts[part]);
    }
  }

  std::tuple<Weighted<Judges>...> terms_;
};

template <class... Judges>
WeightedSum(Weighted<Judges>...) -> WeightedSum<Judges...>;

}  // namespace caprl
