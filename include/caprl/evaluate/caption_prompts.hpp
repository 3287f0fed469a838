#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "caprl/policy/policy.hpp"

namespace caprl {

/// How items are captioned for a measurement.
struct CaptionSettings {
  Index samples = 1;  ///< captions for each item
  Index maximum_tokens = 128;
  std::uint64_t seed = 0;
  Index batch_items = 64;  ///< items in memory at once; changes nothing but rounding
};

/// Captions for each prompt. The draws are keyed by `first_item` + the prompt's place in the list.
template <Policy P, Sampler S>
std::vector<RolloutGroup> caption_prompts(const P& policy, std::span<const typename P::Prompt> prompts,
                                          const S& sampler, const CaptionSettings& settings = {},
                                          std::size_t first_item = 0) {
  require(settings.batch_items >= 1, "[caption_prompts] expected batch_items of at least 1");
  std::vector<RolloutGroup> captions;
  for (std::size_t begin = 0; begin < prompts.size(); begin += static_cast<std::size_t>(settings.batch_items)) {
    const std::size_t end = std::min(prompts.size(), begin + static_cast<std::size_t>(settings.batch_items));
    GenerateSettings generate{.samples = settings.samples,
                              .maximum_tokens = settings.maximum_tokens,
                              .seed = settings.seed,
                              .step = 0,
                              .item_keys = {}};
    for (std::size_t i = begin; i < end; ++i) {
      generate.item_keys.push_back(static_cast<std::uint32_t>(first_item + i));
    }
    auto groups = policy.generate(prompts.subspan(begin, end - begin), sampler, generate);
    std::ranges::move(groups, std::back_inserter(captions));
  }
  return captions;
}

}  // namespace caprl
