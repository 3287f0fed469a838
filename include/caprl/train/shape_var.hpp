#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "caprl/core/index.hpp"
#include "caprl/tensor/cpu/tree_tiles.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/storage.hpp"

/// What a `ShapeTape` works with: numbers that are counted, not held. They are float, on the CPU.
namespace caprl {

/// What the allocator takes for so many numbers.
inline Index bytes_of_numbers(Index numbers) {
  return numbers == 0 ? 0 : CpuAllocator::size_class(numbers * static_cast<Index>(sizeof(float)));
}

/// Bytes in use, and the most that were at once.
class MemoryMeter {
 public:
  void take(Index bytes) {
    in_use_ += bytes;
    peak_ = std::max(peak_, in_use_);
  }
  void give(Index bytes) { in_use_ -= bytes; }

  Index in_use() const { return in_use_; }
  Index peak() const { return peak_; }

 private:
  Index in_use_ = 0;
  Index peak_ = 0;
};

/// A tensor's numbers, in use until the last copy of the handle is gone.
class HeldNumbers {
 public:
  HeldNumbers() = default;
  HeldNumbers(MemoryMeter& meter, Index numbers)
      : held_(&meter, [bytes = bytes_of_numbers(numbers)](MemoryMeter* of) { of->give(bytes); }) {
    meter.take(bytes_of_numbers(numbers));
  }
  explicit operator bool() const { return held_ != nullptr; }

 private:
  std::shared_ptr<MemoryMeter> held_;
};

/// The shape of a `Var`.
class ShapeVar {
 public:
  ShapeVar() = default;
  ShapeVar(Index rows, Index columns, HeldNumbers value, bool needs_gradient)
      : state_(std::make_shared<State>(State{rows, columns, std::move(value), {}, needs_gradient})) {}

  bool defined() const { return state_ != nullptr; }
  Index rows() const { return state_->rows; }
  Index columns() const { return state_->columns; }
  Index numbers() const { return rows() * columns(); }
  const HeldNumbers& value() const { return state_->value; }
  HeldNumbers& gradient() const { return state_->gradient; }

  bool needs_gradient() const { return state_ != nullptr && state_->needs_gradient; }
  void require_gradient() const { state_->needs_gradient = true; }

 private:
  struct State {
    Index rows, columns;
    HeldNumbers value, gradient;
    bool needs_gradient;
  };
  std::shared_ptr<State> state_;
};

/// What attention's working memory depends on.
struct AttentionRows {
  Index queries = 0;
  Index key_tiles = 0;
  Index scores = 0;  ///< of queries and keys, about

  AttentionRows& operator+=(const AttentionRows& more) {
    queries += more.queries;
    key_tiles += more.key_tiles;
    scores += more.scores;
    return *this;
  }

  /// The rows of a tree from `first_query` on see those before them.
  static AttentionRows of(const PrefixTree& tree, Index first_query, bool causal) {
    AttentionRows rows{.queries = tree.rows() - first_query,
                       .key_tiles = static_cast<Index>(detail::row_tiles(tree, 0).size())};
    for (const PrefixTree::Segment& segment : tree.segments()) {
      const Index own = std::max<Index>(0, segment.row_end - std::max(segment.row_begin, first_query));
      const Index within = causal ? (segment.rows() + detail::block_rows) / 2 : segment.rows();
      rows.scores += own * (segment.depth + within);
    }
    return rows;
  }
};

}  // namespace caprl
