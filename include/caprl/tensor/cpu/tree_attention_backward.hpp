#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/core/threads.hpp"
#include "caprl/tensor/cpu/tree_attention_tiles.hpp"
#include "caprl/tensor/cpu/tree_tiles.hpp"
#include "caprl/tensor/device.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/rows.hpp"
#include "caprl/tensor/tensor.hpp"
#include "caprl/tensor/tree_attention_options.hpp"

namespace caprl {

template <class T>
struct TreeAttentionGradients {
  Rows<T> q, k, v;
};

namespace detail {

/// Into how many parts key tiles are cut, for so many scores of queries and keys.
inline Index key_parts(Index scores, Index key_heads) {
  constexpr Index units_wanted = 16;
  constexpr Index scores_worth_a_part = 32 * tile_rows * tile_rows;
  return std::clamp<Index>(units_wanted / key_heads, 1, std::max<Index>(1, scores / scores_worth_a_part));
}

/// With weights P = exp(S - log_sum_exp) of the scaled scores S:
///   dV = P' dO,   dS = P (dO V' - rowsum(dO O)),   dQ = scale dS K,   dK = scale dS' Q
/// (Dao et al., 2022, arXiv 2205.14135, appendix B.4). Keys are the outer loop: each tile of keys gathers from all
/// queries that see it, query heads and descendant rows in order. Key tiles are cut into a few parts, for more threads
/// than key heads; each part has queries' gradients of its own, added up in order at the end. The number of parts
/// depends on the shape alone, so the sums are the same for any number of threads.
template <class T>
struct TreeAttentionBackward {
  const PrefixTree& tree;
  Index query_row_begin;
  TreeAttentionOptions options;
  Rows<const T> q, k, v, out, log_sum_exp, d_out;
  TreeAttentionGradients<T> gradients;

  TreeTiles<T> tiles{tree, query_row_begin, options};
  std::vector<Index> running = running_cost();
  std::vector<Index> part_begin = cut_parts();  ///< key tiles of each part, and one behind the last
  Index parts = static_cast<Index>(part_begin.size()) - 1;
  Index padded = padded_columns<T>(options.head_size);
  Tensor<T> queries{{options.query_heads, q.rows, padded}};  ///< times scale
  Tensor<T> out_gradients{{options.query_heads, q.rows, padded}};
  Tensor<T> means{{options.query_heads, q.rows}};  ///< rowsum(dO O): the mean of dP under P
  Tensor<T> query_gradients{{parts, options.query_heads, q.rows, padded}};

  void run() {
    const auto query_tiles = static_cast<Index>(tiles.query_tiles.size());
    parallel_for(options.query_heads * query_tiles, 4,
                 [&](Index unit) { prepare(unit / query_tiles, unit % query_tiles); });
    std::vector<Index> costs;
    for (Index unit = 0; unit < options.key_heads * parts; ++unit) costs.push_back(cost(unit % parts));
    parallel_by_cost(costs, [&](Index unit) {
      const auto part = static_cast<std::size_t>(unit % parts);
      for (Index tile = part_begin[part]; tile < part_begin[part + 1]; ++tile) gather(unit / parts, unit % parts, tile);
    });
    parallel_for(options.query_heads * query_tiles, 4,
                 [&](Index unit) { add_parts(unit / query_tiles, unit % query_tiles); });
  }

 private:
  struct Scratch {
    T *turned_keys, *turned_values, *keys, *d_keys, *d_values, *weights, *d_scores;
  };

  /// The scores that the first key tiles need, tile by tile.
  std::vector<Index> running_cost() const {
    std::vector<Index> sums(tiles.key_tiles.size() + 1, 0);
    for (const TilePair& pair : tiles.pairs) sums[static_cast<std::size_t>(pair.key_tile) + 1] += pair.scores();
    for (std::size_t tile = 1; tile < sums.size(); ++tile) sums[tile] += sums[tile - 1];
    return sums;
  }

  std::vector<Index> cut_parts() const {
    const Index count = key_parts(running.back(), options.key_heads);
    std::vector<Index> begin;
    for (Index part = 0; part < count; ++part) {
      begin.push_back(std::lower_bound(running.begin(), running.end(), running.back() * part / count) -
                      running.begin());
    }
    begin.push_back(static_cast<Index>(tiles.key_tiles.size()));
    return begin;
  }

