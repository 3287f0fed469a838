#pragma once

#include <cmath>
#include <string>

#include "caprl/autograd/activation.hpp"
#include "caprl/autograd/attention.hpp"
#include "caprl/autograd/norm.hpp"
#include "caprl/autograd/recompute.hpp"
#include "caprl/autograd/rotary.hpp"
#include "caprl/model/decoder_settings.hpp"
#include "caprl/nn/linear.hpp"
#include "caprl/nn/module.hpp"
#include "caprl/nn/rotary_table.hpp"
#include "caprl/tensor/prefix_tree.hpp"

namespace caprl {

/// A layer norm's gain and bias.
template <class T, class Device = Cpu>
struct LayerNormParameters {
  Parameter<T, Device> weight;  ///< [C]
  Parameter<T, Device> bias;    ///< [C]

  explicit LayerNormParameters(Index columns) : weight({columns}), bias({columns}) {}

  Var<T, Device> operator()(const Var<T, Device>& x, double epsilon) const {
    return layer_norm(x, weight, bias, epsilon);
  }
  template <class Visit>
  void visit(const std::string& name, const Visit& visit) const {
    visit(whole_block(name + ".weight", weight));
    visit(whole_block(name + ".bias", bias));
  }
};

/// A pre-norm block of a vision transformer (Dosovitskiy et al., 2021, arXiv 2010.11929) in which all of a segment see
/// each other: x + proj(attend(rotary(qkv(norm(x))))), then x + fc2(gelu(fc1(norm(x)))) of it, all with biases.
template <class T, class Device = Cpu>
struct LayerNormBlock {
  BlockSettings settings;
  LayerNormParameters<T, Device> attention_norm;
  Linear<T, Device> query_key_value;  ///< [3 C, C]
  Linear<T, Device> output;           ///< [C, C]
  LayerNormParameters<T, Device> mlp_norm;
  Linear<T, Device> up;    ///< [I, C]
  Linear<T, Device> down;  ///< [C, I]

  explicit LayerNormBlock(const BlockSettings& sizes)
      : settings(sizes),
        attention_norm(sizes.hidden_size),
        query_key_value(3 * sizes.hidden_size, sizes.hidden_size, true),
        output(sizes.hidden_size, sizes.hidden_size, true),
        mlp_norm(sizes.hidden_size),
        up(sizes.intermediate_size, sizes.hidden_size, true),
        down(sizes.hidden_size, sizes.intermediate_size, true) {}

  /// x [rows, C] to [rows, C]. If `recomputed`, of its numbers only x is kept for the backward pass.
  Var<T, Device> operator()(const Var<T, Device>& x, const RotaryTable<Device>& angles, const PrefixTree& tree,
                            bool recomputed) const {
    const auto compute = [block = *this, angles, tree](const Var<T, Device>& input) {
      return block.computed(input, angles, tree);
    };
    return recomputed ? recompute(x, compute, any_needs_gradient<T, Device>(*this)) : compute(x);
  }

  /// Names as Hugging Face has them in Qwen3-VL.
  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    attention_norm.visit(prefix + "norm1", visit);
    visit_layer(visit, prefix + "attn.qkv", query_key_value);
    visit_layer(visit, prefix + "attn.proj", output);
    mlp_norm.visit(prefix + "norm2", visit);
    visit_layer(visit, prefix + "mlp.linear_fc1", up);
    visit_layer(visit, prefix + "mlp.linear_fc2", down);
  }

 private:
  Var<T, Device> computed(const Var<T, Device>& x, const RotaryTable<Device>& angles, const PrefixTree& tree) const {
    const TapedProducts products;
    const TreeAttentionOptions options{
        .query_heads = settings.attention_heads,
        .key_heads = settings.key_value_heads,
        .head_size = settings.head_size,
        .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(settings.head_size))),
        .causal_within = false};
    const auto qkv = products.linear(attention_norm(x, settings.norm_epsilon), query_key_value);
    rotary_in_place(qkv, settings.query_columns() + settings.key_columns(), angles.cosine, angles.sine);
    const auto attended = products.linear_residual(tree_attention(qkv, tree, options), output, x);
    const auto hidden = gelu(products.linear(mlp_norm(attended, settings.norm_epsilon), up), GeluForm::tanh);
    return products.linear_residual(hidden, down, attended);
  }
};

}  // namespace caprl
