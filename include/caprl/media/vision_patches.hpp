#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/media/image.hpp"
#include "caprl/media/patches.hpp"
#include "caprl/media/vision_grid.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

namespace caprl {

/// How the vision towers of Qwen2-VL, Qwen2.5-VL and Qwen3-VL see pictures: patches over a few frames, of which
/// merge x merge neighbours become one token. The mean and deviation are of channel values scaled to [0, 1].
struct VisionPatchSettings {
  Index patch_pixels = 14;     ///< side of a square patch
  Index merge = 2;             ///< patches along each side of a token
  Index frames_per_patch = 2;  ///< an image is repeated, and so is a video's last frame
  std::array<float, 3> mean = {0.48145466f, 0.4578275f, 0.40821073f};
  std::array<float, 3> deviation = {0.26862954f, 0.26130258f, 0.27577711f};

  /// Pixels along each side of a token: what sides must be multiples of.
  Index factor() const { return patch_pixels * merge; }
  /// 3 * frames * patch * patch: the columns of a row.
  Index columns() const { return 3 * frames_per_patch * patch_pixels * patch_pixels; }
};

/// The grid of `frames` pictures of one size. Throws unless there is one and its sides are multiples of the factor.
inline VisionGrid vision_grid(Index frames, ImageSize size, const VisionPatchSettings& settings) {
  require(settings.patch_pixels >= 1 && settings.merge >= 1 && settings.frames_per_patch >= 1,
          "[vision_grid] expected patch_pixels, merge and frames_per_patch of at least 1");
  const Index factor = settings.factor();
  if (frames < 1 || size.pixels() <= 0 || size.height % factor != 0 || size.width % factor != 0) {
    throw Error("[vision_grid] expected at least one frame with sides that are multiples of " + std::to_string(factor) +
                    " pixels, got " + std::to_string(frames) + " of " + std::to_string(size.height) + " x " +
                    std::to_string(size.width),
                "", "resize the picture first");
  }
  return {(frames + settings.frames_per_patch - 1) / settings.frames_per_patch, size.height / settings.patch_pixels,
          size.width / settings.patch_pixels};
}

/// Writes the patches of one time step: of `frames` pictures of one size, the last of which stands in for missing ones,
/// into `rows`: [grid height * grid width, 3 * frames per patch * patch * patch], in the order of `VisionGrid`.
///
/// Values are (value - 255 mean) / (255 deviation) in single precision, as torchvision's image processors calculate
/// them (`rescale_and_normalize` of transformers 5.24), so they are equal to the bit. Throws on sizes that do not
/// agree.
inline void write_vision_patches(std::span<const Image> frames, const VisionPatchSettings& settings, Rows<float> rows) {
  require(!frames.empty() && static_cast<Index>(frames.size()) <= settings.frames_per_patch,
          "[write_vision_patches] expected from one frame to as many as a patch has");
  const ImageSize size = frames[0].size();
  const VisionGrid grid = vision_grid(1, size, settings);
  for (const Image& frame : frames) {
    require(frame.size() == size && frame.rgb.size() == static_cast<std::size_t>(size.pixels() * 3),
            "[write_vision_patches] expected pictures of one size, each with 3 bytes a pixel");
  }
  detail::require_matrix("write_vision_patches", "rows", rows, grid.patches(), settings.columns());
  std::array<float, 3> mean{}, deviation{};
  for (std::size_t c = 0; c < 3; ++c) {
    mean[c] = settings.mean[c] * 255.0f;
    deviation[c] = settings.deviation[c] * 255.0f;
  }
  const auto value = [&](std::size_t c, std::uint8_t byte) {
    return (static_cast<float>(byte) - mean[c]) / deviation[c];
  };
  const Index merge = settings.merge, side = settings.patch_pixels, blocks_across = grid.width / merge;
  const Index of_a_frame = side * side, pitch = settings.frames_per_patch * of_a_frame;
  parallel_for(rows.rows, 64, [&](Index r) {
    const Index block = r / (merge * merge), within = r % (merge * merge);
    const Index top = (block / blocks_across * merge + within / merge) * side;
    const Index left = (block % blocks_across * merge + within % merge) * side;
    for (Index f = 0; f < settings.frames_per_patch; ++f) {
      const auto shown = std::min(static_cast<std::size_t>(f), frames.size() - 1);
      detail::write_patch(frames[shown], top, left, side, value, rows.row(r) + f * of_a_frame, pitch);
    }
  });
}

}  // namespace caprl
