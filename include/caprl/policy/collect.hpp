#pragma once

#include <span>
#include <utility>
#include <vector>

#include "caprl/policy/policy.hpp"

namespace caprl {

/// A batch of items with what was sampled for them.
template <Policy P>
struct Collected {
  std::vector<const CaptionItem*> items;
  std::vector<typename P::Prompt> prompts;  ///< one for each item
  std::vector<RolloutGroup> groups;         ///< one for each item

  Index rollouts() const {
    Index count = 0;
    for (const RolloutGroup& group : groups) count += static_cast<Index>(group.size());
    return count;
  }
  Index tokens() const { return static_cast<Index>(tokens_in(groups)); }
};

/// Loads and encodes the items' media and samples a group of captions for each. Throws Error unless the policy gives
/// as many groups as there are items, each of `settings.samples` captions.
template <Policy P, class Load, Sampler S>
Collected<P> collect(const P& policy, std::vector<const CaptionItem*> items, const Load& load, const S& sampler,
                     const GenerateSettings& settings) {
  Collected<P> collected;
  for (const CaptionItem* item : items) collected.prompts.push_back(policy.encode(*item, load(*item)));
  collected.groups = policy.generate(std::span<const typename P::Prompt>(collected.prompts), sampler, settings);
  require(collected.groups.size() == items.size(), "[collect] expected the policy to caption each item");
  for (const RolloutGroup& group : collected.groups) {
    require(static_cast<Index>(group.size()) == settings.samples,
            "[collect] expected the policy to sample as many captions of an item as it is asked for");
  }
  collected.items = std::move(items);
  return collected;
}

}  // namespace caprl
