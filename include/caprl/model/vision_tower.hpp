#pragma once

#include <string>
#include <vector>

#include "caprl/autograd/add.hpp"
#include "caprl/autograd/attention.hpp"
#include "caprl/autograd/convolution.hpp"
#include "caprl/autograd/embedding.hpp"
#include "caprl/model/transformer_block.hpp"
#include "caprl/model/vision_settings.hpp"

namespace caprl {

/// Square images to rows of language-model features: a stem of stride-2 convolutions (Xiao et al., 2021, arXiv
/// 2106.14881), learned positions, bidirectional transformer blocks, a projection. A video's frame may be seen together
/// with those before it, so that the stem sees what changes.
template <class T, class Device = Cpu>
struct VisionTower {
  VisionSettings settings;
  std::vector<Parameter<T, Device>> stem;  ///< [out, 9 * in] each, kernel row after kernel row
  std::vector<Parameter<T, Device>> stem_bias;
  Parameter<T, Device> positions;  ///< [tokens per image, C]
  std::vector<TransformerBlock<T, Device>> blocks;
  Parameter<T, Device> final_norm;
  Linear<T, Device> projection;   ///< [output_size, C]
  bool recompute_blocks = false;  ///< keep only the blocks' inputs for the backward pass

  explicit VisionTower(const VisionSettings& sizes)
      : settings(sizes),
        positions({sizes.tokens_per_image(), sizes.block.hidden_size}),
        final_norm({sizes.block.hidden_size}),
        projection(sizes.output_size, sizes.block.hidden_size, false) {
    Index channels = sizes.input_channels();
    for (Index i = 0; i < sizes.convolutions(); ++i) {
      const bool last = i + 1 == sizes.convolutions();
      const Index next = last ? sizes.block.hidden_size : sizes.stem_channels[static_cast<std::size_t>(i)];
      stem.emplace_back(Shape{next, 9 * channels});
      stem_bias.emplace_back(Shape{next});
      channels = next;
    }
    for (Index layer = 0; layer < sizes.layers; ++layer) blocks.emplace_back(sizes.block);
  }

  /// pixels [N * image_size^2, 3 * temporal_patch_size], normalised, row-major; result [N * tokens_per_image,
  /// output_size].
  Var<T, Device> operator()(const Var<T, Device>& pixels) const {
    const Index images = pixels.shape().rows() / (settings.image_size * settings.image_size);
    Var<T, Device> x = convolve(pixels);
    x = add_positions(x, images);
    const std::vector<Index> lengths(static_cast<std::size_t>(images), settings.tokens_per_image());
    const PrefixTree tree = PrefixTree::from_lengths(lengths);
    for (const auto& block : blocks) {
      auto options = block.attention_options();
      options.causal_within = false;
      x = block.over_tree(x, nullptr, tree, options, recompute_blocks);
    }
    return TapedProducts{}.linear(rms_norm(x, final_norm, settings.block.norm_epsilon), projection);
  }

  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    for (std::size_t i = 0; i < stem.size(); ++i) {
      visit(whole_block(prefix + "stem." + std::to_string(i) + ".weight", stem[i]));
      visit(whole_block(prefix + "stem." + std::to_string(i) + ".bias", stem_bias[i]));
    }
    visit(whole_block(prefix + "position_embedding.weight", positions));
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      blocks[layer].visit(prefix + "blocks." + std::to_string(layer) + ".", visit);
    }
    visit(whole_block(prefix + "norm.weight", final_norm));
    visit_layer(visit, prefix + "projection", projection);
  }

 private:
  Var<T, Device> convolve(Var<T, Device> x) const {
    Index side = settings.image_size;
    for (std::size_t i = 0; i < stem.size(); ++i) {
      const Convolution shape{.height = side, .width = side};
      x = linear(unfold(x, shape), stem[i], stem_bias[i]);
      if (i + 1 < stem.size()) x = gelu(x);
      side = shape.out_height();
    }
    return x;
  }

  /// Each image's tokens get the same table of positions.
  Var<T, Device> add_positions(const Var<T, Device>& x, Index images) const {
    std::vector<Index> sources;
    for (Index row = 0; row < images * settings.tokens_per_image(); ++row) {
      sources.push_back(row % settings.tokens_per_image());
    }
    return add(x, embed(positions, Var<T, Device>(), std::move(sources)));
  }
};

}  // namespace caprl
