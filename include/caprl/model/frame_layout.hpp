#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/media/vision_grid.hpp"
#include "caprl/model/whole_tokens.hpp"
#include "caprl/nn/rotary_positions.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/tensor.hpp"

namespace caprl {

/// The rows of a tower whose patches see their whole frame, in the order of the input (`VisionGrid`), and where each
/// lies in a square table of positions that is stretched over the frame, corner on corner, and read between its entries
/// (`get_vision_interpolation_indices_and_weights` of Hugging Face's vision_utils.py).
struct FrameLayout {
  RotaryPositions positions;  ///< height and width in the frame, in patches [2, rows]
  PrefixTree frames;          ///< a segment for each frame
  std::vector<Index> places;  ///< the four entries around each row's place in the table [rows, 4]
  Tensor<float> weights;      ///< and how much of each [rows, 4]
};

namespace detail {

/// Where one of `size` patches along an axis lies among `side` entries.
struct TablePlace {
  Index before, after;
  float weight_after;

  TablePlace(Index patch, Index size, Index side) {
    const float place = static_cast<float>(patch * (side - 1)) / static_cast<float>(std::max<Index>(size - 1, 1));
    before = static_cast<Index>(std::floor(place));
    after = std::min(before + 1, side - 1);
    weight_after = place - static_cast<float>(before);
  }
};

}  // namespace detail

/// Pictures, one after the other, with tokens of `merge` x `merge` patches and a table of `side` x `side` positions.
/// Throws Error unless the sides are multiples of `merge`.
inline FrameLayout frame_layout(std::span<const VisionGrid> grids, Index merge, Index side) {
  FrameLayout layout;
  std::vector<Index> heights, widths, frames;
  std::vector<float> weights;
  const auto add = [&](const VisionGrid& grid, Index y, Index x) {
    heights.push_back(y);
    widths.push_back(x);
    const detail::TablePlace row(y, grid.height, side), column(x, grid.width, side);
    for (const bool below : {false, true}) {
      for (const bool right : {false, true}) {
        layout.places.push_back((below ? row.after : row.before) * side + (right ? column.after : column.before));
        weights.push_back((below ? row.weight_after : 1 - row.weight_after) *
                          (right ? column.weight_after : 1 - column.weight_after));
      }
    }
  };
  for (const VisionGrid& grid : grids) {
    require_whole_tokens("frame_layout", grid, merge);
    for (Index time = 0; time < grid.times; ++time) {
      for (Index token = 0; token < grid.tokens(merge) / grid.times; ++token) {
        const Index top = token / (grid.width / merge) * merge, left = token % (grid.width / merge) * merge;
        for (Index i = 0; i < merge * merge; ++i) add(grid, top + i / merge, left + i % merge);
      }
      frames.push_back(grid.height * grid.width);
    }
  }
  const auto rows = static_cast<Index>(heights.size());
  layout.positions = {.axes = 2, .values = std::move(heights)};
  layout.positions.values.insert(layout.positions.values.end(), widths.begin(), widths.end());
  layout.frames = PrefixTree::from_lengths(frames);
  layout.weights = Tensor<float>::from(weights, {rows, 4});
  return layout;
}

}  // namespace caprl
