#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/hash.hpp"
#include "caprl/core/random.hpp"
#include "caprl/core/recorded_numbers.hpp"
#include "caprl/judge/per_caption.hpp"
#include "caprl/judge/reward_judge.hpp"

/// The reward that is trained on, or a control in its place.
namespace examples {

/// Any judge, chosen when the program runs.
class AnyReward {
 public:
  template <caprl::RewardJudge Judge>
  explicit AnyReward(Judge judge)
      : part_names_(judge.part_names()),
        part_weights_(caprl::part_weights(judge)),
        recorded_(caprl::recorded_numbers(judge)) {
    const auto shared = std::make_shared<Judge>(std::move(judge));
    score_ = [shared](std::span<const caprl::JudgeRequest> requests) { return shared->score(requests); };
  }

  std::vector<std::vector<caprl::Reward>> score(std::span<const caprl::JudgeRequest> requests) const {
    return score_(requests);
  }
  std::vector<std::string> part_names() const { return part_names_; }
  std::vector<double> part_weights() const { return part_weights_; }
  caprl::RecordedNumbers recorded() const { return recorded_; }

 private:
  std::vector<std::string> part_names_;
  std::vector<double> part_weights_;
  caprl::RecordedNumbers recorded_;
  std::function<std::vector<std::vector<caprl::Reward>>(std::span<const caprl::JudgeRequest>)> score_;
};

/// Control: each caption gets the reward of a random caption of the batch. The same captions, the same order.
struct PermutedRewards {
  AnyReward judge;

  std::vector<std::vector<caprl::Reward>> score(std::span<const caprl::JudgeRequest> requests) const {
    auto rewards = judge.score(requests);
    caprl::Fnv1a captions;
    for (const caprl::JudgeRequest& request : requests) {
      for (const caprl::Caption& caption : request.captions) captions.add(caption.text);
    }
    std::vector<caprl::Reward> all;
    for (const auto& group : rewards) all.insert(all.end(), group.begin(), group.end());
    caprl::RandomStream({.seed = captions.value(), .purpose = caprl::Purpose::example}).shuffle(all);
    std::size_t next = 0;
    for (auto& group : rewards) {
      for (caprl::Reward& reward : group) reward = all[next++];
    }
    return rewards;
  }
  std::vector<std::string> part_names() const { return judge.part_names(); }
  std::vector<double> part_weights() const { return judge.part_weights(); }
  caprl::RecordedNumbers recorded() const { return judge.recorded(); }
};

/// Control: a caption is asked the questions of the batch's next item.
struct OtherItemsRewards {
  AnyReward judge;

  std::vector<std::vector<caprl::Reward>> score(std::span<const caprl::JudgeRequest> requests) const {
    caprl::require(requests.size() >= 2, "[OtherItemsRewards] expected a batch of at least two items");
    std::vector<caprl::JudgeRequest> others(requests.begin(), requests.end());
    for (std::size_t i = 0; i < others.size(); ++i) others[i].item = requests[(i + 1) % requests.size()].item;
    return judge.score(others);
  }
  std::vector<std::string> part_names() const { return judge.part_names(); }
  std::vector<double> part_weights() const { return judge.part_weights(); }
  caprl::RecordedNumbers recorded() const { return judge.recorded(); }
};

inline std::vector<std::string> reward_names() { return {"accuracy", "sampled", "permuted", "other_item", "length"}; }

/// Whether a reward of this name should teach nothing about pictures. The best checkpoint by validation would be chosen
/// by the very accuracy that such a control must not know.
inline bool is_control(const std::string& name) {
  return name == "permuted" || name == "other_item" || name == "length";
}

/// The reward of a name in `reward_names()`, made of the one that measures accuracy, exactly or by sampling.
inline AnyReward choose_reward(const std::string& name, AnyReward accuracy, caprl::Index maximum_tokens) {
  if (name == "permuted") return AnyReward(PermutedRewards{std::move(accuracy)});
  if (name == "other_item") return AnyReward(OtherItemsRewards{std::move(accuracy)});
  if (name == "length") {
    return AnyReward(caprl::PerCaption{"length", [=](const caprl::CaptionItem&, const caprl::Caption& caption) {
                                         return static_cast<double>(caption.tokens) /
                                                static_cast<double>(maximum_tokens);
                                       }});
  }
  caprl::require(name == "accuracy" || name == "sampled",
                 "[choose_reward] expected accuracy, sampled, permuted, other_item or length, got " + name);
  return accuracy;
}

}  // namespace examples
