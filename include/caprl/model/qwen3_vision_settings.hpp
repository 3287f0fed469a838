#pragma once

#include <vector>

#include "caprl/model/decoder_settings.hpp"

namespace caprl {

/// The configuration of Qwen3-VL's vision tower, in the terms of its vision_config.
struct Qwen3VisionSettings {
  BlockSettings block;
  Index layers = 0;
  Index patch_size = 16;             ///< pixels a side
  Index temporal_patch_size = 2;     ///< frames of a patch
  Index spatial_merge_size = 2;      ///< patches a side that become one token
  Index table_side = 48;             ///< positions a side of the learned table (the root of num_position_embeddings)
  std::vector<Index> deep_layers{};  ///< those whose output goes, merged, into the language model's first layers
  Index output_size = 0;             ///< features of the language model
  double rotary_theta = 10000;

  /// Values of a patch: channel, frame, y, x.
  Index patch_values() const { return 3 * temporal_patch_size * patch_size * patch_size; }
};

}  // namespace caprl
