#pragma once

#include <string>

#include "caprl/io/json_fields.hpp"
#include "caprl/model/decoder_settings.hpp"

namespace caprl {

namespace detail {

inline void require_positive(const JsonFields& fields, const char* name, Index value) {
  if (value <= 0) throw fields.error(name, "expected a positive number, got " + std::to_string(value));
}

}  // namespace detail

/// The sizes of a transformer's blocks from Hugging Face's field names; head_dim and num_key_value_heads may be absent.
inline BlockSettings read_block_settings(const JsonFields& fields) {
  BlockSettings block;
  block.hidden_size = fields.get<Index>("hidden_size");
  block.intermediate_size = fields.get<Index>("intermediate_size");
  block.attention_heads = fields.get<Index>("num_attention_heads");
  detail::require_positive(fields, "hidden_size", block.hidden_size);
  detail::require_positive(fields, "intermediate_size", block.intermediate_size);
  detail::require_positive(fields, "num_attention_heads", block.attention_heads);
  block.key_value_heads = fields.get_or<Index>("num_key_value_heads", block.attention_heads);
  detail::require_positive(fields, "num_key_value_heads", block.key_value_heads);
  if (block.attention_heads % block.key_value_heads != 0) {
    throw fields.error("num_key_value_heads", "expected a divisor of num_attention_heads (" +
                                                  std::to_string(block.attention_heads) + "), got " +
                                                  std::to_string(block.key_value_heads));
  }
  block.head_size = fields.get_or<Index>("head_dim", block.hidden_size / block.attention_heads);
  if (block.head_size <= 0 || block.head_size % 2 != 0) {
    throw fields.error("head_dim", "expected a positive even number, got " + std::to_string(block.head_size));
  }
  block.norm_epsilon = fields.get_or<double>("rms_norm_eps", 1e-6);
  return block;
}

inline void write_block_settings(const BlockSettings& block, Json& json) {
  json["hidden_size"] = block.hidden_size;
  json["intermediate_size"] = block.intermediate_size;
  json["num_attention_heads"] = block.attention_heads;
  json["num_key_value_heads"] = block.key_value_heads;
  json["head_dim"] = block.head_size;
  json["rms_norm_eps"] = block.norm_epsilon;
}

namespace detail {

/// The base of the rotary angles: "rope_theta", or that within "rope_parameters", where transformers 5 writes it.
/// Throws Error if the angles are scaled.
inline double read_rope_theta(const JsonFields& fields) {
  if (fields.has("rope_scaling")) throw fields.error("rope_scaling", "expected null, got a scaling");
  const double theta = fields.get_or<double>("rope_theta", 10000.0);
  if (!fields.has("rope_parameters")) return theta;
  const JsonFields parameters = fields.object("rope_parameters");
  if (const auto type = parameters.get_or<std::string>("rope_type", "default"); type != "default") {
    throw parameters.error("rope_type", "expected \"default\", got \"" + type + "\"");
  }
  return parameters.get_or<double>("rope_theta", theta);
}

}  // namespace detail

/// A Llama configuration, as in config.json. Throws Error on what `Decoder` does not have: biases, scaled rotary
/// angles, another activation than silu.
inline DecoderSettings read_decoder_settings(const JsonFields& fields) {
  DecoderSettings settings;
  settings.block = read_block_settings(fields);
  settings.layers = fields.get<Index>("num_hidden_layers");
  settings.vocabulary_size = fields.get<Index>("vocab_size");
  settings.maximum_positions = fields.get<Index>("max_position_embeddings");
  settings.rope_theta = detail::read_rope_theta(fields);
  settings.tied_embeddings = fields.get_or<bool>("tie_word_embeddings", false);
  detail::require_positive(fields, "num_hidden_layers", settings.layers);
  detail::require_positive(fields, "vocab_size", settings.vocabulary_size);
  detail::require_positive(fields, "max_position_embeddings", settings.maximum_positions);
  for (const char* name : {"attention_bias", "mlp_bias"}) {
    if (fields.get_or<bool>(name, false)) throw fields.error(name, "expected false, got true");
  }
  if (const auto act = fields.get_or<std::string>("hidden_act", "silu"); act != "silu") {
    throw fields.error("hidden_act", "expected \"silu\", got \"" + act + "\"");
  }
  return settings;
}

inline void write_decoder_settings(const DecoderSettings& settings, Json& json) {
  write_block_settings(settings.block, json);
  json["num_hidden_layers"] = settings.layers;
  json["vocab_size"] = settings.vocabulary_size;
  json["max_position_embeddings"] = settings.maximum_positions;
  json["rope_theta"] = settings.rope_theta;
  json["tie_word_embeddings"] = settings.tied_embeddings;
  json["hidden_act"] = "silu";
  json["attention_bias"] = false;
  json["mlp_bias"] = false;
}

}  // namespace caprl
