#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/prefix_tree.hpp"

namespace caprl {

/// One part of a group that is too large for memory: a prefix, and some of the subtrees below it.
///
/// The prefix's keys and values are computed once, before, and given to each part's attention as the first rows of k
/// and v, with query_row_begin = prefix_rows; the parts' gradients of those rows are added up, and the prefix is
/// back-propagated once, last.
struct SubtreePart {
  PrefixTree tree;          ///< the prefix's segments, then the subtrees
  Index prefix_rows = 0;    ///< the prefix is rows [0, prefix_rows) of `tree`
  std::vector<Index> rows;  ///< for each row of `tree`, its row in the whole tree
};

namespace detail {

/// The chain of segments from the root to `segment`, and the segments [begin, end) below it, as a tree of their own.
/// With segment -1 the chain is empty, and what is below it are roots.
inline SubtreePart part_of_tree(const PrefixTree& tree, Index segment, Index begin, Index end) {
  std::vector<Index> kept;
  for (Index s = segment; s >= 0; s = tree.segment(s).parent) kept.push_back(s);
  std::reverse(kept.begin(), kept.end());
  const auto chain = static_cast<Index>(kept.size());
  for (Index s = begin; s < end; ++s) kept.push_back(s);

  SubtreePart part;
  std::vector<Index> parents;
  std::vector<Index> lengths;
  for (Index i = 0; i < static_cast<Index>(kept.size()); ++i) {
    const PrefixTree::Segment& source = tree.segment(kept[static_cast<std::size_t>(i)]);
    const Index below_begin = chain + source.parent - begin;
    parents.push_back(i < chain ? i - 1 : source.parent == segment ? chain - 1 : below_begin);
    lengths.push_back(source.rows());
    for (Index row = source.row_begin; row < source.row_end; ++row) part.rows.push_back(row);
  }
  part.tree = PrefixTree::from_segments(parents, lengths);
  part.prefix_rows = segment < 0 ? 0 : tree.segment(segment).depth + tree.segment(segment).rows();
  return part;
}

}  // namespace detail

/// How a tree too large for memory is worked through, depth first: the part's rows after its prefix are computed, then
/// the plans below, whose prefix is this part's whole tree.
struct SubtreePlan {
  SubtreePart part;
  std::vector<SubtreePlan> below;

  /// The rows of the whole tree that this part computes: they follow each other.
  Index row_begin() const { return own_rows() == 0 ? 0 : part.rows[static_cast<std::size_t>(part.prefix_rows)]; }
  Index row_end() const { return row_begin() + own_rows(); }
  Index own_rows() const { return part.tree.rows() - part.prefix_rows; }
};

namespace detail {

/// Plans what lies below `segment` (-1: the whole tree) in parts of at most `row_budget` rows where that is possible.
inline std::vector<SubtreePlan> plan_below(const PrefixTree& tree, Index segment, Index row_budget) {
  std::vector<SubtreePlan> plans;
  Index begin = segment + 1;  // the part being filled: segments [begin, s), `rows` rows
  Index rows = 0;
  Index s = begin;
  const auto close_part = [&] {
    if (s > begin) plans.push_back({part_of_tree(tree, segment, begin, s), {}});
    begin = s;
    rows = 0;
  };
  while (s < tree.segment_count() && tree.segment(s).parent >= segment) {
    const PrefixTree::Segment& child = tree.segment(s);
    const Index child_rows = child.subtree_row_end - child.row_begin;
    Index after = s + 1;
    while (after < tree.segment_count() && tree.segment(after).parent >= s) ++after;
    if (rows + child_rows > row_budget) close_part();
    if (child_rows > row_budget && after > s + 1) {
      plans.push_back({part_of_tree(tree, segment, s, s + 1), plan_below(tree, s, row_budget)});
      begin = after;
    } else {
      rows += child_rows;
    }
    s = after;
  }
  close_part();
  return plans;
}

}  // namespace detail

/// Parts of a whole forest with at most `row_budget` rows each, prefixes not counted; only a single segment may be
/// larger. Throws Error if the budget is not positive.
inline std::vector<SubtreePlan> plan_by_subtrees(const PrefixTree& tree, Index row_budget) {
  require(row_budget >= 1, "[plan_by_subtrees] expected a budget of at least 1 row");
  return detail::plan_below(tree, -1, row_budget);
}

}  // namespace caprl
