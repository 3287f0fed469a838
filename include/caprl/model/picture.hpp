#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "caprl/autograd/var.hpp"
#include "caprl/core/error.hpp"
#include "caprl/media/vision_grid.hpp"
#include "caprl/tensor/tensor.hpp"

namespace caprl {

/// An image, a frame or a clip as a vision tower reads it. Equal contents have equal hashes and are encoded once in a
/// batch.
struct Picture {
  std::uint64_t hash = 0;
  Tensor<float> pixels;         ///< [rows, values], normalised, in the order of the model's tower
  VisionGrid grid;              ///< its patches
  double seconds_per_time = 0;  ///< of a clip: from one step of the grid's time to the next
};

/// What a language model reads of pictures, one after the other.
template <class T, class Device = Cpu>
struct PictureFeatures {
  Var<T, Device> rows{};                    ///< [tokens of all, C]: in the place of token embeddings
  std::vector<Var<T, Device>> of_layers{};  ///< the same, added to the outputs of the decoder's first layers
};

/// A picture in a prompt: its tokens are those from `begin` on.
struct PlacedPicture {
  Index begin = 0;
  const Picture* picture = nullptr;
};

/// The pixels of all, one after the other: [rows of all, values]. There is at least one.
inline Tensor<float> stacked_pixels(std::span<const Picture> pictures) {
  require(!pictures.empty(), "[stacked_pixels] expected at least one picture");
  const Index columns = pictures[0].pixels.shape().columns();
  Index rows = 0;
  for (const Picture& picture : pictures) {
    require(picture.pixels.shape().columns() == columns, "[stacked_pixels] expected rows of one width");
    rows += picture.pixels.shape().rows();
  }
  Tensor<float> all({rows, columns});
  float* target = all.data();
  for (const Picture& picture : pictures) {
    target = std::copy_n(picture.pixels.data(), picture.pixels.elements(), target);
  }
  return all;
}

}  // namespace caprl
