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

  /// [size * image_size^2, channels]
  Tensor<float> pixels() const {
    const Shape one_picture = pictures_.front().pixels.shape();
    Tensor<float> all({size() * one_picture.rows(), one_picture.columns()});
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

/// One path of a batch: a prompt, alone or with a caption.
struct VlmSequence {
  const VlmPrompt* prompt;
  std::size_t prompt_number;
  std::span<const Token> caption;

  /// The tokens that take a row: the prompt's and all of the caption's but the last, which nothing follows.
  std::vector<TokenKey> keys() const {
    std::vector<TokenKey> keys = prompt->tokens;
    for (std::size_t t = 0; t + 1 < caption.size(); ++t) keys.push_back({caption[t], 0});
    return keys;
  }
};

inline std::vector<VlmSequence> sequences_of(std::span<const VlmPrompt> prompts, std::span<const RolloutGroup> groups) {
  require(groups.empty() || groups.size() == prompts.size(),
          "[VlmPolicy] expected a group of captions for each prompt");
  std::vector<VlmSequence> sequences;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    if (groups.empty()) {
      sequences.push_back({&prompts[p], p, {}});
    } else {
      for (const Rollout& rollout : groups[p]) sequences.push_back({&prompts[p], p, rollout.tokens});
    }
  }
  return sequences;
}

/// For each prompt the batch's numbers of its pictures.
inline std::vector<std::vector<Index>> number_pictures(std::span<const VlmPrompt> prompts, PictureTable& pictures) {
  std::vector<std::vector<Index>> numbers(prompts.size());
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    for (const Picture& picture : prompts[p].pictures) numbers[p].push_back(pictures.add(picture));
  }
  return numbers;
}

}  // namespace detail

/// Lays out `prompts` with their groups of captions; without groups, the prompts alone. `vocabulary` is the number of
/// token ids, `tokens_per_image` that of feature rows of a picture.
inline VlmBatch make_vlm_batch(std::span<const VlmPrompt> prompts, std::span<const RolloutGroup> groups,
                               Index vocabulary, Index tokens_per_image) {
  VlmBatch batch;
  const std::vector<detail::VlmSequence> sequences = detail::sequences_of(prompts, groups);
  PrefixTreeBuilder builder;
  for (const detail::VlmSequence& sequence : sequences) builder.add(sequence.keys());
  batch.shared = builder.build();

  const auto pictures = detail::number_pictures(prompts, batch.pictures);
  for (const SharedBatch::Source& source : batch.shared.sources) {
    const detail::VlmSequence& sequence = sequences[static_cast<std::size_t>(source.sequence)];
    const VlmPrompt& prompt = *sequence.prompt;
    const auto position = static_cast<std::size_t>(source.position);
    if (position >= prompt.tokens.size()) {
      batch.sources.push_back(sequence.caption[position - prompt.tokens.size()]);
    } else if (const Index media = prompt.media_row[position]; media >= 0) {
      const Index picture = pictures[sequence.prompt_number][static_cast<std::size_t>(media / tokens_per_image)];
      batch.sources.push_back(vocabulary + picture * tokens_per_image + media % tokens_per_image);
    } else {
      batch.sources.push_back(prompt.tokens[position].id);
    }
  }
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const auto start = static_cast<Index>(sequences[s].prompt->tokens.size());
    for (std::size_t t = 0; t < sequences[s].caption.size(); ++t) {
      const Index row = batch.shared.row(static_cast<Index>(s), start + static_cast<Index>(t) - 1);
      batch.pairs.push_back({row, sequences[s].caption[t]});
    }
  }
  return batch;
}

}  // namespace caprl
