#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caprl/autograd/embedding.hpp"
#include "caprl/model/layer_features.hpp"
#include "caprl/model/picture.hpp"
#include "caprl/policy/prompt_positions.hpp"
#include "caprl/policy/rollout.hpp"
#include "caprl/policy/vlm_prompt.hpp"
#include "caprl/tensor/cpu/head.hpp"

namespace caprl {

/// Distinct pictures of a batch, in the order of their first appearance.
class PictureTable {
 public:
  /// The first of the picture's `rows` rows among those of all; the same for equal pictures.
  Index add(const Picture& picture, Index rows) {
    const auto [found, is_new] = first_rows_.try_emplace(picture.hash, rows_);
    if (is_new) {
      pictures_.push_back(picture);
      rows_ += rows;
    }
    return found->second;
  }

  Index size() const { return static_cast<Index>(pictures_.size()); }
  std::span<const Picture> pictures() const { return pictures_; }

 private:
  std::unordered_map<std::uint64_t, Index> first_rows_;
  std::vector<Picture> pictures_;
  Index rows_ = 0;
};

/// Prompts, or prompts with captions, as a prefix tree: what is shared stands once.
struct VlmBatch {
  SharedBatch shared;
  PictureTable pictures;
  std::vector<Index> sources;   ///< [rows]: token id, or vocabulary size + row of the pictures' features
  std::vector<HeadPair> pairs;  ///< for each caption token, one after the other: the row that predicts it, and itself
  PromptPositions positions;    ///< of all rows, and where captions go on
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

/// What the batch needs of a prompt's pictures.
struct PromptPictures {
  std::vector<Index> rows;            ///< for each row of the prompt's pictures, its row among the batch's
  std::vector<PlacedPicture> places;  ///< where each begins in the prompt
};

template <class Model>
PromptPictures place_pictures(const VlmPrompt& prompt, const Model& model, PictureTable& pictures) {
  PromptPictures placed;
  std::vector<Index> first_rows;  // of each picture among the prompt's
  for (const Picture& picture : prompt.pictures) {
    const Index count = model.picture_tokens(picture);
    const Index first = pictures.add(picture, count);
    first_rows.push_back(static_cast<Index>(placed.rows.size()));
    for (Index row = 0; row < count; ++row) placed.rows.push_back(first + row);
  }
  for (std::size_t t = 0; t < prompt.tokens.size() && placed.places.size() < first_rows.size(); ++t) {
    const std::size_t next = placed.places.size();
    if (prompt.media_row[t] == first_rows[next]) {
      placed.places.push_back({static_cast<Index>(t), &prompt.pictures[next]});
    }
  }
  return placed;
}

/// The positions of a batch's rows from those of its prompts: captions go on along all axes.
inline RotaryPositions row_positions(const SharedBatch& shared, std::span<const VlmSequence> sequences,
                                     std::span<const SequencePositions> prompts, Index axes) {
  RotaryPositions positions{.axes = axes, .values = {}};
  for (Index axis = 0; axis < axes; ++axis) {
    for (const SharedBatch::Source& source : shared.sources) {
      const SequencePositions& prompt = prompts[sequences[static_cast<std::size_t>(source.sequence)].prompt_number];
      const Index beyond = source.position - prompt.tokens.rows();
      positions.values.push_back(beyond < 0 ? prompt.tokens(axis, source.position) : prompt.next + beyond);
    }
  }
  return positions;
}

}  // namespace detail

/// Lays out `prompts` with their groups of captions; without groups, the prompts alone. `model` says how many rows a
/// picture has and where a prompt's tokens stand (see `VlmPolicy`).
template <class Model>
VlmBatch make_vlm_batch(std::span<const VlmPrompt> prompts, std::span<const RolloutGroup> groups, const Model& model) {
  VlmBatch batch;
  const std::vector<detail::VlmSequence> sequences = detail::sequences_of(prompts, groups);
  PrefixTreeBuilder builder;
  for (const detail::VlmSequence& sequence : sequences) builder.add(sequence.keys());
  batch.shared = builder.build();

  const Index vocabulary = model.language.settings.vocabulary_size;
  std::vector<detail::PromptPictures> pictures;
  std::vector<SequencePositions> positions;
  for (const VlmPrompt& prompt : prompts) {
    pictures.push_back(detail::place_pictures(prompt, model, batch.pictures));
    positions.push_back(model.positions(static_cast<Index>(prompt.tokens.size()), pictures.back().places));
    batch.positions.next.push_back(positions.back().next);
  }
  batch.positions.rows =
      detail::row_positions(batch.shared, sequences, positions, model.language.settings.rotary.axes());
  for (const SharedBatch::Source& source : batch.shared.sources) {
    const detail::VlmSequence& sequence = sequences[static_cast<std::size_t>(source.sequence)];
    const VlmPrompt& prompt = *sequence.prompt;
    const auto position = static_cast<std::size_t>(source.position);
    if (position >= prompt.tokens.size()) {
      batch.sources.push_back(sequence.caption[position - prompt.tokens.size()]);
    } else if (const Index media = prompt.media_row[position]; media >= 0) {
      batch.sources.push_back(vocabulary + pictures[sequence.prompt_number].rows.at(static_cast<std::size_t>(media)));
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

/// What a decoder reads of a batch.
template <class T, class Device>
struct VlmInput {
  Var<T, Device> rows{};                 ///< [rows, C]: token embeddings, and what the model's tower makes of pictures
  LayerFeatures<T, Device> of_layers{};  ///< and what it adds further on
};

template <class T, class Device, class Model>
VlmInput<T, Device> embed_batch(const Model& model, const VlmBatch& batch) {
  PictureFeatures<T, Device> features;
  if (batch.pictures.size() > 0) features = model.features(batch.pictures.pictures());
  VlmInput<T, Device> input{.rows = embed(model.language.embedding, features.rows, batch.sources), .of_layers = {}};
  if (features.of_layers.empty()) return input;
  input.of_layers.of_layers = std::move(features.of_layers);
  const Index vocabulary = model.language.settings.vocabulary_size;
  for (std::size_t row = 0; row < batch.sources.size(); ++row) {
    if (batch.sources[row] < vocabulary) continue;
    input.of_layers.rows.push_back(static_cast<Index>(row));
    input.of_layers.sources.push_back(batch.sources[row] - vocabulary);
  }
  return input;
}

}  // namespace caprl
