#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/tensor/cpu/tile_product.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/tree_attention_options.hpp"

/// How attention over a prefix tree is cut into tiles of queries by keys. Integers only.
///
/// Because segments lie in depth-first order, the queries that see a key are one range of rows: from the key's own row
/// (or from its segment's first row, if attention within segments goes both ways) to the end of its segment's subtree.
/// A mask is therefore two integers a key, a window one more; no tree is walked while numbers are computed.
namespace caprl::detail {

/// Rows [begin, end) of the tree, at most tile_rows of them.
struct RowTile {
  Index begin;
  Index end;
  Index rows() const { return end - begin; }
};

inline constexpr Index tile_rows = 64;
/// Neighbouring queries of a tile that see the same keys of another are one pair; they are looked at so many at a time.
/// Where segments are short, most of a tile's keys are seen by few of a tile's queries.
inline constexpr Index block_rows = 2 * product_rows;

/// Queries of one tile and the keys [key_begin, key_end) of a tile of keys, counted from the tile's first key, that
/// they see. key_begin is a multiple of a pack's lanes. Unless `masked`, every query sees every one of the keys.
struct TilePair {
  Index query_tile;
  RowTile queries;
  Index key_tile;
  Index key_begin;
  Index key_end;
  bool masked;

  Index scores() const { return queries.rows() * (key_end - key_begin); }
};

/// For each key, which queries see it: tile_rows entries for each key tile, those behind its last row seen by nobody.
/// The integers have the width of the numbers, so that a mask is made of packs.
template <class T>
struct KeyVisibility {
  using Integer = typename MaskElementOf<T>::type;
  std::vector<Integer> query_begin;  ///< queries [query_begin, query_end) see it
  std::vector<Integer> query_end;
  std::vector<Integer> depth_end;  ///< if their depth is below this
};

/// Tiles of rows [begin, tree.rows()). Short segments share a tile; a tile ends with a segment where it is half full,
/// so that a long segment's keys are not read for its neighbour's queries.
inline std::vector<RowTile> row_tiles(const PrefixTree& tree, Index begin) {
  std::vector<RowTile> tiles;
  while (begin < tree.rows()) {
    Index end = std::min(begin + tile_rows, tree.rows());
    const PrefixTree::Segment& last = tree.segment(tree.segment_of(end - 1));
    if (last.row_end > end && last.row_begin - begin >= tile_rows / 2) end = last.row_begin;
    tiles.push_back({begin, end});
    begin = end;
  }
  return tiles;
}

/// The tiles of one call, in the number type T.
template <class T>
struct TreeTiles {
  std::vector<RowTile> query_tiles;  ///< of rows [query_row_begin, rows)
  std::vector<RowTile> key_tiles;    ///< of all rows
  std::vector<TilePair> pairs;       ///< by key tile, then by query tile
  std::vector<Index> first_pair;     ///< of each key tile, and one behind the last
  KeyVisibility<T> keys;

  TreeTiles(const PrefixTree& tree, Index query_row_begin, const TreeAttentionOptions& options)
      : query_tiles(row_tiles(tree, query_row_begin)), key_tiles(row_tiles(tree, 0)) {
    fill_visibility(tree, options);
    Index first_query_tile = 0;
    for (Index key_tile = 0; key_tile < static_cast<Index>(key_tiles.size()); ++key_tile) {
      first_pair.push_back(static_cast<Index>(pairs.size()));
      first_query_tile = add_pairs_of_keys(tree, key_tile, first_query_tile);
    }
    first_pair.push_back(static_cast<Index>(pairs.size()));
  }

  /// The pairs by query tile, then by key tile, and the first of each query tile.
  std::vector<TilePair> pairs_by_query(std::vector<Index>& first_of_query) const {
    first_of_query.assign(query_tiles.size() + 1, 0);
    for (const TilePair& pair : pairs) ++first_of_query[static_cast<std::size_t>(pair.query_tile) + 1];
    for (std::size_t tile = 0; tile < query_tiles.size(); ++tile) first_of_query[tile + 1] += first_of_query[tile];
    std::vector<Index> next = first_of_query;
    std::vector<TilePair> ordered(pairs.size());
    for (const TilePair& pair : pairs) {
      ordered[static_cast<std::size_t>(next[static_cast<std::size_t>(pair.query_tile)]++)] = pair;
    }
    return ordered;
  }

