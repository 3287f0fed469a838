#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/tensor/cache_layer.hpp"
#include "caprl/tensor/cpu/tree_attention_tiles.hpp"
#include "caprl/tensor/device.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/page_table.hpp"
#include "caprl/tensor/rows.hpp"
#include "caprl/tensor/storage.hpp"
#include "caprl/tensor/tree_attention_options.hpp"

/// Attention to a paged KV cache on the CPU. In a block of keys the tokens are neighbours ([padded head, page_tokens]),
/// so that scores come a pack of keys at a time; a block of values is [page_tokens, padded head].
namespace caprl {

/// Elements of a block of keys or values.
template <class T>
Index cache_block_elements(Cpu, const KvCacheShape& shape) {
  return detail::padded_columns<T>(shape.head_size) * shape.page_tokens;
}

/// Writes rows of keys (after rotary) and values [rows, key_heads * head_size] to their slots.
template <class T>
void cache_store(Cpu, const CacheLayer<T>& cache, std::span<const CacheSlot> slots,
                 Rows<const std::type_identity_t<T>> k, Rows<const std::type_identity_t<T>> v) {
  const Index padded = cache.block / cache.page_tokens;
  parallel_for(static_cast<Index>(slots.size()), 32, [&](Index s) {
    const CacheSlot& slot = slots[static_cast<std::size_t>(s)];
    for (Index head = 0; head < cache.key_heads; ++head) {
      T* keys = cache.keys(slot.page, head) + slot.offset;
      T* values = cache.values(slot.page, head) + slot.offset * padded;
      const T* key = k.row(slot.row) + head * cache.head_size;
      const T* value = v.row(slot.row) + head * cache.head_size;
      for (Index c = 0; c < padded; ++c) {
        keys[c * cache.page_tokens] = c < cache.head_size ? key[c] : T{0};
        values[c] = c < cache.head_size ? value[c] : T{0};
      }
    }
  });
}

/// Copies the first tokens of pages to others.
template <class T>
void cache_copy(Cpu, const CacheLayer<T>& cache, std::span<const PageCopy> copies) {
  const Index padded = cache.block / cache.page_tokens;
  parallel_for(static_cast<Index>(copies.size()), 4, [&](Index i) {
    const PageCopy& copy = copies[static_cast<std::size_t>(i)];
    for (Index head = 0; head < cache.key_heads; ++head) {
      for (Index c = 0; c < padded; ++c) {
        std::copy_n(cache.keys(copy.from, head) + c * cache.page_tokens, copy.tokens,
                    cache.keys(copy.to, head) + c * cache.page_tokens);
      }
      std::copy_n(cache.values(copy.from, head), copy.tokens * padded, cache.values(copy.to, head));
    }
  });
}

namespace detail {

/// The new rows of one cluster and all query heads of one key head, stacked: row r, head h of the group is at
/// r * group + h. Each page that several rows attend to is read once for all of them.
template <class T>
struct CachedAttention {
  const CacheLayer<T>& cache;
  const CacheStep& step;
  TreeAttentionOptions options;
  Rows<const T> q;
  Rows<T> out;

  Index padded = padded_columns<T>(options.head_size);
  Index columns = PageTable::span_pages * cache.page_tokens;

  void run() const {
    std::vector<Index> costs;
    for (const CacheStep::Cluster& cluster : step.clusters) {
      Index cost = 1;
      for (Index s = cluster.span_begin; s < cluster.span_end; ++s) {
        const CacheStep::Span& span = step.spans[static_cast<std::size_t>(s)];
        cost += (span.row_end - span.row_begin) * (span.page_end - span.page_begin);
      }
      costs.insert(costs.end(), static_cast<std::size_t>(options.key_heads), cost);
    }
    parallel_chunks_by_cost(costs, [&](Index begin, Index end) {
      Stack stack = make_stack(begin / options.key_heads, (end - 1) / options.key_heads);
      for (Index unit = begin; unit < end; ++unit) {
        attend(step.clusters[static_cast<std::size_t>(unit / options.key_heads)], unit % options.key_heads, stack);
      }
    });
  }

 private:
  struct Stack {
    std::shared_ptr<T[]> storage;
    T* queries;  ///< [rows * group, padded], times scale
    T* sums;     ///< likewise
    T* scores;   ///< [tile_rows, columns]
    std::vector<OnlineSoftmax<T>> softmax;
    Index row_begin = 0;  ///< of the cluster
  };

  /// Room for the largest of clusters [first, last].
  Stack make_stack(Index first, Index last) const {
    Index rows = 0;
    for (Index c = first; c <= last; ++c) {
      const CacheStep::Cluster& cluster = step.clusters[static_cast<std::size_t>(c)];
      rows = std::max(rows, (cluster.row_end - cluster.row_begin) * options.group());
    }
    const auto storage = allocate_storage<T>(Cpu{}, 2 * rows * padded + tile_rows * columns);
    return {storage, storage.get(), storage.get() + rows * padded, storage.get() + 2 * rows * padded, {}};
  }

