#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>
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

/// Loads and encodes the items' media and samples a group of captions for each, for `items_at_once` items (0: all) at a
/// time, which changes nothing but memory and rounding. Throws Error unless the policy gives as many groups as there
/// are items, each of `settings.samples` captions.
template <Policy P, class Load, Sampler S>
Collected<P> collect(const P& policy, std::vector<const CaptionItem*> items, const Load& load, const S& sampler,
                     const GenerateSettings& settings, Index items_at_once = 0) {
  Collected<P> collected;
  for (const CaptionItem* item : items) collected.prompts.push_back(policy.encode(*item, load(*item)));
  std::vector<std::uint32_t> keys = settings.item_keys;
  if (keys.empty()) {
    keys.resize(items.size());
    std::iota(keys.begin(), keys.end(), 0u);
  }
  require(keys.size() == items.size(), "[collect] expected no item_keys, or one for each item");
  const std::span<const typename P::Prompt> prompts(collected.prompts);
  const std::size_t most = items_at_once > 0 ? static_cast<std::size_t>(items_at_once) : items.size();
  for (std::size_t begin = 0; begin < items.size(); begin += most) {
    const std::size_t count = std::min(most, items.size() - begin);
    GenerateSettings part = settings;  // prompts are numbered from the part's first
    part.item_keys.assign(keys.begin() + static_cast<std::ptrdiff_t>(begin),
                          keys.begin() + static_cast<std::ptrdiff_t>(begin + count));
    if (settings.on_token) {
      part.on_token = [&, begin](DrawnToken drawn) {
        drawn.prompt += static_cast<Index>(begin);
        settings.on_token(drawn);
      };
    }
    std::ranges::move(policy.generate(prompts.subspan(begin, count), sampler, part),
                      std::back_inserter(collected.groups));
  }
  require(collected.groups.size() == items.size(), "[collect] expected the policy to caption each item");
  for (const RolloutGroup& group : collected.groups) {
    require(static_cast<Index>(group.size()) == settings.samples,
            "[collect] expected the policy to sample as many captions of an item as it is asked for");
  }
  collected.items = std::move(items);
  return collected;
}

}  // namespace caprl
