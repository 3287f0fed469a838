#pragma once

#include <vector>

#include "caprl/model/language_model.hpp"
#include "caprl/tensor/prefix_tree_builder.hpp"

/// The decoder of most comparisons, 6 layers, 256 features, 5.8 million parameters, and tokens for it. The peers make
/// the same tokens by the same formula and read the same weights.
namespace benchmark_support {

using caprl::Index;

inline caprl::DecoderSettings decoder_settings() {
  return {.block = {.hidden_size = 256,
                    .intermediate_size = 688,
                    .attention_heads = 4,
                    .key_value_heads = 4,
                    .head_size = 64,
                    .norm_epsilon = 1e-6},
          .layers = 6,
          .vocabulary_size = 4096,
          .maximum_positions = 4096};
}

inline caprl::Decoder<float> make_decoder() {
  caprl::Decoder<float> model(decoder_settings());
  caprl::initialize(model, 1);
  return model;
}

/// Token `position` of sequence `number`.
inline caprl::Token token_at(Index number, Index position) {
  return static_cast<caprl::Token>((number * 7919 + position * 31 + position * position * 17 + 11) % 4096);
}

inline std::vector<caprl::TokenKey> sequence_of(Index number, Index length) {
  std::vector<caprl::TokenKey> keys;
  for (Index position = 0; position < length; ++position) keys.push_back({token_at(number, position), 0});
  return keys;
}

/// The token in each row of a batch.
inline std::vector<Index> tokens_of(const caprl::SharedBatch& batch,
                                    const std::vector<std::vector<caprl::TokenKey>>& sequences) {
  std::vector<Index> tokens;
  for (const caprl::SharedBatch::Source& source : batch.sources) {
    tokens.push_back(
        sequences[static_cast<std::size_t>(source.sequence)][static_cast<std::size_t>(source.position)].id);
  }
  return tokens;
}

/// Sequences with what they share laid out once, or each apart.
inline caprl::SharedBatch lay_out(const std::vector<std::vector<caprl::TokenKey>>& sequences, bool shared) {
  caprl::PrefixTreeBuilder builder;
  if (shared) {
    for (const auto& sequence : sequences) builder.add(sequence);
    return builder.build();
  }
  caprl::SharedBatch batch;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    batch.lengths.push_back(static_cast<Index>(sequences[s].size()));
    batch.paths.push_back({static_cast<Index>(s)});
    for (Index position = 0; position < batch.lengths.back(); ++position) {
      batch.sources.push_back({static_cast<Index>(s), position});
    }
  }
  batch.tree = caprl::PrefixTree::from_lengths(batch.lengths);
  return batch;
}

/// Pairs of a row and a row that it sees, in a tree.
inline double attended_pairs(const caprl::PrefixTree& tree) {
  double pairs = 0;
  for (const Index depth : tree.depths()) pairs += static_cast<double>(depth + 1);
  return pairs;
}

/// Multiplications and additions of a forward pass over a tree, with `asked` rows of the head.
inline double forward_flops(const caprl::DecoderSettings& settings, const caprl::PrefixTree& tree, Index asked) {
  const caprl::BlockSettings& block = settings.block;
  const Index weights = block.hidden_size * (block.query_columns() * 2 + block.key_columns() * 2) +
                        3 * block.hidden_size * block.intermediate_size;
  const double linear = 2.0 * static_cast<double>(weights) * static_cast<double>(tree.rows());
  const double attention = 4.0 * static_cast<double>(block.query_columns()) * attended_pairs(tree);
  const double head = 2.0 * static_cast<double>(settings.vocabulary_size * block.hidden_size * asked);
  return static_cast<double>(settings.layers) * (linear + attention) + head;
}

}  // namespace benchmark_support
