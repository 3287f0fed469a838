#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/media/image.hpp"

namespace caprl {

/// Between how many pixels a picture, or all frames of a video together, shall have after resizing.
struct PixelBudget {
  Index minimum = 1;
  Index maximum = 1;

  friend bool operator==(const PixelBudget&, const PixelBudget&) = default;
};

namespace detail {

/// Throws for sides of which one is more than 200 times the other: nothing would be left of the shorter.
inline void require_aspect_ratio(const std::string& operation, ImageSize size, const std::string& name) {
  constexpr double limit = 200;
  const double ratio = static_cast<double>(std::max(size.height, size.width)) /
                       static_cast<double>(std::max<Index>(std::min(size.height, size.width), 1));
  if (size.height >= 1 && size.width >= 1 && ratio <= limit) return;
  throw Error("[" + operation +
                  "] expected a picture with sides of at least 1 pixel, one at most 200 times the other, "
                  "got " +
                  std::to_string(size.height) + " x " + std::to_string(size.width),
              name, "crop it or leave it out");
}

/// The multiples of `factor` nearest to a size (ties to the even multiple), shrunk or grown in proportion where
/// `counted_frames` pictures of that size leave the budget that `frames` of the given size are measured by.
inline ImageSize fit_budget(ImageSize size, Index frames, Index counted_frames, Index factor, PixelBudget budget) {
  const auto step = static_cast<double>(factor), height = static_cast<double>(size.height),
             width = static_cast<double>(size.width);
  const auto multiple = [&](double steps) { return static_cast<Index>(steps) * factor; };
  const ImageSize near{multiple(std::nearbyint(height / step)), multiple(std::nearbyint(width / step))};
  const auto pixels = static_cast<double>(frames * size.pixels());
  if (counted_frames * near.pixels() > budget.maximum) {
    const double shrink = std::sqrt(pixels / static_cast<double>(budget.maximum));
    return {std::max(factor, multiple(std::floor(height / shrink / step))),
            std::max(factor, multiple(std::floor(width / shrink / step)))};
  }
  if (counted_frames * near.pixels() < budget.minimum) {
    const double grow = std::sqrt(static_cast<double>(budget.minimum) / pixels);
    return {multiple(std::ceil(height * grow / step)), multiple(std::ceil(width * grow / step))};
  }
  return near;
}

inline void require_budget(const std::string& operation, Index factor, PixelBudget budget) {
  if (factor >= 1 && budget.minimum >= 1 && budget.maximum >= budget.minimum) return;
  throw Error("[" + operation + "] expected a factor of at least 1 and a budget of 1 <= minimum <= maximum, got " +
              std::to_string(factor) + ", " + std::to_string(budget.minimum) + " and " +
              std::to_string(budget.maximum));
}

}  // namespace detail

/// The size to which a picture (or each frame of a video) is resized: sides that are multiples of `factor` (patch *
/// merge), about the same shape, and a number of pixels within the budget. One side is never less than `factor`, so the
/// thinnest pictures may pass the maximum.
///
/// `smart_resize` of Qwen2VLImageProcessor and Qwen2VLVideoProcessor (transformers 5.24). Throws for sides of which
/// one is more than 200 times the other, naming the picture.
inline ImageSize smart_resize(ImageSize size, Index factor, PixelBudget budget, const std::string& name) {
  detail::require_budget("smart_resize", factor, budget);
  detail::require_aspect_ratio("smart_resize", size, name);
  return detail::fit_budget(size, 1, 1, factor, budget);
}

/// The same for a video of `frames` frames whose pixels count together: the frames to the nearest multiple of
/// `frames_per_patch` (ties to the even one) by height by width are within the budget.
///
/// `smart_resize` of Qwen3VLVideoProcessor (transformers 5.24). Throws also for fewer frames than one patch has.
inline ImageSize smart_resize_video(Index frames, ImageSize size, Index frames_per_patch, Index factor,
                                    PixelBudget budget, const std::string& name) {
  detail::require_budget("smart_resize_video", factor, budget);
  if (frames_per_patch < 1 || frames < frames_per_patch) {
    throw Error("[smart_resize_video] expected at least " + std::to_string(frames_per_patch) + " frames, got " +
                    std::to_string(frames),
                name, "sample more frames, or give a single frame as an image");
  }
  if (size.height >= 1 && size.width >= 1 && std::min(size.height, size.width) < factor) {
    const auto step = static_cast<double>(factor), height = static_cast<double>(size.height),
               width = static_cast<double>(size.width);
    const double scale = std::max(step / height, step / width);
    size = {static_cast<Index>(height * scale), static_cast<Index>(width * scale)};
  }
  detail::require_aspect_ratio("smart_resize_video", size, name);
  const auto patches = std::nearbyint(static_cast<double>(frames) / static_cast<double>(frames_per_patch));
  return detail::fit_budget(size, frames, static_cast<Index>(patches) * frames_per_patch, factor, budget);
}

}  // namespace caprl
