#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <type_traits>
#include <vector>

#include "caprl/core/threads.hpp"
#include "caprl/tensor/cpu/tree_attention_tiles.hpp"
#include "caprl/tensor/cpu/tree_tiles.hpp"
#include "caprl/tensor/device.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/rows.hpp"
#include "caprl/tensor/storage.hpp"
#include "caprl/tensor/tensor.hpp"
#include "caprl/tensor/tree_attention_options.hpp"

namespace caprl {

namespace detail {

template <class T>
struct TreeAttentionForward {
  const PrefixTree& tree;
  Index query_row_begin;
  TreeAttentionOptions options;
  Rows<const T> q, k, v;
  Rows<T> out, log_sum_exp;

  TreeTiles<T> tiles{tree, query_row_begin, options};
  std::vector<Index> first_pair{};  ///< of each query tile, in `pairs`
  std::vector<TilePair> pairs = tiles.pairs_by_query(first_pair);
  Index padded = padded_columns<T>(options.head_size);
  Tensor<T> turned_keys{{options.key_heads, static_cast<Index>(tiles.key_tiles.size()), padded, tile_rows}};
  Tensor<T> values{{options.key_heads, static_cast<Index>(tiles.key_tiles.size()), tile_rows, padded}};

  void run() {
    const auto key_tiles = static_cast<Index>(tiles.key_tiles.size());
    parallel_for(options.key_heads * key_tiles, 4, [&](Index unit) { pack(unit / key_tiles, unit % key_tiles); });
    const auto query_tiles = static_cast<Index>(tiles.query_tiles.size());
    std::vector<Index> costs;
    for (Index unit = 0; unit < options.query_heads * query_tiles; ++unit) costs.push_back(cost(unit % query_tiles));
    parallel_chunks_by_cost(costs, [&](Index begin, Index end) {
      const Scratch scratch(padded);
      for (Index unit = begin; unit < end; ++unit) attend(unit / query_tiles, unit % query_tiles, scratch);
    });
  }

 private:
  /// What one tile of queries is computed in.
  struct Scratch {
    explicit Scratch(Index padded)
        : storage(allocate_storage<T>(Cpu{}, tile_rows * (2 * padded + tile_rows))),
          queries(storage.get()),
          sums(queries + tile_rows * padded),
          scores(sums + tile_rows * padded) {}
    std::shared_ptr<T[]> storage;
    T* queries;  ///< [tile_rows, padded], times scale
    T* sums;     ///< likewise
    T* scores;   ///< [tile_rows, tile_rows]
  };

  Index cost(Index query_tile) const {
    const auto tile = static_cast<std::size_t>(query_tile);
    Index scores = 0;
    for (Index pair = first_pair[tile]; pair < first_pair[tile + 1]; ++pair) {
      scores += pairs[static_cast<std::size_t>(pair)].scores();
    }
    return scores;
  }

  T* tile_of(const Tensor<T>& packed, Index key_head, Index key_tile) const {
    return packed.data() + (key_head * packed.dim(1) + key_tile) * padded * tile_rows;
  }

  void pack(Index key_head, Index key_tile) const {
    const RowTile tile = tiles.key_tiles[static_cast<std::size_t>(key_tile)];
    const Index column = key_head * options.head_size;
    const auto head = [&](Rows<const T> all) {
      return all.rows_between(tile.begin, tile.end).columns_between(column, column + options.head_size);
    };
    pack_turned(head(k), tile_of(turned_keys, key_head, key_tile), padded);
    pack_rows(head(v), T{1}, tile_of(values, key_head, key_tile), padded);
  }

