#pragma once

#include <cmath>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/rows.hpp"

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

inline void require_columns(const char* operation, const char* name, Index rows, Index columns, Index expected_rows,
                            Index expected_columns) {
  if (rows != expected_rows || columns != expected_columns) {
    throw Error("[" + std::string(operation) + "] expected " + name + " [" + std::to_string(expected_rows) + ", " +
                std::to_string(expected_columns) + "], got [" + std::to_string(rows) + ", " + std::to_string(columns) +
                "]");
  }
}

inline void require_options(const char* operation, const TreeAttentionOptions& options) {
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
}

}  // namespace detail

}  // namespace caprl
