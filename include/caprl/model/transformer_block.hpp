#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "caprl/autograd/activation.hpp"
#include "caprl/autograd/attention.hpp"
#include "caprl/autograd/norm.hpp"
#include "caprl/autograd/recompute.hpp"
#include "caprl/autograd/rotary.hpp"
#include "caprl/autograd/take_rows.hpp"
#include "caprl/model/decoder_settings.hpp"
#include "caprl/nn/linear.hpp"
#include "caprl/nn/module.hpp"
#include "caprl/nn/rotary_table.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/tree_attention_options.hpp"

namespace caprl {

/// A pre-norm block of Llama's form: x + o(attend(rotary(qkv(norm(x))))), then x + down(silu(gate) * up) of its norm.
/// Query, key and value are one product, and so are gate and up; weight files see them apart. Where the settings say
/// so, products add biases (Qwen2), and queries and keys are normalised head by head before they are turned (Qwen3).
template <class T, class Device = Cpu>
struct TransformerBlock {
  BlockSettings settings;
  Parameter<T, Device> attention_norm;  ///< [C]
  Linear<T, Device> query_key_value;    ///< [(Hq + 2 Hk) D, C]
  Parameter<T, Device> query_norm;      ///< [D], or undefined
  Parameter<T, Device> key_norm;        ///< [D], or undefined
  Linear<T, Device> output;             ///< [C, Hq D]
  Parameter<T, Device> mlp_norm;        ///< [C]
  Linear<T, Device> gate_up;            ///< [2 I, C]
  Linear<T, Device> down;               ///< [C, I]

  explicit TransformerBlock(const BlockSettings& sizes)
      : settings(sizes),
        attention_norm({sizes.hidden_size}),
        query_key_value(sizes.query_columns() + 2 * sizes.key_columns(), sizes.hidden_size, sizes.query_key_value_bias),
        output(sizes.hidden_size, sizes.query_columns(), sizes.output_bias),
        mlp_norm({sizes.hidden_size}),
        gate_up(2 * sizes.intermediate_size, sizes.hidden_size, sizes.mlp_bias),
        down(sizes.hidden_size, sizes.intermediate_size, sizes.mlp_bias) {
    if (sizes.query_key_norm) {
      query_norm = Parameter<T, Device>({sizes.head_size});
      key_norm = Parameter<T, Device>({sizes.head_size});
    }
  }

  TreeAttentionOptions attention_options() const {
    return {.query_heads = settings.attention_heads,
            .key_heads = settings.key_value_heads,
            .head_size = settings.head_size,
            .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(settings.head_size)))};
  }

  /// x [rows, C] to [rows, C]. `attend(qkv)` turns queries, keys and values [rows, (Hq + 2 Hk) D] into [rows, Hq D]:
  /// over a tree, or against a cache. Without a rotary table (null) the block has no positions of its own. `products`
  /// multiplies with the weights. If `only` names rows, the result has these alone: every row is seen, but what no one
  /// reads is not computed.
  template <class Attend, class Products = TapedProducts>
  Var<T, Device> operator()(const Var<T, Device>& x, const RotaryTable<Device>* angles, const Attend& attend,
                            const Products& products = {}, const std::vector<Index>& only = {}) const {
    const auto kept = [&](const Var<T, Device>& rows) { return only.empty() ? rows : take_rows(rows, only); };
    const auto qkv = products.linear(rms_norm(x, attention_norm, settings.norm_epsilon), query_key_value);
    if (settings.query_key_norm) normalize_heads(qkv);
    if (angles != nullptr) {
      rotary_in_place(qkv, settings.query_columns() + settings.key_columns(), angles->cosine, angles->sine);
    }
    const auto attended = products.linear_residual(kept(attend(qkv)), output, kept(x));
    const auto gates = products.linear(rms_norm(attended, mlp_norm, settings.norm_epsilon), gate_up);
    return products.linear_residual(swiglu(gates), down, attended);
  }

  /// The same over a tree. If `recomputed`, of its numbers only x is kept for the backward pass.
  Var<T, Device> over_tree(const Var<T, Device>& x, const RotaryTable<Device>* angles, const PrefixTree& tree,
                           const TreeAttentionOptions& options, bool recomputed,
                           const std::vector<Index>& only = {}) const {
    const auto table = angles == nullptr ? RotaryTable<Device>{} : *angles;
    const auto compute = [block = *this, table, rotates = angles != nullptr, tree, options,
                          only](const Var<T, Device>& input) {
      return block(
          input, rotates ? &table : nullptr,
          [&](const Var<T, Device>& qkv) { return tree_attention(qkv, tree, options); }, TapedProducts{}, only);
    };
    return recomputed ? recompute(x, compute, any_needs_gradient<T, Device>(*this)) : compute(x);
  }

  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    const Index q = settings.query_columns();
    const Index k = settings.key_columns();
    const Index wide = settings.intermediate_size;
    visit(whole_block(prefix + "input_layernorm.weight", attention_norm));
    visit_rows(visit, prefix + "self_attn.q_proj", query_key_value, 0, q);
    visit_rows(visit, prefix + "self_attn.k_proj", query_key_value, q, q + k);
    visit_rows(visit, prefix + "self_attn.v_proj", query_key_value, q + k, q + 2 * k);
    if (settings.query_key_norm) {
      visit(whole_block(prefix + "self_attn.q_norm.weight", query_norm));
      visit(whole_block(prefix + "self_attn.k_norm.weight", key_norm));
    }
    visit_layer(visit, prefix + "self_attn.o_proj", output);
    visit(whole_block(prefix + "post_attention_layernorm.weight", mlp_norm));
    visit_rows(visit, prefix + "mlp.gate_proj", gate_up, 0, wide);
    visit_rows(visit, prefix + "mlp.up_proj", gate_up, wide, 2 * wide);
    visit_layer(visit, prefix + "mlp.down_proj", down);
  }

 private:
  void normalize_heads(const Var<T, Device>& qkv) const {
    const Index q = settings.query_columns();
    head_norm_in_place(qkv, 0, q, query_norm, settings.norm_epsilon);
    head_norm_in_place(qkv, q, q + settings.key_columns(), key_norm, settings.norm_epsilon);
  }
};

/// True for the tensors of a block that add to the residual stream.
inline bool ends_residual_branch(const std::string& name) {
  return name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
}

}  // namespace caprl
