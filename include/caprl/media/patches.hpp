#pragma once

#include <array>
#include <span>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/media/image.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

namespace caprl {

/// How pictures become the rows that a vision tower reads. Channel values are scaled to [0, 1], then
/// (value - mean) / deviation.
struct PatchSettings {
  Index patch_pixels = 16;  ///< side of a square patch
  std::array<float, 3> mean = {0.5f, 0.5f, 0.5f};
  std::array<float, 3> deviation = {0.5f, 0.5f, 0.5f};

  /// 3 * patch * patch: the columns of a row.
  Index columns() const { return 3 * patch_pixels * patch_pixels; }
};

/// The patches of a picture along its height and width. Throws unless both sides are multiples of the patch.
inline ImageSize patch_grid(ImageSize size, const PatchSettings& settings) {
  const Index side = settings.patch_pixels;
  if (side < 1 || size.pixels() <= 0 || size.height % side != 0 || size.width % side != 0) {
    throw Error("[patch_grid] expected sides that are multiples of the patch of " + std::to_string(side) +
                    " pixels, got " + std::to_string(size.height) + " x " + std::to_string(size.width),
                "", "resize the picture first");
  }
  return {size.height / side, size.width / side};
}

namespace detail {

/// One patch's channels, each [side, side] and `pitch` values after the one before, as a convolution's weights are
/// stored. `value(channel, byte)` normalises.
template <class Value>
void write_patch(const Image& image, Index top, Index left, Index side, const Value& value, float* row, Index pitch) {
  for (Index channel = 0; channel < 3; ++channel) {
    const auto c = static_cast<std::size_t>(channel);
    for (Index y = 0; y < side; ++y) {
      const std::uint8_t* source = image.pixel(top + y, left) + channel;
      float* target = row + channel * pitch + y * side;
      for (Index x = 0; x < side; ++x) target[x] = value(c, source[x * 3]);
    }
  }
}

}  // namespace detail

/// Writes the patches of pictures of one size, picture by picture, in each row-major by (y, x), into `rows`:
/// [F * grid height * grid width, 3 * patch * patch]. Throws on sizes that do not agree.
inline void write_patches(std::span<const Image> images, const PatchSettings& settings, Rows<float> rows) {
  if (images.empty()) return;
  const ImageSize size = images[0].size(), grid = patch_grid(size, settings);
  const Index patches = grid.pixels();
  for (const Image& image : images) {
    require(image.size() == size && image.rgb.size() == static_cast<std::size_t>(size.pixels() * 3),
            "[write_patches] expected pictures of one size, each with 3 bytes a pixel");
  }
  detail::require_matrix("write_patches", "rows", rows, patches * static_cast<Index>(images.size()),
                         settings.columns());
  std::array<float, 3> scale{}, shift{};
  for (std::size_t c = 0; c < 3; ++c) {
    scale[c] = 1.0f / (255.0f * settings.deviation[c]);
    shift[c] = -settings.mean[c] / settings.deviation[c];
  }
  const auto value = [&](std::size_t c, std::uint8_t byte) { return static_cast<float>(byte) * scale[c] + shift[c]; };
  const Index side = settings.patch_pixels;
  parallel_for(rows.rows, 64, [&](Index r) {
    const Index patch = r % patches;
    detail::write_patch(images[static_cast<std::size_t>(r / patches)], patch / grid.width * side,
                        patch % grid.width * side, side, value, rows.row(r), side * side);
  });
}

/// The same for one picture.
inline void write_patches(const Image& image, const PatchSettings& settings, Rows<float> rows) {
  write_patches(std::span<const Image>(&image, 1), settings, rows);
}

}  // namespace caprl
