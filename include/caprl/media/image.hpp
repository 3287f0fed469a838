#pragma once

#include <cstdint>
#include <vector>

#include "caprl/core/index.hpp"

namespace caprl {

/// Height and width in pixels. Zero by zero stands for "as stored" where a size is optional.
struct ImageSize {
  Index height = 0;
  Index width = 0;

  Index pixels() const { return height * width; }
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

/// An 8-bit RGB picture: `rgb` is [H, W, 3], rows from the top, no padding, sRGB values as stored in the file.
struct Image {
  Index height = 0;
  Index width = 0;
  std::vector<std::uint8_t> rgb;

  Image() = default;
  Image(Index image_height, Index image_width)
      : height(image_height), width(image_width), rgb(static_cast<std::size_t>(image_height * image_width * 3)) {}

  ImageSize size() const { return {height, width}; }
  /// The three channel values of a pixel.
  std::uint8_t* pixel(Index y, Index x) { return rgb.data() + (y * width + x) * 3; }
  const std::uint8_t* pixel(Index y, Index x) const { return rgb.data() + (y * width + x) * 3; }

  friend bool operator==(const Image&, const Image&) = default;
};

}  // namespace caprl
