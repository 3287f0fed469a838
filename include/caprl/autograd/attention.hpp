#pragma once

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/tree_attention.hpp"

namespace caprl {

namespace detail {

/// Query heads, key heads and value heads, side by side as one product makes them.
template <class T>
struct FusedHeads {
  Rows<T> q, k, v, keys_values;

  FusedHeads(Rows<T> qkv, const TreeAttentionOptions& options) {
    const Index queries = options.query_heads * options.head_size;
    const Index keys = options.key_heads * options.head_size;
    q = qkv.columns_between(0, queries);
    k = qkv.columns_between(queries, queries + keys);
    v = qkv.columns_between(queries + keys, queries + 2 * keys);
    keys_values = qkv.columns_between(queries, queries + 2 * keys);
  }
};

inline void require_fused_heads(const Shape& qkv, Index rows, const TreeAttentionOptions& options) {
  const Index columns = (options.query_heads + 2 * options.key_heads) * options.head_size;
  if (qkv.columns() == columns && qkv.rows() == rows) return;
  throw Error("[tree_attention] expected query, key and value columns [" + std::to_string(rows) + ", " +
              std::to_string(columns) + "], got " + to_string(qkv));
}

/// The queries of the tree's rows from `query_row_begin` on attend; `attended` holds what the backward pass needs.
template <class T, class Device>
struct TreeAttended {
  PrefixTree tree;
  Index query_row_begin;
  TreeAttentionOptions options;
  Rows<T> q, k, v;
  Var<T, Device> out;
  Tensor<T, Device> log_sum_exp;

  TreeAttended(const PrefixTree& layout, Index first, const TreeAttentionOptions& how, Rows<T> queries, Rows<T> keys,
               Rows<T> values, bool needs_gradient)
      : tree(layout),
        query_row_begin(first),
        options(how),
        q(queries),
        k(keys),
        v(values),
        out(Tensor<T, Device>({q.rows, q.columns}), needs_gradient),
        log_sum_exp({q.rows, how.query_heads}) {
    tree_attention_forward<T>(Device{}, tree, first, options, q, k, v, out.rows(), log_sum_exp.rows());
  }

  void backward(Rows<T> d_q, Rows<T> d_k, Rows<T> d_v) const {
    tree_attention_backward<T>(Device{}, tree, query_row_begin, options, q, k, v, out.rows(), log_sum_exp.rows(),
                               out.gradient().rows(), d_q, d_k, d_v);
  }
};

}  // namespace detail

/// Attention over a prefix tree from one fused product: columns of `qkv` [rows, (Hq + 2 Hk) * head_size] hold the
/// query heads, then the key heads, then the value heads. Returns [rows, Hq * head_size].
template <class T, class Device>
Var<T, Device> tree_attention(const Var<T, Device>& qkv, const PrefixTree& tree, const TreeAttentionOptions& options) {
  detail::require_fused_heads(qkv.shape(), tree.rows(), options);
  const detail::FusedHeads<T> heads(qkv.rows(), options);
  const detail::TreeAttended<T, Device> attended(tree, 0, options, heads.q, heads.k, heads.v, needs_backward(qkv));
  record_backward(attended.out, [=] {
    Tensor<T, Device> d_qkv(qkv.shape());
    const detail::FusedHeads<T> d(d_qkv.rows(), options);
    attended.backward(d.q, d.k, d.v);
    add_gradient(qkv, d_qkv);
  });
  return attended.out;
}

/// The same where the tree's first rows are a prefix whose keys and values come from elsewhere: `prefix` [prefix rows,
/// 2 Hk * head_size] holds key heads, then value heads, and `qkv` the rows after it. How a tree too large for memory is
/// worked through by subtrees.
template <class T, class Device>
Var<T, Device> tree_attention_below(const Var<T, Device>& prefix, const Var<T, Device>& qkv, const PrefixTree& tree,
                                    const TreeAttentionOptions& options) {
  const Index above = prefix.shape()[0];
  detail::require_fused_heads(qkv.shape(), tree.rows() - above, options);
  const detail::FusedHeads<T> heads(qkv.rows(), options);
  const Index keys = heads.k.columns;
  const Tensor<T, Device> gathered({tree.rows(), 2 * keys});
  copy_rows(Device{}, prefix.rows(), gathered.rows().rows_between(0, above));
  copy_rows(Device{}, heads.keys_values, gathered.rows().rows_between(above, tree.rows()));
  const detail::TreeAttended<T, Device> attended(
      tree, above, options, heads.q, gathered.rows().columns_between(0, keys),
      gathered.rows().columns_between(keys, 2 * keys), needs_backward(qkv, prefix));
  record_backward(attended.out, [=] {
    Tensor<T, Device> d_qkv(qkv.shape());
    const Tensor<T, Device> d_gathered(gathered.shape());
    const detail::FusedHeads<T> d(d_qkv.rows(), options);
    attended.backward(d.q, d_gathered.rows().columns_between(0, keys),
                      d_gathered.rows().columns_between(keys, 2 * keys));
    copy_rows(Device{}, d_gathered.rows().rows_between(above, tree.rows()), d.keys_values);
    add_gradient(prefix, d_gathered.slice(0, above));
    add_gradient(qkv, d_qkv);
  });
  return attended.out;
}

}  // namespace caprl
