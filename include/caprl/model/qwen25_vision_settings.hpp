#pragma once

#include <vector>

#include "caprl/media/vision_grid.hpp"
#include "caprl/model/decoder_settings.hpp"

namespace caprl {

/// The configuration of Qwen2.5-VL's vision tower, in the terms of its vision_config.
struct Qwen25VisionSettings {
  BlockSettings block;
  Index layers = 0;
  Index patch_size = 14;                ///< pixels a side
  Index temporal_patch_size = 2;        ///< frames of a patch
  Index spatial_merge_size = 2;         ///< patches a side that become one token
  Index window_size = 112;              ///< pixels a side of what sees each other, but for
  std::vector<Index> full_attention{};  ///< the layers in which a whole frame does
  Index output_size = 0;                ///< features of the language model
  Index tokens_per_second = 4;          ///< positions in a second of video
  double rotary_theta = 10000;

  /// Values of a patch: channel, frame, y, x.
  Index patch_values() const { return 3 * temporal_patch_size * patch_size * patch_size; }
  /// Tokens a side of a window.
  Index window_tokens() const { return window_size / spatial_merge_size / patch_size; }
  /// A picture's tokens along time, height and width.
  VisionGrid token_grid(const VisionGrid& patches) const {
    return {patches.times, patches.height / spatial_merge_size, patches.width / spatial_merge_size};
  }
};

}  // namespace caprl
