#pragma once

#include <array>
#include <initializer_list>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// Up to `max_rank` dimensions, row-major; a scalar has none.
class Shape {
 public:
  static constexpr int max_rank = 5;

  Shape() = default;
  Shape(std::initializer_list<Index> dimensions) {
    for (const Index dimension : dimensions) append(dimension);
  }

  int rank() const { return rank_; }
  /// Dimension `axis`; negative axes count from the last.
  Index operator[](int axis) const { return dimensions_[static_cast<std::size_t>(axis < 0 ? axis + rank_ : axis)]; }

  Index elements() const {
    Index count = 1;
    for (int axis = 0; axis < rank_; ++axis) count *= (*this)[axis];
    return count;
  }
  /// All dimensions but the last multiplied: the number of rows of the matrix view. 1 for a scalar.
  Index rows() const { return columns() == 0 ? 0 : elements() / columns(); }
  Index columns() const { return rank_ == 0 ? 1 : (*this)[-1]; }

  void append(Index dimension) {
    if (rank_ == max_rank || dimension < 0) {
      throw Error("[Shape] expected at most " + std::to_string(max_rank) + " dimensions, none negative");
    }
    dimensions_[static_cast<std::size_t>(rank_++)] = dimension;
  }
  /// The same shape with another first dimension.
  Shape with_first(Index dimension) const {
    require(rank_ > 0, "[Shape::with_first] expected at least one dimension, got a scalar");
    Shape changed = *this;
    changed.dimensions_[0] = dimension;
    return changed;
  }

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<Index, max_rank> dimensions_{};
  int rank_ = 0;
};

/// "[3, 4]".
inline std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(shape[axis]);
  }
  return text + "]";
}

}  // namespace caprl
