#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "caprl/model/decoder.hpp"
#include "caprl/model/qwen25_vl.hpp"
#include "caprl/model/qwen3_vl.hpp"
#include "caprl/model/tiny_vlm.hpp"
#include "caprl/tensor/prefix_tree_split.hpp"
#include "caprl/train/shape_tape.hpp"

/// The models on a `ShapeTape`: the forward passes of model/ once more, line by line, with shapes for numbers.
namespace caprl {

/// What a decoder reads of pictures, as `PictureFeatures` and `LayerFeatures`.
struct FeatureShapes {
  ShapeVar rows{};
  std::vector<ShapeVar> of_layers{};
  Index placed = 0;  ///< rows of the decoder's input that they are added to

  ShapeVar added(ShapeTape& tape, std::size_t layer, const ShapeVar& x) const {
    return layer < of_layers.size() && placed > 0 ? tape.add_rows(x, of_layers[layer], placed) : x;
  }
};

namespace detail {

/// Cosine and sine of the angles of `rows` rows.
inline std::vector<HeldNumbers> angle_shapes(const ShapeTape& tape, Index rows, Index head_size) {
  return {tape.hold(rows * head_size / 2), tape.hold(rows * head_size / 2)};
}

inline TreeAttentionOptions heads_of(const BlockSettings& block) {
  return {.query_heads = block.attention_heads, .key_heads = block.key_value_heads, .head_size = block.head_size};
}

}  // namespace detail

/// `TransformerBlock::operator()`; `only`, if given, is how many rows the result has.
template <class T, class Device, class Attend>
ShapeVar block_shapes(ShapeTape& tape, const TransformerBlock<T, Device>& block, const ShapeVar& x,
                      const std::vector<HeldNumbers>& angles, const Attend& attend, std::optional<Index> only = {}) {
  const BlockSettings& sizes = block.settings;
  const auto kept = [&](const ShapeVar& rows) { return only ? tape.take_rows(rows, *only) : rows; };
  const auto qkv = tape.linear(tape.norm(x, block.attention_norm), block.query_key_value);
  if (sizes.query_key_norm) {
    tape.head_norm_in_place(qkv, sizes.query_columns(), block.query_norm);
    tape.head_norm_in_place(qkv, sizes.key_columns(), block.key_norm);
  }
  if (!angles.empty()) tape.rotary_in_place(qkv, angles);
  const auto attended = tape.linear_residual(kept(attend(tape, qkv)), block.output, kept(x));
  const auto gates = tape.linear(tape.norm(attended, block.mlp_norm), block.gate_up);
  return tape.linear_residual(tape.swiglu(gates), block.down, attended);
}

/// `TransformerBlock::over_tree`
template <class T, class Device>
ShapeVar block_over_tree_shapes(ShapeTape& tape, const TransformerBlock<T, Device>& block, const ShapeVar& x,
                                const std::vector<HeldNumbers>& angles, const AttentionRows& rows, bool recomputed,
                                std::optional<Index> only = {}) {
  const auto compute = [block, angles, rows, only](ShapeTape& at, const ShapeVar& input) {
    const auto attend = [&](ShapeTape& of, const ShapeVar& qkv) {
      return of.tree_attention(qkv, rows, detail::heads_of(block.settings));
    };
    return block_shapes(at, block, input, angles, attend, only);
  };
  return recomputed ? tape.recompute(x, compute, any_needs_gradient<T, Device>(block)) : compute(tape, x);
}

/// `LayerNormBlock::operator()`
template <class T, class Device>
ShapeVar block_over_tree_shapes(ShapeTape& tape, const LayerNormBlock<T, Device>& block, const ShapeVar& x,
                                const std::vector<HeldNumbers>& angles, const AttentionRows& rows, bool recomputed) {
  const auto compute = [block, angles, rows](ShapeTape& at, const ShapeVar& input) {
    const auto normed = [&](const ShapeVar& of, const LayerNormParameters<T, Device>& norm) {
      return at.norm(of, norm.weight, norm.bias);
    };
    const auto qkv = at.linear(normed(input, block.attention_norm), block.query_key_value);
    at.rotary_in_place(qkv, angles);
    const auto attended =
        at.linear_residual(at.tree_attention(qkv, rows, detail::heads_of(block.settings)), block.output, input);
    const auto hidden = at.gelu(at.linear(normed(attended, block.mlp_norm), block.up));
    return at.linear_residual(hidden, block.down, attended);
  };
  return recomputed ? tape.recompute(x, compute, any_needs_gradient<T, Device>(block)) : compute(tape, x);
}

/// `Decoder::operator()` where `attend(tape, layer, qkv)` is how rows see each other.
template <class T, class Device, class Attend>
ShapeVar decoder_shapes(ShapeTape& tape, const Decoder<T, Device>& decoder, ShapeVar x,
                        const std::vector<HeldNumbers>& angles, const Attend& attend, const FeatureShapes& features) {
  for (std::size_t layer = 0; layer < decoder.blocks.size(); ++layer) {
    const auto see = [&](ShapeTape& at, const ShapeVar& qkv) { return attend(at, layer, qkv); };
    x = features.added(tape, layer, block_shapes(tape, decoder.blocks[layer], x, angles, see));
  }
  return tape.norm(x, decoder.final_norm);
}

/// `Decoder::log_probabilities` of `pairs` pairs with `read` distinct rows of the tree.
template <class T, class Device>
ShapeVar log_probability_shapes(ShapeTape& tape, const Decoder<T, Device>& decoder, const ShapeVar& x,
                                const PrefixTree& tree, Index read, Index pairs, const FeatureShapes& features) {
  const auto over_tree = [&] {
    const auto angles = detail::angle_shapes(tape, tree.rows(), decoder.settings.block.head_size);
    const auto rows = AttentionRows::of(tree, 0, true);
    ShapeVar y = x;
    for (std::size_t layer = 0; layer < decoder.blocks.size(); ++layer) {
      const bool last = layer + 1 == decoder.blocks.size();
      y = block_over_tree_shapes(tape, decoder.blocks[layer], y, angles, rows, decoder.recompute_blocks,
                                 last ? std::optional(read) : std::nullopt);
      y = features.added(tape, layer, y);
    }
    return tape.norm(y, decoder.final_norm);
  };
  return tape.token_log_probabilities(over_tree(), decoder.head, read, pairs);
}

namespace detail {

/// `PartsOfDecoder`: a decoder over a tree that is worked through by subtrees.
template <class T, class Device>
class PartShapes {
 public:
  PartShapes(MemoryMeter& meter, const Decoder<T, Device>& decoder, const ShapeVar& x, const PrefixTree& tree,
             Index row_budget, const FeatureShapes& features)
      : meter_(meter), decoder_(decoder), x_(x), features_(features), plans_(plan_by_subtrees(tree, row_budget)) {}

