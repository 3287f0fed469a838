#pragma once

#include "caprl/core/index.hpp"

namespace caprl {

/// The patches of a picture or clip along time (groups of `temporal_patch_size` frames), height and width. Its patches
/// are rows [times * height * width, 3 * temporal_patch_size * patch * patch] in the order of Hugging Face's
/// Qwen2-VL image processor: by time, then by blocks of merge x merge patches (row-major), then within the block
/// (row-major), so that the patches which become one token are neighbours. A row's columns are channel, frame, y, x.
struct VisionGrid {
  Index times = 0;   ///< 1 for an image
  Index height = 0;  ///< a multiple of the model's merge size
  Index width = 0;   ///< likewise

  Index patches() const { return times * height * width; }
  /// Tokens of the language model, where merge x merge patches become one.
  Index tokens(Index merge) const { return times * (height / merge) * (width / merge); }

  friend bool operator==(const VisionGrid&, const VisionGrid&) = default;
};

}  // namespace caprl
