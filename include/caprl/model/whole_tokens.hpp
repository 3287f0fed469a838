#pragma once

#include <string>

#include "caprl/core/error.hpp"
#include "caprl/media/vision_grid.hpp"

namespace caprl {

/// Throws Error, with the grid, unless it is made of whole tokens of `merge` x `merge` patches.
inline void require_whole_tokens(const char* operation, const VisionGrid& grid, Index merge) {
  if (grid.times >= 1 && grid.height >= 1 && grid.width >= 1 && merge >= 1 && grid.height % merge == 0 &&
      grid.width % merge == 0) {
    return;
  }
  throw Error("[" + std::string(operation) + "] expected sides that are multiples of " + std::to_string(merge) +
              " patches, got " + std::to_string(grid.times) + " x " + std::to_string(grid.height) + " x " +
              std::to_string(grid.width));
}

}  // namespace caprl
