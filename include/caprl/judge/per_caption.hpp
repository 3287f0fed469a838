#pragma once

#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/data/item.hpp"
#include "caprl/judge/reward_judge.hpp"

namespace caprl {

/// Calls function(item, caption) -> Reward on every caption, in order.
template <class Function>
std::vector<std::vector<Reward>> score_each_caption(std::span<const JudgeRequest> requests, const Function& function) {
  std::vector<std::vector<Reward>> rewards;
  rewards.reserve(requests.size());
  for (const JudgeRequest& request : requests) {
    std::vector<Reward>& group = rewards.emplace_back();
    group.reserve(request.captions.size());
    for (const Caption& caption : request.captions) group.push_back(function(*request.item, caption));
  }
  return rewards;
}

/// A RewardJudge made of any function from (item, caption) to a number.
///
///     PerCaption brevity{"brevity", [](const CaptionItem&, const Caption& caption) { return -0.001 * caption.tokens;
///     }};
///
/// A result that is not finite is a missing reward.
template <class Function>
class PerCaption {
  static_assert(std::is_invocable_r_v<double, const Function&, const CaptionItem&, const Caption&>,
                "PerCaption takes a function of (const CaptionItem&, const Caption&) that gives a number");

 public:
  PerCaption(std::string name, Function function) : name_(std::move(name)), function_(std::move(function)) {}

  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) const {
    return score_each_caption(requests, [this](const CaptionItem& item, const Caption& caption) {
      const double value = static_cast<double>(std::invoke(function_, item, caption));
      return std::isfinite(value) ? Reward::of(value) : Reward::missing(name_ + ": the result is not a finite number");
    });
  }
  std::vector<std::string> part_names() const { return {name_}; }

 private:
  std::string name_;
  Function function_;
};

}  // namespace caprl
