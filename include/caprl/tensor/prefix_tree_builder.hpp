#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/prefix_tree.hpp"

namespace caprl {

/// What a token is compared by. Text tokens have media_hash 0 and compare by id. The tokens that stand for an image or
/// a video carry a hash of its content (pixels, size, times; never 0) and compare by that, not by id.
struct TokenKey {
  Token id = 0;
  std::uint64_t media_hash = 0;

  friend bool operator==(const TokenKey& a, const TokenKey& b) {
    return a.media_hash == b.media_hash && (a.media_hash != 0 || a.id == b.id);
  }
};

/// Complete sequences laid out as a prefix tree: where each token of each sequence lies, and what lies in each row.
struct SharedBatch {
  struct Source {
    Index sequence = 0;
    Index position = 0;
  };

  PrefixTree tree;
  std::vector<Source> sources;            ///< for each row, the first sequence that holds its token, and where [rows]
  std::vector<Index> lengths;             ///< tokens of each sequence [B]
  std::vector<std::vector<Index>> paths;  ///< for each sequence, its segments from the root; it may end inside the last

  /// The row of the token at `position` of `sequence`.
  Index row(Index sequence, Index position) const {
    const std::vector<Index>& path = paths[static_cast<std::size_t>(sequence)];
    std::size_t low = 0;  // the last segment of the path that begins at or before the position
    std::size_t high = path.size();
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      (tree.segment(path[middle]).depth <= position ? low : high) = middle;
    }
    const PrefixTree::Segment& segment = tree.segment(path[low]);
    return segment.row_begin + position - segment.depth;
  }

  /// The rows of a whole sequence, in order. [lengths[sequence]]
  std::vector<Index> rows(Index sequence) const {
    std::vector<Index> rows;
    rows.reserve(static_cast<std::size_t>(lengths[static_cast<std::size_t>(sequence)]));
    for (Index p = 0; p < lengths[static_cast<std::size_t>(sequence)]; ++p) rows.push_back(row(sequence, p));
    return rows;
  }
};

/// Builds a prefix tree from complete sequences by their longest common prefixes: the tree has one row for each
/// distinct prefix. Children come in the order in which their first sequence was added; equal sequences lie in the same
/// rows.
class PrefixTreeBuilder {
 public:
  /// Adds a sequence and returns its number. Throws Error if it is empty.
  Index add(std::span<const TokenKey> tokens) {
    const auto sequence = static_cast<Index>(sequences_.size());
    if (tokens.empty()) {
      throw Error("[PrefixTreeBuilder] expected at least one token in sequence " + std::to_string(sequence) +
                  ", got none");
    }
    sequences_.emplace_back(tokens.begin(), tokens.end());
    insert(sequence);
    return sequence;
  }

  /// The tree of all sequences added.
  SharedBatch build() const {
    SharedBatch batch;
    std::vector<Index> segment_of_node(nodes_.size(), -1);
    batch.tree = lay_out(segment_of_node, batch.sources);
    for (std::size_t s = 0; s < sequences_.size(); ++s) {
      batch.lengths.push_back(static_cast<Index>(sequences_[s].size()));
      std::vector<Index> path;
      for (Index segment = segment_of_node[static_cast<std::size_t>(last_node(static_cast<Index>(s)))]; segment >= 0;
           segment = batch.tree.segment(segment).parent) {
        path.push_back(segment);
      }
      batch.paths.emplace_back(path.rbegin(), path.rend());
    }
    return batch;
  }

 private:
  /// A node's tokens are positions [begin, end) of the sequence that first held them. Node 0 stands above the roots.
  struct Node {
    Index sequence = 0;
    Index begin = 0;
    Index end = 0;
    std::vector<Index> children;
  };
  struct Edge {
    Index node;
    TokenKey key;
    friend bool operator==(const Edge&, const Edge&) = default;
  };
  struct EdgeHash {
    std::size_t operator()(const Edge& edge) const {
      const std::uint64_t value =
          edge.key.media_hash != 0 ? edge.key.media_hash : static_cast<std::uint32_t>(edge.key.id);
      std::uint64_t mixed = (value ^ (static_cast<std::uint64_t>(edge.node) << 32)) * 0x9E3779B97F4A7C15u;
      mixed ^= mixed >> 29;
      return static_cast<std::size_t>(mixed * 0xBF58476D1CE4E5B9u);
    }
  };

