#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caprl/policy/rollout.hpp"
#include "caprl/policy/vlm_prompt.hpp"
#include "caprl/tensor/cpu/head.hpp"

namespace caprl {

/// Distinct pictures of a batch, in the order of their first appearance.
class PictureTable {
 public:
  /// The picture's number; the same for equal pictures.
  Index add(const Picture& picture) {
    const auto [found, is_new] = numbers_.try_emplace(picture.hash, static_cast<Index>(pictures_.size()));
    if (is_new) pictures_.push_back(picture);
    return found->second;
  }

  Index size() const { return static_cast<Index>(pictures_.size()); }

  /// [size * image_size^2, 3]
  Tensor<float> pixels() const {
    const Index rows = pictures_.front().pixels.shape()[0];
    Tensor<float> all({size() * rows, 3});
    for (Index i = 0; i < size(); ++i) {
      const Tensor<float>& one = pictures_[static_cast<std::size_t>(i)].pixels;
      std::copy_n(one.data(), one.elements(), all.data() + i * one.elements());
    }
    return all;
  }

 private:
  std::unordered_map<std::uint64_t, Index> numbers_;
  std::vector<Picture> pictures_;
};

/// Prompts, or prompts with captions, as a prefix tree: what is shared stands once.
struct VlmBatch {
  SharedBatch shared;
  PictureTable pictures;
  std::vector<Index> sources;   ///< [rows]: token id, or vocabulary size + row of the pictures' features
  std::vector<HeadPair> pairs;  ///< for each caption token, one after the other: the row that predicts it, and itself
};

namespace detail {

/// A caption's sequence: the prompt and all tokens but the last, which nothing follows.
inline std::vector<TokenKey> sequence_of(const VlmPrompt& prompt, std::span<const Token> caption) {
  std::vector<TokenKey> sequence = prompt.tokens;
  for (std::size_t t = 0; t + 1 < caption.size(); ++t) sequence.push_back({caption[t], 0});
  return sequence;
}

}  // namespace detail

/// Lays out `prompts` with their groups of captions; without groups, the prompts alone. `vocabulary` is the number of
/// token ids, `tokens_per_image` that of feature rows of a picture.
inline VlmBatch make_vlm_batch(std::span<const VlmPrompt> prompts, std::span<const RolloutGroup> groups,
                               Index vocabulary, Index tokens_per_image) {
  VlmBatch batch;
  PrefixTreeBuilder builder;
  std::vector<std::size_t> prompt_of_sequence;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    const auto add = [&](std::span<const Token> caption) {
      builder.add(detail::sequence_of(prompts[p], caption));
      prompt_of_sequence.push_back(p);
    };
    if (groups.empty()) {
      add({});
    } else {
      for (const Rollout& rollout : groups[p]) add(rollout.tokens);
    }
  }
  batch.shared = builder.build();

  std::vector<std::vector<Index>> picture_numbers(prompts.size());
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    for (const Picture& picture : prompts[p].pictures) picture_numbers[p].push_back(batch.pictures.add(picture));
  }
  Index sequence = 0;
  for (std::size_t p = 0; p < groups.size(); ++p) {
    for (const Rollout& rollout : groups[p]) {
      const auto start = static_cast<Index>(prompts[p].tokens.size());
      for (std::size_t t = 0; t < rollout.tokens.size(); ++t) {
        batch.pairs.push_back({batch.shared.row(sequence, start + static_cast<Index>(t) - 1), rollout.tokens[t]});
      }
      ++sequence;
    }
  }
  std::vector<const RolloutGroup*> unused;
  batch.sources.reserve(batch.shared.sources.size());
  std::vector<const Rollout*> rollouts;
  for (const RolloutGroup& group : groups) {
    for (const Rollout& rollout : group) rollouts.push_back(&rollout);
  }
  for (const SharedBatch::Source& source : batch.shared.sources) {
    const std::size_t p = prompt_of_sequence[static_cast<std::size_t>(source.sequence)];
    const VlmPrompt& prompt = prompts[p];
    const auto position = static_cast<std::size_t>(source.position);
    if (position >= prompt.tokens.size()) {
      const Rollout& rollout = *rollouts[static_cast<std::size_t>(source.sequence)];
      batch.sources.push_back(rollout.tokens[position - prompt.tokens.size()]);
    } else if (const Index media = prompt.media_row[position]; media >= 0) {
      const Index picture = picture_numbers[p][static_cast<std::size_t>(media / tokens_per_image)];
      batch.sources.push_back(vocabulary + picture * tokens_per_image + media % tokens_per_image);
    } else {
      batch.sources.push_back(prompt.tokens[position].id);
    }
  }
  return batch;
}

}  // namespace caprl
