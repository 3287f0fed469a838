#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "caprl/autograd/add.hpp"
#include "caprl/autograd/reshape.hpp"
#include "caprl/autograd/take_rows.hpp"
#include "caprl/model/frame_layout.hpp"
#include "caprl/model/layer_norm_block.hpp"
#include "caprl/model/picture.hpp"
#include "caprl/model/qwen3_vision_settings.hpp"
#include "caprl/model/vision_rotary.hpp"

namespace caprl {

/// Makes one token of merge x merge patches: a layer norm of each patch, or of all together, then two linear layers
/// with GELU between them.
template <class T, class Device = Cpu>
struct PatchMerger {
  LayerNormParameters<T, Device> norm;
  Linear<T, Device> hidden;  ///< [M, M] with M = merge^2 C
  Linear<T, Device> output;  ///< [output_size, M]

  PatchMerger(Index normed_columns, Index merged_columns, Index output_size)
      : norm(normed_columns), hidden(merged_columns, merged_columns, true), output(output_size, merged_columns, true) {}

  /// x [patches, C] to [patches / merge^2, output_size].
  Var<T, Device> operator()(const Var<T, Device>& x, double epsilon) const {
    const Index merged = hidden.weight.shape()[1], normed = norm.weight.shape()[0];
    const Shape together{x.shape().elements() / merged, merged};
    const auto rows = normed == merged ? norm(reshape(x, together), epsilon) : reshape(norm(x, epsilon), together);
    const TapedProducts products;
    return products.linear(gelu(products.linear(rows, hidden), GeluForm::exact), output);
  }

  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    norm.visit(prefix + "norm", visit);
    visit_layer(visit, prefix + "linear_fc1", hidden);
    visit_layer(visit, prefix + "linear_fc2", output);
  }
};

/// The vision tower of Qwen3-VL (Bai et al., 2025, arXiv 2511.21631): patches of pictures of any size with positions
/// read from a learned table, transformer blocks in which a patch sees its frame, and the outputs of a few of them, and
/// of the last, made tokens (DeepStack: Meng et al., 2024, arXiv 2406.04334).
template <class T, class Device = Cpu>
struct Qwen3VisionTower {
  Qwen3VisionSettings settings;
  Linear<T, Device> patch_embedding;  ///< [C, 3 * temporal patch * patch * patch]
  Parameter<T, Device> positions;     ///< [table_side^2, C]
  std::vector<LayerNormBlock<T, Device>> blocks;
  PatchMerger<T, Device> merger;
  std::vector<PatchMerger<T, Device>> deep_mergers;  ///< one for each of `deep_layers`
  bool recompute_blocks = false;                     ///< keep only the blocks' inputs for the backward pass

  explicit Qwen3VisionTower(const Qwen3VisionSettings& sizes)
      : settings(sizes),
        patch_embedding(sizes.block.hidden_size, sizes.patch_values(), true),
        positions({sizes.table_side * sizes.table_side, sizes.block.hidden_size}),
        merger(sizes.block.hidden_size, merged_columns(), sizes.output_size) {
    require(sizes.block.head_size % 4 == 0, "[Qwen3VisionTower] expected a head size that is a multiple of 4");
    for (Index layer = 0; layer < sizes.layers; ++layer) blocks.emplace_back(sizes.block);
    for (std::size_t deep = 0; deep < sizes.deep_layers.size(); ++deep) {
      deep_mergers.emplace_back(merged_columns(), merged_columns(), sizes.output_size);
    }
  }

  /// patches [patches of all pictures, 3 * temporal patch * patch * patch] in the order that `VisionGrid` says, picture
  /// after picture. The result's rows are [tokens of all pictures, output_size], each frame row by row.
  PictureFeatures<T, Device> operator()(const Var<T, Device>& patches, std::span<const VisionGrid> grids) const {
    const FrameLayout layout = frame_layout(grids, settings.spatial_merge_size, settings.table_side);
    const Shape expected{layout.positions.rows(), settings.patch_values()};
    if (patches.shape() != expected) {
      throw Error("[Qwen3VisionTower] expected patches " + to_string(expected) + " for the pictures' grids, got " +
                  to_string(patches.shape()));
    }
    const auto angles = make_rotary_table(vision_rotary(settings.rotary_theta, settings.block.head_size),
                                          layout.positions.values, layout.positions.rows());
    const double epsilon = settings.block.norm_epsilon;
    PictureFeatures<T, Device> features;
    features.of_layers.resize(deep_mergers.size());
    Var<T, Device> x = add(linear(patches, patch_embedding.weight, patch_embedding.bias),
                           weighted_rows(positions, layout.places, layout.weights));
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      x = blocks[layer](x, angles, layout.frames, recompute_blocks);
      for (std::size_t deep = 0; deep < deep_mergers.size(); ++deep) {
        if (settings.deep_layers[deep] != static_cast<Index>(layer)) continue;
        features.of_layers[deep] = deep_mergers[deep](x, epsilon);
      }
    }
    features.rows = merger(x, epsilon);
    return features;
  }

  /// Names as Hugging Face has them.
  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    const Index p = settings.patch_size;
    NamedBlock<T, Device> kernel = whole_block(prefix + "patch_embed.proj.weight", patch_embedding.weight);
    kernel.stored = {settings.block.hidden_size, 3, settings.temporal_patch_size, p, p};
    visit(kernel);
    visit(whole_block(prefix + "patch_embed.proj.bias", patch_embedding.bias));
    visit(whole_block(prefix + "pos_embed.weight", positions));
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      blocks[layer].visit(prefix + "blocks." + std::to_string(layer) + ".", visit);
    }
    merger.visit(prefix + "merger.", visit);
    for (std::size_t deep = 0; deep < deep_mergers.size(); ++deep) {
      deep_mergers[deep].visit(prefix + "deepstack_merger_list." + std::to_string(deep) + ".", visit);
    }
  }

 private:
  Index merged_columns() const {
    return settings.spatial_merge_size * settings.spatial_merge_size * settings.block.hidden_size;
  }
};

}  // namespace caprl
