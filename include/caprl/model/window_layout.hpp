#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/media/vision_grid.hpp"
#include "caprl/model/whole_tokens.hpp"
#include "caprl/nn/rotary_positions.hpp"
#include "caprl/tensor/prefix_tree.hpp"

namespace caprl {

/// The rows of a tower whose patches see each other in square windows: frame by frame, in each window by window, in
/// each token by token (the merge x merge patches that become one are neighbours). So windows are contiguous, and so
/// are frames. As in `get_vision_window_index` of Hugging Face's vision_utils.py.
struct WindowLayout {
  std::vector<Index> patches;  ///< for each row, its patch's row in the input [rows]
  std::vector<Index> tokens;   ///< for each token in the order of the input, its place among the rows' [tokens]
  RotaryPositions positions;   ///< the rows' height and width in their frame, in patches [2, rows]
  PrefixTree windows;          ///< a segment for each window
  PrefixTree frames;           ///< a segment for each frame
};

namespace detail {

/// Lays out windows one after the other.
class WindowLayoutWriter {
 public:
  WindowLayoutWriter(Index merge, Index window) : merge_(merge), window_(window) {}

  void add(const VisionGrid& grid) {
    require_whole_tokens("window_layout", grid, merge_);
    const Index height = grid.height / merge_, width = grid.width / merge_;
    layout_.tokens.resize(layout_.tokens.size() + static_cast<std::size_t>(grid.tokens(merge_)));
    for (Index time = 0; time < grid.times; ++time) {
      for (Index top = 0; top < height; top += window_) {
        for (Index left = 0; left < width; left += window_) {
          add_window(width, top, std::min(top + window_, height), left, std::min(left + window_, width));
        }
      }
      frames_.push_back(grid.height * grid.width);
      first_token_ += height * width;
    }
  }

  WindowLayout finish() {
    layout_.positions = {.axes = 2, .values = std::move(heights_)};
    layout_.positions.values.insert(layout_.positions.values.end(), widths_.begin(), widths_.end());
    layout_.windows = PrefixTree::from_lengths(windows_);
    layout_.frames = PrefixTree::from_lengths(frames_);
    return std::move(layout_);
  }

 private:
  /// Tokens [top, bottom) x [left, right) of the frame that begins with `first_token_`.
  void add_window(Index width, Index top, Index bottom, Index left, Index right) {
    for (Index y = top; y < bottom; ++y) {
      for (Index x = left; x < right; ++x) add_token(first_token_ + y * width + x, y, x);
    }
    windows_.push_back((bottom - top) * (right - left) * merge_ * merge_);
  }

  void add_token(Index token, Index y, Index x) {
    const Index patches = merge_ * merge_;
    layout_.tokens[static_cast<std::size_t>(token)] = static_cast<Index>(layout_.patches.size()) / patches;
    for (Index i = 0; i < patches; ++i) {
      layout_.patches.push_back(token * patches + i);
      heights_.push_back(y * merge_ + i / merge_);
      widths_.push_back(x * merge_ + i % merge_);
    }
  }

  Index merge_;
  Index window_;
  Index first_token_ = 0;
  WindowLayout layout_;
  std::vector<Index> windows_, frames_;  ///< rows of each
  std::vector<Index> heights_, widths_;
};

}  // namespace detail

/// Pictures, one after the other, in windows of `window` x `window` tokens of `merge` x `merge` patches; those at the
/// right and lower edges are cut off. Throws Error unless the sides are multiples of `merge`.
inline WindowLayout window_layout(std::span<const VisionGrid> grids, Index merge, Index window) {
  require(merge >= 1 && window >= 1, "[window_layout] expected windows of at least one token");
  detail::WindowLayoutWriter writer(merge, window);
  for (const VisionGrid& grid : grids) writer.add(grid);
  return writer.finish();
}

}  // namespace caprl