  const TokenKey& token(Index sequence, Index position) const {
    return sequences_[static_cast<std::size_t>(sequence)][static_cast<std::size_t>(position)];
  }
  Node& node(Index n) { return nodes_[static_cast<std::size_t>(n)]; }
  const Node& node(Index n) const { return nodes_[static_cast<std::size_t>(n)]; }

  /// The child of `parent` that begins with this token, -1 if there is none.
  Index child(Index parent, const TokenKey& key) const {
    const auto found = edges_.find({parent, key});
    return found == edges_.end() ? -1 : found->second;
  }

  void add_child(Index parent, Index sequence, Index begin) {
    const auto added = static_cast<Index>(nodes_.size());
    nodes_.push_back({sequence, begin, static_cast<Index>(sequences_[static_cast<std::size_t>(sequence)].size()), {}});
    node(parent).children.push_back(added);
    edges_[{parent, token(sequence, begin)}] = added;
  }

  /// Cuts a node before position `at`: it keeps what comes before, and one new child takes the rest.
  void split(Index n, Index at) {
    const auto tail = static_cast<Index>(nodes_.size());
    nodes_.push_back({node(n).sequence, at, node(n).end, std::move(node(n).children)});
    for (const Index below : node(tail).children) {
      const TokenKey first = token(node(below).sequence, node(below).begin);
      edges_.erase({n, first});
      edges_[{tail, first}] = below;
    }
    node(n).end = at;
    node(n).children = {tail};
    edges_[{n, token(node(tail).sequence, at)}] = tail;
  }

  /// How many tokens of `sequence` from `position` on agree with those of node n.
  Index agreement(Index n, Index sequence, Index position) const {
    const Index limit = std::min(node(n).end - node(n).begin,
                                 static_cast<Index>(sequences_[static_cast<std::size_t>(sequence)].size()) - position);
    Index agreed = 0;
    while (agreed < limit && token(node(n).sequence, node(n).begin + agreed) == token(sequence, position + agreed))
      ++agreed;
    return agreed;
  }

  void insert(Index sequence) {
    const auto length = static_cast<Index>(sequences_[static_cast<std::size_t>(sequence)].size());
    Index parent = 0;
    for (Index position = 0; position < length;) {
      const Index next = child(parent, token(sequence, position));
      if (next < 0) return add_child(parent, sequence, position);
      const Index agreed = agreement(next, sequence, position);
      position += agreed;
      if (position < length && node(next).begin + agreed < node(next).end) split(next, node(next).begin + agreed);
      parent = next;
    }
  }

  /// The node that holds the last token of a sequence.
  Index last_node(Index sequence) const {
    const auto length = static_cast<Index>(sequences_[static_cast<std::size_t>(sequence)].size());
    Index n = child(0, token(sequence, 0));
    for (Index p = node(n).end; p < length; p = node(n).end) n = child(n, token(sequence, p));
    return n;
  }

  PrefixTree lay_out(std::vector<Index>& segment_of_node, std::vector<SharedBatch::Source>& sources) const {
    std::vector<Index> parents;
    std::vector<Index> lengths;
    std::vector<std::pair<Index, Index>> waiting;  // (node, parent segment), the next one last
    const auto push_children = [&](Index n, Index segment) {
      const std::vector<Index>& children = node(n).children;
      for (auto c = children.rbegin(); c != children.rend(); ++c) waiting.emplace_back(*c, segment);
    };
    for (push_children(0, -1); !waiting.empty();) {
      const auto [n, parent] = waiting.back();
      waiting.pop_back();
      const auto segment = static_cast<Index>(parents.size());
      segment_of_node[static_cast<std::size_t>(n)] = segment;
      parents.push_back(parent);
      lengths.push_back(node(n).end - node(n).begin);
      for (Index p = node(n).begin; p < node(n).end; ++p) sources.push_back({node(n).sequence, p});
      push_children(n, segment);
    }
    return PrefixTree::from_segments(parents, lengths);
  }

  std::vector<std::vector<TokenKey>> sequences_;
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::unordered_map<Edge, Index, EdgeHash> edges_;
};

}  // namespace caprl
