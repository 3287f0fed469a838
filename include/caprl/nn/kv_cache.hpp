#pragma once

#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/tensor/cache_layer.hpp"
#include "caprl/tensor/cpu/cached_attention.hpp"
#include "caprl/tensor/page_table.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/rows.hpp"
#include "caprl/tensor/tensor.hpp"
#include "caprl/tensor/tree_attention_options.hpp"

namespace caprl {

/// The keys (after rotary) and values of sequences that grow together and share prefixes, in pages.
///
/// A rollout prefills the prompts' tree, whose rows were computed by `tree_attention_forward`, forks the continuations
/// of each prompt, and then steps: `append` makes room for one token of each live sequence, and each layer stores its
/// new keys and values and attends. Finished sequences are released, and their pages are used again. Sequences that
/// share a prefix should be neighbours in a step: then a shared page is read once for all of them.
template <class T, class Device = Cpu>
class KvCache {
 public:
  static constexpr Index chunk_pages = 32;  ///< pages are made so many at a time

  explicit KvCache(const KvCacheShape& shape) : shape_(shape), pages_(shape.page_tokens) {
    if (shape.layers < 1 || shape.key_heads < 1 || shape.head_size < 1 || shape.page_tokens % 16 != 0) {
      throw Error(
          "[KvCache] expected layers, key heads and a head size of at least 1 and pages of a multiple of 16 tokens, "
          "got " +
          std::to_string(shape.layers) + ", " + std::to_string(shape.key_heads) + ", " +
          std::to_string(shape.head_size) + " and " + std::to_string(shape.page_tokens));
    }
  }
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;

  const KvCacheShape& shape() const { return shape_; }
  /// Which pages the sequences hold.
  const PageTable& pages() const { return pages_; }
  Index length(SequenceId id) const { return pages_.length(id); }

  /// A new sequence without tokens.
  SequenceId create() { return pages_.create(); }

  /// n new sequences with the same tokens. They share all pages; the last, if it is not full, is copied when one of its
  /// holders grows.
  std::vector<SequenceId> fork(SequenceId id, Index n) {
    std::vector<SequenceId> forks;
    for (Index i = 0; i < n; ++i) forks.push_back(pages_.fork(id));
    return forks;
  }

  /// Ends a sequence.
  void release(SequenceId id) { pages_.release(id); }

  /// Makes room for all rows of a tree; `store` then takes each layer's keys and values [tree.rows(), ...] by the
  /// slots.
  CachePrefill prefill(const PrefixTree& tree) {
    CachePrefill prefill = pages_.prefill(tree);
    grow();
    return prefill;
  }

  /// Makes room for counts[i] tokens behind sequence i.
  CacheStep extend(std::span<const SequenceId> sequences, std::span<const Index> counts) {
    CacheStep step = pages_.extend(sequences, counts);
    grow();
    for (Index index = 0; index < shape_.layers; ++index) cache_copy(Device{}, layer(index), step.copies);
    return step;
  }

  /// Makes room for one token behind each sequence.
  CacheStep append(std::span<const SequenceId> sequences) {
    return extend(sequences, std::vector<Index>(sequences.size(), 1));
  }

  /// Writes a layer's new keys and values [rows, key_heads * head_size] to their slots.
  void store(std::span<const CacheSlot> slots, Index layer_index, Rows<const T> k, Rows<const T> v) {
    const Index columns = shape_.key_heads * shape_.head_size;
    detail::require_matrix("KvCache::store", "k", k, v.rows, columns);
    detail::require_matrix("KvCache::store", "v", v, k.rows, columns);
    for (const CacheSlot& slot : slots) {
      require(slot.row < k.rows, "[KvCache::store] expected a row of keys and values for each new token");
    }
    cache_store(Device{}, layer(layer_index), slots, k, v);
  }

  /// Each new row attends to what its sequence holds; see `cached_attention`. Call after `store`.
  void attend(const CacheStep& step, Index layer_index, const TreeAttentionOptions& options, Rows<const T> q,
              Rows<T> out) const {
    cached_attention(Device{}, layer(layer_index), step, options, q, out);
  }

  CacheLayer<T> layer(Index index) const {
    require(index >= 0 && index < shape_.layers, "[KvCache] expected a layer that exists");
    return {addresses_.data(),  index,       shape_.key_heads, shape_.head_size,
            shape_.page_tokens, chunk_pages, cache_block()};
  }

 private:
  Index cache_block() const { return cache_block_elements<T>(Device{}, shape_); }

  void grow() {
    while (static_cast<Index>(chunks_.size()) * chunk_pages < pages_.page_count()) {
      chunks_.emplace_back(Shape{shape_.layers, 2 * shape_.key_heads, chunk_pages, cache_block()});
      addresses_.push_back(chunks_.back().data());
    }
  }

  KvCacheShape shape_;
  PageTable pages_;
  std::vector<Tensor<T, Device>> chunks_;
  std::vector<T*> addresses_;  ///< of the chunks
};

}  // namespace caprl
