#pragma once

#include <span>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// Where rows stand for rotary position embedding, which is apart from where they lie in a prefix tree: along one axis,
/// such as their depth, or along several, such as time, height and width.
struct RotaryPositions {
  Index axes = 1;
  std::vector<Index> values{};  ///< [axes, rows], axis after axis

  /// The same position along all axes, as text has it. `along` [rows]
  static RotaryPositions on_all_axes(std::span<const Index> along, Index axes) {
    RotaryPositions positions{.axes = axes, .values = {}};
    for (Index axis = 0; axis < axes; ++axis) {
      positions.values.insert(positions.values.end(), along.begin(), along.end());
    }
    return positions;
  }

  Index rows() const { return static_cast<Index>(values.size()) / axes; }
  Index operator()(Index axis, Index row) const { return values[static_cast<std::size_t>(axis * rows() + row)]; }

  /// Those of rows [begin, end).
  RotaryPositions between(Index begin, Index end) const {
    require(begin >= 0 && begin <= end && end <= rows(), "[RotaryPositions] expected rows that have positions");
    RotaryPositions part{.axes = axes, .values = {}};
    for (Index axis = 0; axis < axes; ++axis) {
      const auto first = values.begin() + axis * rows();
      part.values.insert(part.values.end(), first + begin, first + end);
    }
    return part;
  }

  friend bool operator==(const RotaryPositions&, const RotaryPositions&) = default;
};

/// The positions of a sequence's tokens, and that of the token which would follow it, the same on all axes.
struct SequencePositions {
  RotaryPositions tokens;
  Index next = 0;
};

}  // namespace caprl