  void attend(const CacheStep::Cluster& cluster, Index key_head, Stack& stack) const {
    const Index rows = cluster.row_end - cluster.row_begin;
    const Index group = options.group();
    stack.row_begin = cluster.row_begin;
    stack.softmax.assign(static_cast<std::size_t>(rows * group), {});
    for (Index head = 0; head < group; ++head) {
      const Index column = (key_head * group + head) * options.head_size;
      for (Index r = 0; r < rows; ++r) {
        pack_rows(q.rows_between(cluster.row_begin + r, cluster.row_begin + r + 1)
                      .columns_between(column, column + options.head_size),
                  static_cast<T>(options.scale), stack.queries + (r * group + head) * padded, padded);
      }
    }
    std::fill_n(stack.sums, rows * group * padded, T{0});
    for (Index s = cluster.span_begin; s < cluster.span_end; ++s) {
      attend_span(key_head, step.spans[static_cast<std::size_t>(s)], stack);
    }
    for (Index stacked = 0; stacked < rows * group; ++stacked) {
      const T sum = stack.softmax[static_cast<std::size_t>(stacked)].sum();
      const T* sums = stack.sums + stacked * padded;
      T* result =
          out.row(cluster.row_begin + stacked / group) + (key_head * group + stacked % group) * options.head_size;
      divide_into(sums, sum, result, options.head_size);
    }
  }

  void attend_span(Index key_head, const CacheStep::Span& span, Stack& stack) const {
    const auto [first, last] =
        std::minmax_element(step.positions.begin() + span.row_begin, step.positions.begin() + span.row_end);
    const Index end = span.position + (span.page_end - span.page_begin) * cache.page_tokens;
    if (options.window > 0 && *first - (end - 1) >= options.window) return;
    const bool masked = end - 1 > *first || (options.window > 0 && *last - span.position >= options.window);
    const Index group = options.group();
    const Index stacked_end = (span.row_end - stack.row_begin) * group;
    for (Index stacked = (span.row_begin - stack.row_begin) * group; stacked < stacked_end; stacked += tile_rows) {
      attend_tile(key_head, span, masked, stacked, std::min(tile_rows, stacked_end - stacked), stack);
    }
  }

  void attend_tile(Index key_head, const CacheStep::Span& span, bool masked, Index stacked, Index rows,
                   Stack& stack) const {
    constexpr Index lanes = Pack<T>::lanes;
    const T* queries = stack.queries + stacked * padded;
    T* sums = stack.sums + stacked * padded;
    const Index pages = span.page_end - span.page_begin;
    const auto page = [&](Index p) { return step.pages[static_cast<std::size_t>(span.page_begin + p)]; };
    const Index packs_of_page = cache.page_tokens / lanes;
    const Index packs = pages * packs_of_page;
    const auto pack_of_keys = [&](Index p) {
      return cache.keys(page(p / packs_of_page), key_head) + p % packs_of_page * lanes;
    };
    tile_product_of_packs<T>(rows, packs, padded, {queries, padded, 1}, pack_of_keys, cache.page_tokens, stack.scores,
                             columns, false);
    for (Index r = 0; r < rows; ++r) {
      OnlineSoftmax<T>& softmax = stack.softmax[static_cast<std::size_t>(stacked + r)];
      T* scores = stack.scores + r * columns;
      const Index position =
          step.positions[static_cast<std::size_t>(stack.row_begin + (stacked + r) / options.group())];
      const T factor =
          masked ? softmax.update(scores, packs, [&](Index p) { return seen(position, span.position + p * lanes); })
                 : softmax.update(scores, packs, typename OnlineSoftmax<T>::Unmasked{});
      rescale(factor, sums + r * padded, padded);
    }
    for (Index p = 0; p < pages; ++p) {  // what lies behind the last token was never written
      const Index tokens = std::min(cache.page_tokens, span.tokens - p * cache.page_tokens);
      tile_product<T>(rows, padded, tokens, {stack.scores + p * cache.page_tokens, columns, 1},
                      cache.values(page(p), key_head), padded, sums, padded, true);
    }
  }

  /// Which of a pack's keys, the first at position `key`, a query at `position` sees.
  typename Pack<T>::Mask seen(Index position, Index key) const {
    using Integer = typename MaskElementOf<T>::type;
    using Integers = Pack<Integer>;
    const auto low = static_cast<Integer>(options.window > 0 ? position - options.window - key : -1);
    const auto high = static_cast<Integer>(position - key);
    return Integers::each([&](int p) {
      typename Integers::Register lane;
      for (int i = 0; i < Integers::part_lanes; ++i) lane[i] = static_cast<Integer>(p * Integers::part_lanes + i);
      return (lane > low) & (lane <= high);
    });
  }
};

}  // namespace detail

/// Each new row of a step attends to what its sequence holds up to and including itself. q, out
/// [step.rows(), query_heads * head_size]; the step's keys and values have been stored before. Agrees with
/// `tree_attention_forward` over the same paths up to rounding; the same bytes for any number of threads. Throws Error
/// if a shape is wrong.
template <class T>
void cached_attention(Cpu, const CacheLayer<T>& cache, const CacheStep& step, const TreeAttentionOptions& options,
                      Rows<const std::type_identity_t<T>> q, Rows<std::type_identity_t<T>> out) {
  const char* operation = "cached_attention";
  detail::require_attention(operation, PrefixTree(), 0, options);
  if (options.key_heads != cache.key_heads || options.head_size != cache.head_size || !options.causal_within) {
    throw Error("[cached_attention] expected causal attention with the cache's " + std::to_string(cache.key_heads) +
                " key heads of size " + std::to_string(cache.head_size) + ", got " + std::to_string(options.key_heads) +
                " of size " + std::to_string(options.head_size));
  }
  detail::require_matrix(operation, "q", q, step.rows(), options.query_heads * options.head_size);
  detail::require_matrix(operation, "out", out, step.rows(), options.query_heads * options.head_size);
  detail::CachedAttention<T>{cache, step, options, q, out}.run();
}

}  // namespace caprl