  void run(bool backward) const {
    for (const SubtreePlan& plan : plans_) run(plan, {}, backward);
  }

 private:
  using KeysValues = std::vector<ShapeVar>;

  void run(const SubtreePlan& plan, const KeysValues& prefix, bool backward) const {
    ShapeTape tape(meter_, backward);
    const Index own = plan.own_rows();
    const ShapeVar x(own, x_.columns(), {}, backward && x_.needs_gradient());  // a view
    KeysValues path(plan.below.empty() ? 0 : decoder_.blocks.size());
    const FeatureShapes features = leaves(tape, plan.part.prefix_rows <= 1, backward);
    const auto rows = AttentionRows::of(plan.part.tree, plan.part.prefix_rows, true);
    const auto options = heads_of(decoder_.settings.block);
    const auto attend = [&](ShapeTape& at, std::size_t layer, const ShapeVar& qkv) {
      const ShapeVar* above = prefix.empty() ? nullptr : &prefix[layer];
      if (!path.empty()) path[layer] = extend(at, above, qkv);
      return above == nullptr ? at.tree_attention(qkv, rows, options)
                              : at.tree_attention_below(*above, qkv, rows, options);
    };
    const auto angles = angle_shapes(tape, own, decoder_.settings.block.head_size);
    const auto hidden = decoder_shapes(tape, decoder_, x, angles, attend, features);
    const Index read = plan.below.empty() ? own : 1;  // of a prompt alone its last row
    const auto log_probabilities = tape.token_log_probabilities(hidden, decoder_.head, read, read);
    for (const SubtreePlan& child : plan.below) run(child, path, backward);
    if (!backward) return;
    tape.seed_gradient(log_probabilities);
    tape.backward();
    for (std::size_t layer = 0; layer < features.of_layers.size(); ++layer) {
      const ShapeVar& leaf = features.of_layers[layer];
      if (leaf.needs_gradient() && leaf.gradient()) tape.add_gradient(features_.of_layers[layer], leaf.gradient());
    }
  }

  /// Pictures stand in prompts, which have at most their first token in common.
  FeatureShapes leaves(const ShapeTape& tape, bool of_prompts, bool backward) const {
    FeatureShapes part = features_;
    if (!of_prompts) part.placed = 0;
    for (ShapeVar& layer : part.of_layers) layer = tape.detached(layer, backward && layer.needs_gradient());
    return part;
  }

