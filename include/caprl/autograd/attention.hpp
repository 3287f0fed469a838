#pragma once

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/tree_attention.hpp"

namespace caprl {

/// Attention over a prefix tree from one fused product: columns of `qkv` [rows, (Hq + 2 Hk) * head_size] hold the
/// query heads, then the key heads, then the value heads. Returns [rows, Hq * head_size].
///
/// With `prefix` [prefix rows, 2 Hk * head_size] (key heads, then value heads), the tree's first rows are a prefix
/// whose keys and values come from elsewhere, and `qkv` holds the rows after it: how an oversized group is split by
/// subtrees.
template <class T, class Device>
Var<T, Device> tree_attention(const Var<T, Device>& qkv, const PrefixTree& tree, const TreeAttentionOptions& options,
                              const Var<T, Device>* prefix = nullptr) {
  const Index query_columns = options.query_heads * options.head_size;
  const Index key_columns = options.key_heads * options.head_size;
  const Index prefix_rows = prefix == nullptr ? 0 : prefix->shape()[0];
  if (qkv.shape().columns() != query_columns + 2 * key_columns || qkv.shape().rows() + prefix_rows != tree.rows()) {
    throw Error("[tree_attention] expected query, key and value columns [" + std::to_string(tree.rows() - prefix_rows) +
                ", " + std::to_string(query_columns + 2 * key_columns) + "], got " + to_string(qkv.shape()));
  }
  // Without a prefix, keys and values are read in place; with one, they are gathered below it.
  Tensor<T, Device> gathered;
  Rows<T> keys_values = qkv.rows().columns_between(query_columns, query_columns + 2 * key_columns);
  if (prefix != nullptr) {
    gathered = Tensor<T, Device>({tree.rows(), 2 * key_columns});
    copy_rows(Device{}, prefix->rows(), gathered.rows().rows_between(0, prefix_rows));
    copy_rows(Device{}, keys_values, gathered.rows().rows_between(prefix_rows, tree.rows()));
    keys_values = gathered.rows();
  }
  const Rows<T> q = qkv.rows().columns_between(0, query_columns);
  const Rows<T> k = keys_values.columns_between(0, key_columns);
  const Rows<T> v = keys_values.columns_between(key_columns, 2 * key_columns);

  Var<T, Device> out(Tensor<T, Device>({q.rows, query_columns}),
                     needs_backward(qkv) || (prefix != nullptr && needs_backward(*prefix)));
  Tensor<T, Device> log_sum_exp({q.rows, options.query_heads});
  tree_attention_forward<T>(Device{}, tree, prefix_rows, options, q, k, v, out.rows(), log_sum_exp.rows());
  if (!out.needs_gradient()) return out;

  Tape::record([=, kept_prefix = prefix == nullptr ? Var<T, Device>() : *prefix, kept = gathered] {
    Tensor<T, Device> d_qkv(qkv.shape());
    const Rows<T> d_q = d_qkv.rows().columns_between(0, query_columns);
    Rows<T> d_keys_values = d_qkv.rows().columns_between(query_columns, query_columns + 2 * key_columns);
    Tensor<T, Device> d_gathered;
    if (prefix_rows > 0) {
      d_gathered = Tensor<T, Device>(kept.shape());
      d_keys_values = d_gathered.rows();
    }
    tree_attention_backward<T>(Device{}, tree, prefix_rows, options, q, k, v, out.rows(), log_sum_exp.rows(),
                               out.gradient().rows(), d_q, d_keys_values.columns_between(0, key_columns),
                               d_keys_values.columns_between(key_columns, 2 * key_columns));
    if (prefix_rows > 0) {
      copy_rows(Device{}, d_gathered.rows().rows_between(prefix_rows, tree.rows()),
                d_qkv.rows().columns_between(query_columns, query_columns + 2 * key_columns));
      if (kept_prefix.needs_gradient()) {
        add_gradient(kept_prefix, d_gathered.slice(0, prefix_rows));
      }
    }
    add_gradient(qkv, d_qkv);
  });
  return out;
}

}  // namespace caprl
