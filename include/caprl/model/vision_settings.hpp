#pragma once

#include <vector>

#include "caprl/model/decoder_settings.hpp"
#include "caprl/tensor/convolution.hpp"

namespace caprl {

/// A small vision tower's configuration.
struct VisionSettings {
  BlockSettings block;
  Index layers = 0;
  Index image_size = 48;             ///< pixels a side; images are resized to it
  Index temporal_patch_size = 1;     ///< frames that a frame's tokens see: it and those before it
  std::vector<Index> stem_channels;  ///< outputs of the stride-2 convolutions before the last, which gives hidden_size
  Index output_size = 0;             ///< features of the language model

  /// Convolutions in the stem; each halves the sides.
  Index convolutions() const { return static_cast<Index>(stem_channels.size()) + 1; }
  /// Values of a pixel: three of each frame, the earliest first.
  Index input_channels() const { return 3 * temporal_patch_size; }
  /// Tokens a side.
  Index grid() const {
    Index side = image_size;
    for (Index i = 0; i < convolutions(); ++i) side = Convolution{.height = side, .width = side}.out_height();
    return side;
  }
  Index tokens_per_image() const { return grid() * grid(); }
};

}  // namespace caprl
