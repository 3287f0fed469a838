#pragma once

#include "caprl/core/index.hpp"
#include "caprl/nn/rotary_frequencies.hpp"

namespace caprl {

/// The sizes of a transformer block, in the terms of Hugging Face's config.json.
struct BlockSettings {
  Index hidden_size = 0;
  Index intermediate_size = 0;
  Index attention_heads = 0;
  Index key_value_heads = 0;
  Index head_size = 0;
  double norm_epsilon = 1e-6;
  bool query_key_value_bias = false;  ///< q_proj, k_proj and v_proj add a bias
  bool output_bias = false;           ///< o_proj does
  bool mlp_bias = false;              ///< gate_proj, up_proj and down_proj do
  bool query_key_norm = false;        ///< queries and keys are normalised head by head before they are turned

  Index query_columns() const { return attention_heads * head_size; }
  Index key_columns() const { return key_value_heads * head_size; }
};

/// A language model's configuration, in the terms of Hugging Face's config.json.
struct DecoderSettings {
  BlockSettings block;
  Index layers = 0;
  Index vocabulary_size = 0;
  Index maximum_positions = 0;  ///< the longest sequence, in tokens; a longer one is an error
  RotaryFrequencies rotary{};
  bool tied_embeddings = true;  ///< the output head is the embedding table
};

}  // namespace caprl
