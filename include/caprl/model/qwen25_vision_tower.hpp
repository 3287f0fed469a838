#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "caprl/autograd/activation.hpp"
#include "caprl/autograd/linear.hpp"
#include "caprl/autograd/reshape.hpp"
#include "caprl/model/qwen25_vision_settings.hpp"
#include "caprl/model/transformer_block.hpp"
#include "caprl/model/vision_rotary.hpp"
#include "caprl/model/window_layout.hpp"

namespace caprl {

/// The vision tower of Qwen2.5-VL (Bai et al., 2025, arXiv 2502.13923): patches of pictures of any size, transformer
/// blocks in which a patch sees its window (in a few layers its whole frame) and which turn half of a head by its
/// height and half by its width, then merge x merge patches made one token.
template <class T, class Device = Cpu>
struct Qwen25VisionTower {
  Qwen25VisionSettings settings;
  Parameter<T, Device> patch_embedding;  ///< [C, 3 * temporal patch * patch * patch]
  std::vector<TransformerBlock<T, Device>> blocks;
  Parameter<T, Device> merger_norm;  ///< [C]
  Linear<T, Device> merger_hidden;   ///< [M, M] with M = merge^2 C
  Linear<T, Device> merger_output;   ///< [output_size, M]
  bool recompute_blocks = false;     ///< keep only the blocks' inputs for the backward pass

  explicit Qwen25VisionTower(const Qwen25VisionSettings& sizes)
      : settings(sizes),
        patch_embedding({sizes.block.hidden_size, sizes.patch_values()}),
        merger_norm({sizes.block.hidden_size}),
        merger_hidden(merged_columns(), merged_columns(), true),
        merger_output(sizes.output_size, merged_columns(), true) {
    require(sizes.block.head_size % 4 == 0, "[Qwen25VisionTower] expected a head size that is a multiple of 4");
    require(sizes.window_tokens() >= 1, "[Qwen25VisionTower] expected a window of at least one token");
    for (Index layer = 0; layer < sizes.layers; ++layer) blocks.emplace_back(sizes.block);
  }

  /// patches [patches of all pictures, 3 * temporal patch * patch * patch] in the order that `VisionGrid` says, picture
  /// after picture. Result [tokens of all pictures, output_size], each frame row by row.
  Var<T, Device> operator()(const Var<T, Device>& patches, std::span<const VisionGrid> grids) const {
    const WindowLayout layout = window_layout(grids, settings.spatial_merge_size, settings.window_tokens());
    const auto rows = static_cast<Index>(layout.patches.size());
    if (patches.shape() != Shape{rows, settings.patch_values()}) {
      throw Error("[Qwen25VisionTower] expected patches " + to_string(Shape{rows, settings.patch_values()}) +
                  " for the pictures' grids, got " + to_string(patches.shape()));
    }
    const auto angles = make_rotary_table(vision_rotary(settings.rotary_theta, settings.block.head_size),
                                          layout.positions.values, layout.positions.rows());
    Var<T, Device> x = linear(take_rows(patches, layout.patches), patch_embedding);
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      auto options = blocks[layer].attention_options();
      options.causal_within = false;
      const bool full = std::ranges::count(settings.full_attention, static_cast<Index>(layer)) > 0;
      x = blocks[layer].over_tree(x, &angles, full ? layout.frames : layout.windows, options, recompute_blocks);
    }
    return take_rows(merge(x), layout.tokens);
  }

  /// Names as Hugging Face has them.
  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    const Index p = settings.patch_size;
    NamedBlock<T, Device> kernel = whole_block(prefix + "patch_embed.proj.weight", patch_embedding);
    kernel.stored = {settings.block.hidden_size, 3, settings.temporal_patch_size, p, p};
    visit(kernel);
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      visit_block(prefix + "blocks." + std::to_string(layer) + ".", blocks[layer], visit);
    }
    visit(whole_block(prefix + "merger.ln_q.weight", merger_norm));
    visit_layer(visit, prefix + "merger.mlp.0", merger_hidden);
    visit_layer(visit, prefix + "merger.mlp.2", merger_output);
  }

 private:
  Index merged_columns() const {
    return settings.spatial_merge_size * settings.spatial_merge_size * settings.block.hidden_size;
  }

  Var<T, Device> merge(const Var<T, Device>& x) const {
    const auto normed = rms_norm(x, merger_norm, settings.block.norm_epsilon);
    const auto merged = reshape(normed, {x.shape().elements() / merged_columns(), merged_columns()});
    const TapedProducts products;
    return products.linear(gelu(products.linear(merged, merger_hidden), GeluForm::exact), merger_output);
  }

  template <class Visit>
  static void visit_block(const std::string& prefix, const TransformerBlock<T, Device>& block, const Visit& visit) {
    const Index wide = block.settings.intermediate_size;
    visit(whole_block(prefix + "norm1.weight", block.attention_norm));
    visit_layer(visit, prefix + "attn.qkv", block.query_key_value);
    visit_layer(visit, prefix + "attn.proj", block.output);
    visit(whole_block(prefix + "norm2.weight", block.mlp_norm));
    visit_rows(visit, prefix + "mlp.gate_proj", block.gate_up, 0, wide);
    visit_rows(visit, prefix + "mlp.up_proj", block.gate_up, wide, 2 * wide);
    visit_layer(visit, prefix + "mlp.down_proj", block.down);
  }
};

}  // namespace caprl
