#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/autograd/attention.hpp"
#include "caprl/autograd/embedding.hpp"
#include "caprl/autograd/log_probability.hpp"
#include "caprl/core/error.hpp"
#include "caprl/model/decoder_settings.hpp"
#include "caprl/model/layer_features.hpp"
#include "caprl/model/transformer_block.hpp"
#include "caprl/nn/rotary_positions.hpp"

namespace caprl {

/// A causal language model of the Llama, Qwen2 and Qwen3 families, without a batch dimension: rows of tokens, laid out
/// by a prefix tree.
template <class T, class Device = Cpu>
struct Decoder {
  DecoderSettings settings;
  Parameter<T, Device> embedding;  ///< [V, C]
  std::vector<TransformerBlock<T, Device>> blocks;
  Parameter<T, Device> final_norm;  ///< [C]
  Parameter<T, Device> head;        ///< [V, C]; the embedding itself if tied
  bool recompute_blocks = false;    ///< over a tree, keep only the blocks' inputs for the backward pass

  explicit Decoder(const DecoderSettings& sizes)
      : settings(sizes),
        embedding({sizes.vocabulary_size, sizes.block.hidden_size}),
        final_norm({sizes.block.hidden_size}),
        head(sizes.tied_embeddings ? embedding
                                   : Parameter<T, Device>({sizes.vocabulary_size, sizes.block.hidden_size})) {
    require(sizes.layers >= 1, "[Decoder] expected at least one layer");
    for (Index layer = 0; layer < sizes.layers; ++layer) blocks.emplace_back(sizes.block);
  }

  /// The rotary angles of rows at `positions` [axes, rows], with the axes that the model has. Throws Error where one is
  /// beyond the model's last position.
  RotaryTable<Device> rotary(const RotaryPositions& positions) const {
    if (positions.axes != settings.rotary.axes()) {
      throw Error("[Decoder] expected positions on " + std::to_string(settings.rotary.axes()) + " axes, got " +
                  std::to_string(positions.axes));
    }
    const Index last = positions.values.empty() ? 0 : std::ranges::max(positions.values);
    if (last >= settings.maximum_positions) {
      throw Error("[Decoder] expected at most " + std::to_string(settings.maximum_positions) +
                      " positions (max_position_embeddings), got a sequence of " + std::to_string(last + 1) +
                      (positions.axes == 1 ? " tokens" : " positions"),
                  "", "shorten the prompts or captions, or take a model with more positions");
    }
    const RotarySettings angles{.frequencies = frequencies_of_pairs(settings.rotary, settings.block.head_size),
                                .magnitude = rotary_magnitude(settings.rotary),
                                .axis_of_pair = axes_of_pairs(settings.rotary)};
    return make_rotary_table(angles, positions.values, positions.rows());
  }

  /// The same for text: a row's depth [rows] is its position along all axes.
  RotaryTable<Device> rotary(std::span<const Index> depths) const {
    return rotary(RotaryPositions::on_all_axes(depths, settings.rotary.axes()));
  }

  /// The rotary angles of a tree's rows. Without positions: at their depths.
  RotaryTable<Device> rotary(const PrefixTree& tree, const RotaryPositions& positions) const {
    if (positions.values.empty()) return rotary(tree.depths());
    require(positions.rows() == tree.rows(), "[Decoder] expected a position for each row of the tree");
    return rotary(positions);
  }

  /// Input rows [rows, C] to the rows that the head reads [rows, C]. `attend(layer, qkv)` is how rows see each other;
  /// `products` multiplies with the blocks' weights; `features` are added to the first layers' outputs.
  template <class Attend, class Products = TapedProducts>
  Var<T, Device> operator()(Var<T, Device> x, const RotaryTable<Device>& angles, const Attend& attend,
                            const Products& products = {}, const LayerFeatures<T, Device>& features = {}) const {
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      const auto see = [&](const Var<T, Device>& qkv) { return attend(static_cast<Index>(layer), qkv); };
      x = features.added(layer, blocks[layer](x, &angles, see, products));
    }
    return rms_norm(x, final_norm, settings.block.norm_epsilon);
  }

  /// All rows of a tree at once, at `positions` [axes, rows]; without any, at their depths. If `only` names rows, the
  /// result has these alone [only, C]. `features` are for layers before the last. Throws Error if a position is beyond
  /// the model's last.
  Var<T, Device> operator()(const Var<T, Device>& x, const PrefixTree& tree, const std::vector<Index>& only = {},
                            const RotaryPositions& positions = {},
                            const LayerFeatures<T, Device>& features = {}) const {
    require(features.of_layers.size() < blocks.size(), "[Decoder] expected features for layers before the last");
    const auto angles = rotary(tree, positions);
    Var<T, Device> y = x;
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      const auto& block = blocks[layer];
      const bool last = layer + 1 == blocks.size();
      y = block.over_tree(y, &angles, tree, block.attention_options(), recompute_blocks,
                          last ? only : std::vector<Index>());
      y = features.added(layer, y);
    }
    return rms_norm(y, final_norm, settings.block.norm_epsilon);
  }

  /// The log-probabilities [pairs] of tokens over a tree, one for each pair of a row and a target: see
  /// `token_log_probabilities`.
  Var<T, Device> log_probabilities(const Var<T, Device>& x, const PrefixTree& tree, std::vector<HeadPair> pairs,
                                   double inverse_temperature, const RotaryPositions& positions = {},
                                   const LayerFeatures<T, Device>& features = {}) const {
    const std::vector<Index> read = number_rows_read(pairs);
    return token_log_probabilities((*this)(x, tree, read, positions, features), head, std::move(pairs),
                                   inverse_temperature);
  }

  /// Names as Hugging Face has them.
  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    visit(whole_block(prefix + "model.embed_tokens.weight", embedding));
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      blocks[layer].visit(prefix + "model.layers." + std::to_string(layer) + ".", visit);
    }
    visit(whole_block(prefix + "model.norm.weight", final_norm));
    if (!settings.tied_embeddings) visit(whole_block(prefix + "lm_head.weight", head));
  }
};

}  // namespace caprl
