#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "caprl/core/threads.hpp"
#include "caprl/tensor/device.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/rows.hpp"
#include "caprl/tensor/tree_attention_options.hpp"

namespace caprl {

namespace detail {

inline bool attends(const PrefixTree& tree, const TreeAttentionOptions& options, Index query, Index key) {
  const PrefixTree::Segment& segment = tree.segment(tree.segment_of(key));
  const Index begin = options.causal_within ? key : segment.row_begin;
  if (query < begin || query >= segment.subtree_row_end) return false;
  return options.window == 0 || tree.depth(query) - tree.depth(key) < options.window;
}

template <class T>
T dot(const T* a, const T* b, Index size) {
  T sum = 0;
  for (Index i = 0; i < size; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace detail

/// Attention over a prefix tree: each row attends to its ancestors' rows and within its own segment.
///
/// Queries are the tree's rows [query_row_begin, rows), so that the keys and values of a prefix may come from elsewhere
/// (groups split by subtrees, recomputation); Nq of them. q, out [Nq, query_heads * head_size]; k, v
/// [tree.rows(), key_heads * head_size]; log_sum_exp [Nq, query_heads], natural logarithm, for the backward. All may be
/// column blocks of wider matrices. `out` must not overlap the inputs. Throws Error if a shape is wrong.
template <class T>
void tree_attention_forward(Cpu, const PrefixTree& tree, Index query_row_begin, const TreeAttentionOptions& options,
                            Rows<const std::type_identity_t<T>> q, Rows<const std::type_identity_t<T>> k,
                            Rows<const std::type_identity_t<T>> v, Rows<T> out,
                            Rows<std::type_identity_t<T>> log_sum_exp) {
  const Index size = options.head_size;
  parallel_for(out.rows * options.query_heads, 1, [&](Index unit) {
    const Index r = unit / options.query_heads;
    const Index head = unit % options.query_heads;
    const Index key_column = head / options.group() * size;
    std::vector<T> scores(static_cast<std::size_t>(tree.rows()), -std::numeric_limits<T>::infinity());
    T largest = -std::numeric_limits<T>::infinity();
    for (Index j = 0; j < tree.rows(); ++j) {
      if (!detail::attends(tree, options, query_row_begin + r, j)) continue;
      scores[j] = static_cast<T>(options.scale) * detail::dot(q.row(r) + head * size, k.row(j) + key_column, size);
      largest = std::max(largest, scores[j]);
    }
    T sum = 0;
    T* result = out.row(r) + head * size;
    std::fill_n(result, size, T{0});
    for (Index j = 0; j < tree.rows(); ++j) {
      const T weight = std::exp(scores[j] - largest);
      sum += weight;
      for (Index c = 0; c < size; ++c) result[c] += weight * v(j, key_column + c);
    }
    for (Index c = 0; c < size; ++c) result[c] /= sum;
    log_sum_exp(r, head) = largest + std::log(sum);
  });
}

/// The gradients of `tree_attention_forward`. Assigns all three: d_q [Nq, query_heads * head_size] for the queries, d_k
/// and d_v [tree.rows(), key_heads * head_size] for all rows, those before query_row_begin included. `out` and
/// `log_sum_exp` are the forward's results. The same bytes for any number of threads. Throws Error if a shape is wrong.
template <class T>
void tree_attention_backward(Cpu, const PrefixTree& tree, Index query_row_begin, const TreeAttentionOptions& options,
                             Rows<const std::type_identity_t<T>> q, Rows<const std::type_identity_t<T>> k,
                             Rows<const std::type_identity_t<T>> v, Rows<const std::type_identity_t<T>> out,
                             Rows<const std::type_identity_t<T>> log_sum_exp, Rows<const std::type_identity_t<T>> d_out,
                             Rows<T> d_q, Rows<T> d_k, Rows<T> d_v) {
  const Index size = options.head_size;
  const T scale = static_cast<T>(options.scale);
  for (Index r = 0; r < d_q.rows; ++r) std::fill_n(d_q.row(r), d_q.columns, T{0});
  for (Index r = 0; r < d_k.rows; ++r) std::fill_n(d_k.row(r), d_k.columns, T{0});
  for (Index r = 0; r < d_v.rows; ++r) std::fill_n(d_v.row(r), d_v.columns, T{0});
  parallel_for(options.key_heads, 1, [&](Index key_head) {
    const Index key_column = key_head * size;
    for (Index j = 0; j < tree.rows(); ++j) {
      for (Index r = 0; r < q.rows; ++r) {
        if (!detail::attends(tree, options, query_row_begin + r, j)) continue;
        for (Index head = key_head * options.group(); head < (key_head + 1) * options.group(); ++head) {
          const Index column = head * size;
          const T score = scale * detail::dot(q.row(r) + column, k.row(j) + key_column, size);
          const T weight = std::exp(score - log_sum_exp(r, head));
          const T mean = detail::dot(d_out.row(r) + column, out.row(r) + column, size);
          const T d_weight = detail::dot(d_out.row(r) + column, v.row(j) + key_column, size);
          const T d_score = scale * weight * (d_weight - mean);
          for (Index c = 0; c < size; ++c) {
            d_v(j, key_column + c) += weight * d_out(r, column + c);
            d_k(j, key_column + c) += d_score * q(r, column + c);
            d_q(r, column + c) += d_score * k(j, key_column + c);
          }
        }
      }
    }
  });
}

}  // namespace caprl