  ShapeVar extend(ShapeTape& tape, const ShapeVar* above, const ShapeVar& qkv) const {
    const Index above_rows = above == nullptr ? 0 : above->rows();
    const ShapeVar leaf = tape.leaf(above_rows + qkv.rows(), 2 * decoder_.settings.block.key_columns(),
                                    tape.records() && qkv.needs_gradient());
    tape.record(leaf, [&tape, leaf, qkv, kept = above == nullptr ? ShapeVar() : *above] {
      if (kept.defined()) tape.add_gradient(kept, leaf.gradient());
    });
    return leaf;
  }

  MemoryMeter& meter_;
  const Decoder<T, Device>& decoder_;
  ShapeVar x_;
  FeatureShapes features_;
  std::vector<SubtreePlan> plans_;
};

}  // namespace detail

/// `log_probabilities_by_parts`
template <class T, class Device>
ShapeVar log_probability_shapes_by_parts(ShapeTape& tape, MemoryMeter& meter, const Decoder<T, Device>& decoder,
                                         const ShapeVar& x, const PrefixTree& tree, Index pairs, Index row_budget,
                                         const FeatureShapes& features) {
  const bool trains = x.needs_gradient() || any_needs_gradient<T, Device>(decoder);
  const ShapeVar result = tape.leaf(1, pairs, tape.records() && trains);
  const detail::PartShapes<T, Device> parts(meter, decoder, x, tree, row_budget, features);
  parts.run(false);
  tape.record(result, [&tape, parts, x] {
    const HeldNumbers dx = tape.hold(x.needs_gradient() ? x.numbers() : 0);
    parts.run(true);
    if (x.needs_gradient()) tape.add_gradient(x, dx);
  });
  return result;
}

namespace detail {

inline Index rows_of(std::span<const VisionGrid> grids) {
  Index rows = 0;
  for (const VisionGrid& grid : grids) rows += grid.patches();
  return rows;
}

/// The rows of pictures that do not see each other; `layout(grid)` is one's tree.
template <class Layout>
AttentionRows rows_of_pictures(std::span<const VisionGrid> grids, const Layout& layout) {
  AttentionRows all, of_one;
  for (std::size_t i = 0; i < grids.size(); ++i) {
    if (i == 0 || !(grids[i] == grids[i - 1])) of_one = AttentionRows::of(layout(grids.subspan(i, 1)), 0, false);
    all += of_one;
  }
  return all;
}

inline PrefixTree frames_of(std::span<const VisionGrid> grids) {
  std::vector<Index> lengths;
  for (const VisionGrid& grid : grids) {
    lengths.insert(lengths.end(), static_cast<std::size_t>(grid.times), grid.height * grid.width);
  }
  return PrefixTree::from_lengths(lengths);
}

template <class T, class Device>
ShapeVar merger_shapes(ShapeTape& tape, const ShapeVar& rows, const Linear<T, Device>& hidden,
                       const Linear<T, Device>& output) {
  return tape.linear(tape.gelu(tape.linear(rows, hidden)), output);
}

}  // namespace detail

/// The numbers of a picture's pixels, by the model's settings.
inline Index picture_numbers(const TinyVlmSettings& settings, const VisionGrid&) {
  return settings.vision.image_size * settings.vision.image_size * settings.vision.input_channels();
}
inline Index picture_numbers(const Qwen25VlSettings& settings, const VisionGrid& grid) {
  return grid.patches() * settings.vision.patch_values();
}
inline Index picture_numbers(const Qwen3VlSettings& settings, const VisionGrid& grid) {
  return grid.patches() * settings.vision.patch_values();
}

/// And how many tokens stand for it.
inline Index picture_tokens(const TinyVlmSettings& settings, const VisionGrid&) {
  return settings.vision.tokens_per_image();
}
inline Index picture_tokens(const Qwen25VlSettings& settings, const VisionGrid& grid) {
  return grid.tokens(settings.vision.spatial_merge_size);
}
inline Index picture_tokens(const Qwen3VlSettings& settings, const VisionGrid& grid) {
  return grid.tokens(settings.vision.spatial_merge_size);
}

/// `VisionTower::operator()` of all pictures.
template <class T, class Device>
FeatureShapes feature_shapes(ShapeTape& tape, const TinyVlm<T, Device>& model, std::span<const VisionGrid> grids) {
  const VisionTower<T, Device>& tower = model.vision;
  const auto images = static_cast<Index>(grids.size());
  Index side = tower.settings.image_size;
  const ShapeVar pixels = tape.leaf(images * side * side, tower.settings.input_channels());
  ShapeVar x = pixels;
  for (std::size_t i = 0; i < tower.stem.size(); ++i) {
    const Convolution shape{.height = side, .width = side};
    side = shape.out_height();
    const ShapeVar patches = tape.unfold(x, images * side * side, tower.stem[i].shape()[1]);
    x = tape.linear(patches, tower.stem[i], tower.stem_bias[i]);
    if (i + 1 < tower.stem.size()) x = tape.gelu(x);
  }
  x = tape.add(x, tape.embed(tower.positions, ShapeVar(), x.rows()));
  const std::vector<Index> lengths(grids.size(), tower.settings.tokens_per_image());
  const auto rows = AttentionRows::of(PrefixTree::from_lengths(lengths), 0, false);
  for (const auto& block : tower.blocks) {
    x = block_over_tree_shapes(tape, block, x, {}, rows, tower.recompute_blocks);
  }
  return {.rows = tape.linear(tape.norm(x, tower.final_norm), tower.projection)};
}

/// `Qwen25VisionTower::operator()`
template <class T, class Device>
FeatureShapes feature_shapes(ShapeTape& tape, const Qwen25Vl<T, Device>& model, std::span<const VisionGrid> grids) {
  const Qwen25VisionTower<T, Device>& tower = model.vision;
  const ShapeVar patches = tape.leaf(detail::rows_of(grids), tower.settings.patch_values());
  const auto angles = detail::angle_shapes(tape, patches.rows(), tower.settings.block.head_size);
  const auto windows = detail::rows_of_pictures(grids, [&](std::span<const VisionGrid> one) {
    return window_layout(one, tower.settings.spatial_merge_size, tower.settings.window_tokens()).windows;
  });
  const auto frames = detail::rows_of_pictures(grids, detail::frames_of);
  ShapeVar x = tape.linear(tape.take_rows(patches, patches.rows()), tower.patch_embedding);
  for (std::size_t layer = 0; layer < tower.blocks.size(); ++layer) {
    const bool full = std::ranges::count(tower.settings.full_attention, static_cast<Index>(layer)) > 0;
    x = block_over_tree_shapes(tape, tower.blocks[layer], x, angles, full ? frames : windows, tower.recompute_blocks);
  }
  const Index merged = tower.merger_hidden.weight.shape()[1], tokens = x.numbers() / merged;
  const auto merge = [&] {
    const auto normed = tape.norm(x, tower.merger_norm);
    return detail::merger_shapes(tape, tape.reshape(normed, tokens, merged), tower.merger_hidden, tower.merger_output);
  };
  return {.rows = tape.take_rows(merge(), tokens)};
}

/// `PatchMerger::operator()`
template <class T, class Device>
ShapeVar merger_shapes(ShapeTape& tape, const PatchMerger<T, Device>& merger, const ShapeVar& x) {
  const auto& norm = merger.norm;
  const Index merged = merger.hidden.weight.shape()[1], tokens = x.numbers() / merged;
  const auto rows = norm.weight.shape()[0] == merged
                        ? tape.norm(tape.reshape(x, tokens, merged), norm.weight, norm.bias)
                        : tape.reshape(tape.norm(x, norm.weight, norm.bias), tokens, merged);
  return detail::merger_shapes(tape, rows, merger.hidden, merger.output);
}

/// `Qwen3VisionTower::operator()`
template <class T, class Device>
FeatureShapes feature_shapes(ShapeTape& tape, const Qwen3Vl<T, Device>& model, std::span<const VisionGrid> grids) {
  const Qwen3VisionTower<T, Device>& tower = model.vision;
  const ShapeVar patches = tape.leaf(detail::rows_of(grids), tower.settings.patch_values());
  const HeldNumbers weights = tape.hold(4 * patches.rows());
  const auto angles = detail::angle_shapes(tape, patches.rows(), tower.settings.block.head_size);
  const auto frames = detail::rows_of_pictures(grids, detail::frames_of);
  FeatureShapes features;
  features.of_layers.resize(tower.deep_mergers.size());
  ShapeVar x = tape.add(tape.linear(patches, tower.patch_embedding.weight, tower.patch_embedding.bias),
                        tape.weighted_rows(tower.positions, patches.rows(), weights));
  for (std::size_t layer = 0; layer < tower.blocks.size(); ++layer) {
    x = block_over_tree_shapes(tape, tower.blocks[layer], x, angles, frames, tower.recompute_blocks);
    for (std::size_t deep = 0; deep < tower.deep_mergers.size(); ++deep) {
      if (tower.settings.deep_layers[deep] != static_cast<Index>(layer)) continue;
      features.of_layers[deep] = merger_shapes(tape, tower.deep_mergers[deep], x);
    }
  }
  features.rows = merger_shapes(tape, tower.merger, x);
  return features;
}

}  // namespace caprl