  Index cost(Index part) const {
    const auto begin_of = [&](Index p) { return static_cast<std::size_t>(part_begin[static_cast<std::size_t>(p)]); };
    return running[begin_of(part + 1)] - running[begin_of(part)] + 1;
  }

  RowTile local(RowTile tile) const { return {tile.begin - query_row_begin, tile.end - query_row_begin}; }
  RowTile local_tile(Index query_tile) const { return local(tiles.query_tiles[static_cast<std::size_t>(query_tile)]); }
  T* row_of(const Tensor<T>& packed, Index head, Index row) const {
    return packed.data() + (head * q.rows + row) * padded;
  }
  T* query_gradient(Index part, Index head, Index row) const {
    return row_of(query_gradients, part * options.query_heads + head, row);
  }
  template <class U>
  Rows<U> head_of(Rows<U> all, Index head, RowTile rows) const {
    return all.rows_between(rows.begin, rows.end)
        .columns_between(head * options.head_size, (head + 1) * options.head_size);
  }

  void prepare(Index head, Index query_tile) const {
    const RowTile tile = local_tile(query_tile);
    pack_rows(head_of(q, head, tile), static_cast<T>(options.scale), row_of(queries, head, tile.begin), padded);
    pack_rows(head_of(d_out, head, tile), T{1}, row_of(out_gradients, head, tile.begin), padded);
    const Rows<const T> result = head_of(out, head, tile);
    for (Index r = 0; r < tile.rows(); ++r) {
      const T* d_result = row_of(out_gradients, head, tile.begin + r);
      T mean = 0;
      for (Index c = 0; c < options.head_size; ++c) mean += d_result[c] * result(r, c);
      means.data()[head * q.rows + tile.begin + r] = mean;
    }
    for (Index part = 0; part < parts; ++part) {
      std::fill_n(query_gradient(part, head, tile.begin), tile.rows() * padded, T{0});
    }
  }

  /// Everything that one tile of keys receives and gives, for one key head.
  void gather(Index key_head, Index part, Index key_tile) const {
    const RowTile tile = tiles.key_tiles[static_cast<std::size_t>(key_tile)];
    const Index size = tile_rows * padded;
    const auto storage = allocate_storage<T>(Cpu{}, 5 * size + 2 * tile_rows * tile_rows);
    T* next = storage.get();
    const auto take = [&](Index count) { return std::exchange(next, next + count); };
    const Scratch scratch{take(size), take(size), take(size), take(size), take(size), take(tile_rows * tile_rows),
                          next};
    pack_turned(head_of(k, key_head, tile), scratch.turned_keys, padded);
    pack_turned(head_of(v, key_head, tile), scratch.turned_values, padded);
    pack_rows(head_of(k, key_head, tile), static_cast<T>(options.scale), scratch.keys, padded);
    std::fill_n(scratch.d_keys, size, T{0});
    std::fill_n(scratch.d_values, size, T{0});
    const auto t = static_cast<std::size_t>(key_tile);
    for (Index p = tiles.first_pair[t]; p < tiles.first_pair[t + 1]; ++p) {
      for (Index head = key_head * options.group(); head < (key_head + 1) * options.group(); ++head) {
        gather_pair(head, part, tiles.pairs[static_cast<std::size_t>(p)], scratch);
      }
    }
    unpack(scratch.d_keys, head_of(gradients.k, key_head, tile));
    unpack(scratch.d_values, head_of(gradients.v, key_head, tile));
  }

  void unpack(const T* packed, Rows<T> to) const {
    for (Index r = 0; r < to.rows; ++r) std::copy_n(packed + r * padded, to.columns, to.row(r));
  }

  void gather_pair(Index head, Index part, const TilePair& pair, const Scratch& scratch) const {
    const RowTile tile = local(pair.queries);
    const Index keys = pair.key_end - pair.key_begin;
    const Index columns = padded_columns<T>(keys);
    const T* query = row_of(queries, head, tile.begin);
    const T* d_result = row_of(out_gradients, head, tile.begin);
    tile_product<T>(tile.rows(), columns, padded, {query, padded, 1}, scratch.turned_keys + pair.key_begin, tile_rows,
                    scratch.weights, tile_rows, false);
    tile_product<T>(tile.rows(), columns, padded, {d_result, padded, 1}, scratch.turned_values + pair.key_begin,
                    tile_rows, scratch.d_scores, tile_rows, false);
    weigh(head, pair, scratch);
    const Index first = pair.key_begin * padded;
    tile_product<T>(keys, padded, tile.rows(), {scratch.weights, 1, tile_rows}, d_result, padded,
                    scratch.d_values + first, padded, true);
    tile_product<T>(keys, padded, tile.rows(), {scratch.d_scores, 1, tile_rows}, query, padded, scratch.d_keys + first,
                    padded, true);
    tile_product<T>(tile.rows(), padded, keys, {scratch.d_scores, tile_rows, 1}, scratch.keys + first, padded,
                    query_gradient(part, head, tile.begin), padded, true);
  }

