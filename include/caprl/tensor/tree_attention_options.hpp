#pragma once

#include <cmath>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/prefix_tree.hpp"

namespace caprl {

/// What attention over a prefix tree computes: which keys a query sees, and the heads.
///
/// Query head h reads key head h / (query_heads / key_heads).
struct TreeAttentionOptions {
  Index query_heads = 1;
  Index key_heads = 1;
  Index head_size = 1;
  float scale = 1.0f;         ///< of the products of queries and keys, usually head_size^-1/2
  bool causal_within = true;  ///< false: a segment's tokens see all of their segment
  Index window = 0;           ///< 0: none; else a query sees a key only if depth(query) - depth(key) < window

  /// Query heads that read one key head.
  Index group() const { return query_heads / key_heads; }
};

namespace detail {

/// Throws unless the options and the first query's row make sense. Returns the number of queries.
inline Index require_attention(const char* operation, const PrefixTree& tree, Index query_row_begin,
                               const TreeAttentionOptions& options) {
  const bool valid = options.key_heads >= 1 && options.head_size >= 1 && options.query_heads >= options.key_heads &&
                     options.query_heads % options.key_heads == 0 && options.window >= 0 &&
                     std::isfinite(options.scale);
  if (!valid) {
    throw Error("[" + std::string(operation) +
                "] expected query heads a multiple of key heads, all sizes positive, a " +
                "finite scale and no negative window, got " + std::to_string(options.query_heads) + " query heads, " +
                std::to_string(options.key_heads) + " key heads, head size " + std::to_string(options.head_size) +
                ", scale " + std::to_string(options.scale) + ", window " + std::to_string(options.window));
  }
  if (query_row_begin < 0 || query_row_begin > tree.rows()) {
    throw Error("[" + std::string(operation) + "] expected the first query among the tree's " +
                std::to_string(tree.rows()) + " rows, got row " + std::to_string(query_row_begin));
  }
  return tree.rows() - query_row_begin;
}

}  // namespace detail

}  // namespace caprl