  /// All keys of one tile of queries, for one query head.
  void attend(Index head, Index query_tile, const Scratch& scratch) const {
    const RowTile tile = tiles.query_tiles[static_cast<std::size_t>(query_tile)];
    const RowTile local{tile.begin - query_row_begin, tile.end - query_row_begin};
    const Index column = head * options.head_size;
    T* queries = scratch.queries;
    T* sums = scratch.sums;
    std::array<OnlineSoftmax<T>, tile_rows> softmax;
    pack_rows(q.rows_between(local.begin, local.end).columns_between(column, column + options.head_size),
              static_cast<T>(options.scale), queries, padded);
    std::fill_n(sums, tile.rows() * padded, T{0});
    const auto p = static_cast<std::size_t>(query_tile);
    for (Index pair = first_pair[p]; pair < first_pair[p + 1]; ++pair) {
      attend_pair(head / options.group(), pairs[static_cast<std::size_t>(pair)], tile, queries, scratch.scores, softmax, sums);
    }
    for (Index r = 0; r < tile.rows(); ++r) {
      const OnlineSoftmax<T>& row = softmax[static_cast<std::size_t>(r)];
      const T sum = row.sum();
      T* result = out.row(local.begin + r) + column;
      divide_into(sums + r * padded, sum, result, options.head_size);
      log_sum_exp(local.begin + r, head) = row.greatest + logarithm(sum);
    }
  }

  /// `queries`, `softmax` and `sums` are of the whole tile.
  void attend_pair(Index key_head, const TilePair& pair, RowTile tile, const T* queries, T* scores,
                   std::array<OnlineSoftmax<T>, tile_rows>& softmax, T* sums) const {
    constexpr Index lanes = Pack<T>::lanes;
    const Index columns = padded_columns<T>(pair.key_end - pair.key_begin);
    const Index first = pair.queries.begin - tile.begin;
    T* pair_sums = sums + first * padded;
    tile_product<T>(pair.queries.rows(), columns, padded, {queries + first * padded, padded, 1},
                    tile_of(turned_keys, key_head, pair.key_tile) + pair.key_begin, tile_rows, scores, tile_rows,
                    false);
    for (Index r = 0; r < pair.queries.rows(); ++r) {
      OnlineSoftmax<T>& row = softmax[static_cast<std::size_t>(first + r)];
      T* row_scores = scores + r * tile_rows;
      T factor;
      if (pair.masked) {
        const Index query = pair.queries.begin + r;
        const Index entry = pair.key_tile * tile_rows + pair.key_begin;
        factor = row.update(row_scores, columns / lanes,
                            [&](Index p) { return visible(tiles.keys, entry + p * lanes, query, tree.depth(query)); });
      } else {
        factor = row.update(row_scores, columns / lanes, typename OnlineSoftmax<T>::Unmasked{});
      }
      rescale(factor, pair_sums + r * padded, padded);
    }
    tile_product<T>(pair.queries.rows(), padded, pair.key_end - pair.key_begin, {scores, tile_rows, 1},
                    tile_of(values, key_head, pair.key_tile) + pair.key_begin * padded, padded, pair_sums, padded,
                    true);
  }
};

}  // namespace detail

/// Attention over a prefix tree: each row attends to its ancestors' rows and within its own segment.
///
/// Queries are the tree's rows [query_row_begin, rows), so that the keys and values of a prefix may come from elsewhere
/// (groups split by subtrees, recomputation); Nq of them. q, out [Nq, query_heads * head_size]; k, v
/// [tree.rows(), key_heads * head_size]; log_sum_exp [Nq, query_heads], natural logarithm, for the backward. All may be
/// column blocks of wider matrices. `out` must not overlap the inputs. The same bytes for any number of threads. Throws
/// Error if a shape is wrong.
template <class T>
void tree_attention_forward(Cpu, const PrefixTree& tree, Index query_row_begin, const TreeAttentionOptions& options,
                            Rows<const std::type_identity_t<T>> q, Rows<const std::type_identity_t<T>> k,
                            Rows<const std::type_identity_t<T>> v, Rows<T> out,
                            Rows<std::type_identity_t<T>> log_sum_exp) {
  const char* operation = "tree_attention_forward";
  const Index queries = detail::require_attention(operation, tree, query_row_begin, options);
  const Index query_columns = options.query_heads * options.head_size;
  const Index key_columns = options.key_heads * options.head_size;
  detail::require_matrix(operation, "q", q, queries, query_columns);
  detail::require_matrix(operation, "k", k, tree.rows(), key_columns);
  detail::require_matrix(operation, "v", v, tree.rows(), key_columns);
  detail::require_matrix(operation, "out", out, queries, query_columns);
  detail::require_matrix(operation, "log_sum_exp", log_sum_exp, queries, options.query_heads);
  if (queries == 0) return;
  detail::TreeAttentionForward<T>{tree, query_row_begin, options, q, k, v, out, log_sum_exp}.run();
}

}  // namespace caprl