  /// Scores to weights, and the weights' gradients to the scores'.
  [[gnu::flatten]] void weigh(Index head, const TilePair& pair, const Scratch& scratch) const {
    constexpr Index lanes = Pack<T>::lanes;
    const RowTile tile = local(pair.queries);
    const Index columns = padded_columns<T>(pair.key_end - pair.key_begin);
    const Index entry = pair.key_tile * tile_rows + pair.key_begin;
    for (Index r = 0; r < tile.rows(); ++r) {
      const Index row = tile.begin + r;
      const Pack<T> normalizer(log_sum_exp(row, head));
      const Pack<T> mean(means.data()[head * q.rows + row]);
      T* weights = scratch.weights + r * tile_rows;
      T* d_scores = scratch.d_scores + r * tile_rows;
      for (Index c = 0; c < columns; c += lanes) {
        Pack<T> weight = exponential(Pack<T>::load(weights + c) - normalizer);
        if (pair.masked) {
          const Index query = query_row_begin + row;
          weight = select(visible(tiles.keys, entry + c, query, tree.depth(query)), weight, Pack<T>(T{0}));
        }
        weight.store(weights + c);
        (weight * (Pack<T>::load(d_scores + c) - mean)).store(d_scores + c);
      }
    }
  }

  void add_parts(Index head, Index query_tile) const {
    const RowTile tile = local_tile(query_tile);
    const Rows<T> to = head_of(gradients.q, head, tile);
    for (Index r = 0; r < to.rows; ++r) {
      std::copy_n(query_gradient(0, head, tile.begin + r), to.columns, to.row(r));
      for (Index part = 1; part < parts; ++part) {
        const T* from = query_gradient(part, head, tile.begin + r);
        for (Index c = 0; c < to.columns; ++c) to(r, c) += from[c];
      }
    }
  }
};

}  // namespace detail

/// The gradients of `tree_attention_forward`. Assigns all three: d_q [Nq, query_heads * head_size] for the queries, d_k
/// and d_v [tree.rows(), key_heads * head_size] for all rows, those before query_row_begin included. `out` and
/// `log_sum_exp` are the forward's results. No gradient may overlap an input. The same bytes for any number of threads.
/// Throws Error if a shape is wrong.
template <class T>
void tree_attention_backward(Cpu, const PrefixTree& tree, Index query_row_begin, const TreeAttentionOptions& options,
                             Rows<const std::type_identity_t<T>> q, Rows<const std::type_identity_t<T>> k,
                             Rows<const std::type_identity_t<T>> v, Rows<const std::type_identity_t<T>> out,
                             Rows<const std::type_identity_t<T>> log_sum_exp, Rows<const std::type_identity_t<T>> d_out,
                             Rows<T> d_q, Rows<T> d_k, Rows<T> d_v) {
  const char* operation = "tree_attention_backward";
  const Index queries = detail::require_attention(operation, tree, query_row_begin, options);
  const Index query_columns = options.query_heads * options.head_size;
  const Index key_columns = options.key_heads * options.head_size;
  for (const auto& [name, matrix] : {std::pair{"q", q}, {"out", out}, {"d_out", d_out}, {"d_q", Rows<const T>(d_q)}}) {
    detail::require_matrix(operation, name, matrix, queries, query_columns);
  }
  for (const auto& [name, matrix] :
       {std::pair{"k", k}, {"v", v}, {"d_k", Rows<const T>(d_k)}, {"d_v", Rows<const T>(d_v)}}) {
    detail::require_matrix(operation, name, matrix, tree.rows(), key_columns);
  }
  detail::require_matrix(operation, "log_sum_exp", log_sum_exp, queries, options.query_heads);
  if (tree.rows() == 0) return;
  detail::TreeAttentionBackward<T>{tree, query_row_begin, options, q, k, v, out, log_sum_exp, d_out, {d_q, d_k, d_v}}
      .run();
}

}  // namespace caprl
