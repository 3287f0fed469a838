#pragma once

#include <algorithm>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/media/vision_grid.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/train/planned_run.hpp"

namespace caprl::detail {

/// Prompts, with captions of the same length each or without.
struct BatchShape {
  std::vector<PromptShape> prompts;
  Index samples = 0;
  Index caption_tokens = 0;

  Index groups() const { return static_cast<Index>(prompts.size()); }
  /// A caption's last token takes no row.
  Index caption_rows() const { return std::max<Index>(0, caption_tokens - 1); }
  Index captions() const { return groups() * samples; }
  /// Distinct rows that predict a token of a caption: a prompt's last, and those of the captions.
  Index rows_read() const { return groups() + captions() * caption_rows(); }

  /// Prompts begin alike, at least with their first token.
  PrefixTree tree() const {
    const bool joined = groups() > 1;
    std::vector<Index> parents, lengths;
    const auto add = [&](Index parent, Index length) {
      parents.push_back(parent);
      lengths.push_back(length);
      return static_cast<Index>(parents.size()) - 1;
    };
    const Index beginning = joined ? add(-1, 1) : -1;
    for (const PromptShape& prompt : prompts) {
      const Index of_prompt = add(beginning, prompt.tokens - (joined ? 1 : 0));
      for (Index sample = 0; sample < samples && caption_rows() > 0; ++sample) add(of_prompt, caption_rows());
    }
    return PrefixTree::from_segments(parents, lengths);
  }

  std::vector<VisionGrid> pictures() const {
    std::vector<VisionGrid> all;
    for (const PromptShape& prompt : prompts) all.insert(all.end(), prompt.pictures.begin(), prompt.pictures.end());
    return all;
  }

  /// Pages of a cache when the prompts have been read, and when captions have this many tokens in it.
  Index prompt_pages(Index page_tokens) const {
    Index pages = 1;  // for the end of what prompts have in common
    for (const PromptShape& prompt : prompts) pages += (prompt.tokens + page_tokens - 1) / page_tokens;
    return pages;
  }
  Index pages(Index page_tokens) const {
    Index pages = 1;
    for (const PromptShape& prompt : prompts) {
      const Index shared = prompt.tokens / page_tokens;
      const Index of_caption = (prompt.tokens + caption_rows() + page_tokens - 1) / page_tokens - shared;
      pages += shared + samples * of_caption;
    }
    return std::max(pages, prompt_pages(page_tokens));
  }
};

}  // namespace caprl::detail