 private:
  using Integer = typename KeyVisibility<T>::Integer;

  void fill_visibility(const PrefixTree& tree, const TreeAttentionOptions& options) {
    const std::size_t entries = key_tiles.size() * tile_rows;
    keys.query_begin.assign(entries, 0);
    keys.query_end.assign(entries, 0);
    keys.depth_end.assign(entries, std::numeric_limits<Integer>::max());
    std::size_t entry = 0;
    for (const RowTile& tile : key_tiles) {
      for (Index row = tile.begin; row < tile.end; ++row) {
        const PrefixTree::Segment& segment = tree.segment(tree.segment_of(row));
        const std::size_t e = entry + static_cast<std::size_t>(row - tile.begin);
        keys.query_begin[e] = static_cast<Integer>(options.causal_within ? row : segment.row_begin);
        keys.query_end[e] = static_cast<Integer>(segment.subtree_row_end);
        if (options.window > 0) keys.depth_end[e] = static_cast<Integer>(tree.depth(row) + options.window);
      }
      entry += tile_rows;
    }
  }

  /// Adds the pairs of a key tile. Returns the first query tile that sees this or a later key tile.
  Index add_pairs_of_keys(const PrefixTree& tree, Index key_tile, Index first_query_tile) {
    const Index entry = key_tile * tile_rows;
    const Index count = key_tiles[static_cast<std::size_t>(key_tile)].rows();
    const Index first = keys.query_begin[static_cast<std::size_t>(entry)];  // they never decrease
    const Index last = *std::max_element(keys.query_end.data() + entry, keys.query_end.data() + entry + count);
    const auto tiles = static_cast<Index>(query_tiles.size());
    while (first_query_tile < tiles && query_tiles[static_cast<std::size_t>(first_query_tile)].end <= first) {
      ++first_query_tile;
    }
    for (Index q = first_query_tile; q < tiles && query_tiles[static_cast<std::size_t>(q)].begin < last; ++q) {
      add_pairs(tree, q, key_tile);
    }
    return first_query_tile;
  }

  void add_pairs(const PrefixTree& tree, Index query_tile, Index key_tile) {
    const RowTile tile = query_tiles[static_cast<std::size_t>(query_tile)];
    const std::size_t first = pairs.size();
    for (Index begin = tile.begin; begin < tile.end; begin += block_rows) {
      const auto pair = pair_of(tree, query_tile, {begin, std::min(begin + block_rows, tile.end)}, key_tile);
      if (!pair) continue;
      if (pairs.size() > first && continues(pairs.back(), *pair)) {
        pairs.back().queries.end = pair->queries.end;
      } else {
        pairs.push_back(*pair);
      }
    }
  }

  /// True if the second pair's queries follow those of the first and see the same keys.
  static bool continues(const TilePair& a, const TilePair& b) {
    return a.queries.end == b.queries.begin && a.key_begin == b.key_begin && a.key_end == b.key_end &&
           a.masked == b.masked;
  }

  /// The keys that some of the queries see, if there are any.
  std::optional<TilePair> pair_of(const PrefixTree& tree, Index query_tile, RowTile queries, Index key_tile) const {
    const Index count = key_tiles[static_cast<std::size_t>(key_tile)].rows();
    const std::span<const Index> depths =
        tree.depths().subspan(static_cast<std::size_t>(queries.begin), static_cast<std::size_t>(queries.rows()));
    const auto [shallowest, deepest] = std::minmax_element(depths.begin(), depths.end());
    Index low = count;
    Index high = 0;
    Index seen_by_all = 0;
    for (Index k = 0; k < count; ++k) {
      const auto e = static_cast<std::size_t>(key_tile * tile_rows + k);
      const bool seen =
          keys.query_begin[e] < queries.end && keys.query_end[e] > queries.begin && *shallowest < keys.depth_end[e];
      if (!seen) continue;
      low = std::min(low, k);
      high = k + 1;
      const bool by_all =
          keys.query_begin[e] <= queries.begin && keys.query_end[e] >= queries.end && *deepest < keys.depth_end[e];
      if (by_all) ++seen_by_all;
    }
    if (high == 0) return std::nullopt;
    low -= low % Pack<T>::lanes;
    return TilePair{query_tile, queries, key_tile, low, high, seen_by_all < padded_columns<T>(high - low)};
  }
};

}  // namespace caprl::detail
