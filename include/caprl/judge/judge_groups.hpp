#pragma once

#include <span>
#include <vector>

#include "caprl/judge/reward_judge.hpp"
#include "caprl/policy/collect.hpp"

namespace caprl {

/// The captions of each group.
inline std::vector<std::vector<Caption>> captions_of(std::span<const RolloutGroup> groups) {
  std::vector<std::vector<Caption>> captions;
  for (const RolloutGroup& group : groups) {
    auto& of_group = captions.emplace_back();
    for (const Rollout& rollout : group) of_group.push_back(rollout.caption);
  }
  return captions;
}

/// What a judge is asked about items and their captions; a view of both.
inline std::vector<JudgeRequest> judge_requests(std::span<const CaptionItem* const> items,
                                                std::span<const std::vector<Caption>> captions) {
  std::vector<JudgeRequest> requests;
  for (std::size_t i = 0; i < items.size(); ++i) requests.push_back({items[i], captions[i]});
  return requests;
}

/// The rewards of all captions: for each group one for each rollout.
template <RewardJudge J, Policy P>
std::vector<std::vector<Reward>> judge_groups(J& judge, const Collected<P>& collected) {
  const auto captions = captions_of(collected.groups);
  const auto requests = judge_requests(collected.items, captions);
  auto rewards = judge.score(requests);
  const std::size_t parts = judge.part_names().size();
  require(rewards.size() == requests.size(), "[judge_groups] expected the judge to answer each request");
  for (std::size_t g = 0; g < rewards.size(); ++g) {
    require(rewards[g].size() == captions[g].size(), "[judge_groups] expected the judge to reward each caption");
    for (const Reward& reward : rewards[g]) {
      require(!reward.total || reward.parts.size() == parts,
              "[judge_groups] expected a reward with one part for each of the judge's part_names()");
    }
  }
  return rewards;
}

}  // namespace caprl
