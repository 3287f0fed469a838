#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// The layout of a batch whose sequences share prefixes: a forest of token segments, integers only.
///
/// Segments lie in depth-first order and their tokens take consecutive rows, so the descendants of a segment are one
/// contiguous range of rows. A token attends to all its ancestors' tokens and, causally or not, within its segment. A
/// plain packed batch is a forest of single segments. Segments may be empty. The row of a token says where its numbers
/// lie; its depth is its position along the path from its root (causality, windows); rotary positions are kept apart.
///
/// Immutable: a copy is another handle on the same integers, and may be kept by a tape.
class PrefixTree {
 public:
  struct Segment {
    Index parent = -1;    ///< segment, -1 for a root
    Index row_begin = 0;  ///< its tokens are rows [row_begin, row_end)
    Index row_end = 0;
    Index subtree_row_end = 0;  ///< its descendants are rows [row_end, subtree_row_end)
    Index depth = 0;            ///< of its first token: the tokens of all its ancestors

    Index rows() const { return row_end - row_begin; }
    friend bool operator==(const Segment&, const Segment&) = default;
  };

  /// No rows.
  PrefixTree() : data_(empty_data()) {}

  /// Segment s has parent `parents[s]` (-1: a root) and `lengths[s]` >= 0 tokens. Throws Error unless the segments are
  /// in depth-first order: each parent must be the segment before or one of that one's ancestors.
  static PrefixTree from_segments(std::span<const Index> parents, std::span<const Index> lengths) {
    if (parents.size() != lengths.size()) {
      throw Error("[PrefixTree] expected as many parents as lengths, got " + std::to_string(parents.size()) + " and " +
                  std::to_string(lengths.size()));
    }
    auto data = std::make_shared<Data>();
    data->segments.reserve(parents.size());
    for (std::size_t s = 0; s < parents.size(); ++s) append(*data, parents[s], lengths[s]);
    return PrefixTree(std::move(data));
  }

  /// A plain packed batch: each sequence is a root of its own.
  static PrefixTree from_lengths(std::span<const Index> lengths) {
    return from_segments(std::vector<Index>(lengths.size(), -1), lengths);
  }

  Index rows() const { return static_cast<Index>(data_->segment_of.size()); }
  Index segment_count() const { return static_cast<Index>(data_->segments.size()); }
  const Segment& segment(Index s) const { return data_->segments[static_cast<std::size_t>(s)]; }
  std::span<const Segment> segments() const { return data_->segments; }

  /// The segment of a row.
  Index segment_of(Index row) const { return data_->segment_of[static_cast<std::size_t>(row)]; }
  /// The position of a row along its path.
  Index depth(Index row) const { return data_->depths[static_cast<std::size_t>(row)]; }
  /// The depth of each row: the default rotary positions. [rows]
  std::span<const Index> depths() const { return data_->depths; }

  /// The rows of the path from its root to the last token of segment s, in order.
  std::vector<Index> path_rows(Index s) const {
    std::vector<Index> rows(static_cast<std::size_t>(segment(s).depth + segment(s).rows()));
    for (; s >= 0; s = segment(s).parent) {
      const Segment& part = segment(s);
      for (Index i = 0; i < part.rows(); ++i) rows[static_cast<std::size_t>(part.depth + i)] = part.row_begin + i;
    }
    return rows;
  }

  friend bool operator==(const PrefixTree& a, const PrefixTree& b) { return a.data_->segments == b.data_->segments; }

 private:
  struct Data {
    std::vector<Segment> segments;
    std::vector<Index> segment_of;
    std::vector<Index> depths;
  };

  explicit PrefixTree(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

  static const std::shared_ptr<const Data>& empty_data() {
    static const auto data = std::make_shared<const Data>();
    return data;
  }

  static void append(Data& data, Index parent, Index length) {
    const auto s = static_cast<Index>(data.segments.size());
    require_depth_first(data, s, parent);
    if (length < 0) {
      throw Error("[PrefixTree] expected a length of at least 0 for segment " + std::to_string(s) + ", got " +
                  std::to_string(length));
    }
    const auto row = static_cast<Index>(data.segment_of.size());
    Index depth = 0;
    if (parent >= 0) {
      const Segment& above = data.segments[static_cast<std::size_t>(parent)];
      depth = above.depth + above.rows();
    }
    data.segments.push_back({parent, row, row + length, row + length, depth});
    data.segment_of.insert(data.segment_of.end(), static_cast<std::size_t>(length), s);
    for (Index i = 0; i < length; ++i) data.depths.push_back(depth + i);
    for (Index a = parent; a >= 0; a = data.segments[static_cast<std::size_t>(a)].parent) {
      data.segments[static_cast<std::size_t>(a)].subtree_row_end = row + length;
    }
  }

  static void require_depth_first(const Data& data, Index s, Index parent) {
    if (parent == -1) return;
    Index candidate = s - 1;  // climbs from the segment before, as high as the parent
    while (candidate > parent && candidate >= 0) candidate = data.segments[static_cast<std::size_t>(candidate)].parent;
    if (parent < 0 || candidate != parent) {
      throw Error("[PrefixTree] expected segments in depth-first order, got parent " + std::to_string(parent) +
                      " for segment " + std::to_string(s),
                  {}, "list each segment's children, with all that is below them, directly after it");
    }
  }

  std::shared_ptr<const Data> data_;
};

}  // namespace caprl
