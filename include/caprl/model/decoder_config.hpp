#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "caprl/io/json_fields.hpp"
#include "caprl/model/decoder_settings.hpp"
#include "caprl/model/rotary_config.hpp"

namespace caprl {

namespace detail {

/// Far above any model's sizes, and low enough that products of a few of them do not overflow.
inline constexpr Index largest_model_size = Index{1} << 24;
inline constexpr Index most_model_layers = 4096;

inline void require_size(const JsonFields& fields, const char* name, Index value, Index largest = largest_model_size) {
  if (value < 1 || value > largest) {
    throw fields.error(name, "expected 1 to " + std::to_string(largest) + ", got " + std::to_string(value));
  }
}

inline Index get_size(const JsonFields& fields, const char* name, Index largest = largest_model_size) {
  const auto value = fields.get<Index>(name);
  require_size(fields, name, value, largest);
  return value;
}

/// The number of rows that settings make of sizes which are in bounds by themselves.
inline void require_product(const JsonFields& fields, const char* name, const std::string& product, Index value) {
  if (value <= largest_model_size) return;
  throw fields.error(name, "expected " + product + " of at most " + std::to_string(largest_model_size) + ", got " +
                               std::to_string(value));
}

}  // namespace detail

/// What a config.json that leaves a field out means: the defaults of a family's configuration class in
/// transformers 5.24.
struct DecoderDefaults {
  double rope_theta = 10000;
  double norm_epsilon = 1e-6;
  Index key_value_heads = 0;  ///< 0: as many as attention heads, which null means for every family
  Index head_size = 0;        ///< 0: hidden_size / num_attention_heads
};

/// The sizes of a transformer's blocks from Hugging Face's field names; head_dim, num_key_value_heads and rms_norm_eps
/// may be absent.
inline BlockSettings read_block_settings(const JsonFields& fields, const DecoderDefaults& defaults = {}) {
  BlockSettings block;
  block.hidden_size = detail::get_size(fields, "hidden_size");
  block.intermediate_size = detail::get_size(fields, "intermediate_size");
  block.attention_heads = detail::get_size(fields, "num_attention_heads");
  const bool class_decides = defaults.key_value_heads > 0 && !fields.value().contains("num_key_value_heads");
  block.key_value_heads =
      fields.get_or<Index>("num_key_value_heads", class_decides ? defaults.key_value_heads : block.attention_heads);
  detail::require_size(fields, "num_key_value_heads", block.key_value_heads);
  if (block.attention_heads % block.key_value_heads != 0) {
    throw fields.error("num_key_value_heads", "expected a divisor of num_attention_heads (" +
                                                  std::to_string(block.attention_heads) + "), got " +
                                                  std::to_string(block.key_value_heads));
  }
  const Index shared = block.hidden_size / block.attention_heads;
  block.head_size = fields.get_or<Index>("head_dim", defaults.head_size > 0 ? defaults.head_size : shared);
  detail::require_size(fields, "head_dim", block.head_size);
  if (block.head_size % 2 != 0) {
    throw fields.error("head_dim", "expected an even number, got " + std::to_string(block.head_size));
  }
  detail::require_product(fields, "head_dim", "a product with num_attention_heads", block.query_columns());
  block.norm_epsilon = detail::get_positive_number_or(fields, "rms_norm_eps", defaults.norm_epsilon);
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

/// The families of text models that `Decoder` computes, by Hugging Face's model_type. What a family does not fix, its
/// configuration says.
enum class DecoderFamily { llama, qwen2, qwen3 };

namespace detail {

/// What a family's name in config.json, and that of its class, are, and what that class takes for absent fields.
struct DecoderFamilyEntry {
  DecoderFamily family;
  const char* model_type;
  const char* architecture;
  DecoderDefaults defaults;
};

inline constexpr DecoderFamilyEntry decoder_families[] = {
    {DecoderFamily::llama, "llama", "LlamaForCausalLM", {}},
    {DecoderFamily::qwen2, "qwen2", "Qwen2ForCausalLM", {.key_value_heads = 32}},
    {DecoderFamily::qwen3, "qwen3", "Qwen3ForCausalLM", {.key_value_heads = 32, .head_size = 128}}};

inline const DecoderDefaults& defaults_of(DecoderFamily family) {
  return std::ranges::find(decoder_families, family, &DecoderFamilyEntry::family)->defaults;
}

inline DecoderFamily read_decoder_family(const JsonFields& fields, const char* name = "model_type") {
  const auto type = fields.get<std::string>(name);
  std::string known;
  for (const auto& names : decoder_families) {
    if (type == names.model_type) return names.family;
    known += (known.empty() ? "" : ", ") + std::string(names.model_type);
  }
  throw fields.error(name, "expected one of " + known + "; got \"" + type + "\"");
}

/// The family whose blocks these are.
inline DecoderFamily family_of(const BlockSettings& block) {
  if (block.query_key_norm) return DecoderFamily::qwen3;
  return block.query_key_value_bias && !block.output_bias ? DecoderFamily::qwen2 : DecoderFamily::llama;
}

/// Which products of a block add biases, and whether queries and keys are normalised.
inline void read_block_options(DecoderFamily family, const JsonFields& fields, BlockSettings& block) {
  const bool bias = family != DecoderFamily::qwen2 && fields.get_or<bool>("attention_bias", false);
  block.query_key_value_bias = bias || family == DecoderFamily::qwen2;
  block.output_bias = bias;
  block.mlp_bias = family == DecoderFamily::llama && fields.get_or<bool>("mlp_bias", false);
  block.query_key_norm = family == DecoderFamily::qwen3;
}

/// Throws Error on what the configurations can ask for and `Decoder` does not do.
inline void refuse_other_blocks(const JsonFields& fields) {
  if (const auto act = fields.get_or<std::string>("hidden_act", "silu"); act != "silu") {
    throw fields.error("hidden_act", "expected \"silu\", got \"" + act + "\"");
  }
  if (fields.get_or<bool>("use_sliding_window", false)) {
    throw fields.error("use_sliding_window", "expected false, got true: every token sees all before it");
  }
  if (!fields.has("layer_types")) return;
  for (const auto& type : fields.get<std::vector<std::string>>("layer_types")) {
    if (type != "full_attention") {
      throw fields.error("layer_types", "expected \"full_attention\" alone, got \"" + type + "\"");
    }
  }
}

/// Every pair of a head's features must follow one axis.
inline void require_sections(const JsonFields& fields, const DecoderSettings& settings) {
  const std::vector<Index>& sections = settings.rotary.sections;
  const Index pairs = settings.block.head_size / 2;
  Index left = pairs;
  for (const Index section : sections) left = section < 0 || section > left ? -1 : left - section;
  if (sections.empty() || left == 0) return;
  throw fields.error("mrope_section",
                     "expected sections that make up the " + std::to_string(pairs) + " pairs of a head's features");
}

}  // namespace detail

/// A decoder's configuration of the given family, as in config.json, with `defaults` for what that leaves out. Throws
/// Error on what `Decoder` does not have: sliding windows, another activation than silu, unknown kinds of rotary
/// scaling.
inline DecoderSettings read_decoder_settings(DecoderFamily family, const JsonFields& fields,
                                             const DecoderDefaults& defaults) {
  DecoderSettings settings;
  settings.block = read_block_settings(fields, defaults);
  settings.layers = detail::get_size(fields, "num_hidden_layers", detail::most_model_layers);
  settings.vocabulary_size = detail::get_size(fields, "vocab_size");
  settings.maximum_positions = detail::get_size(fields, "max_position_embeddings");
  settings.rotary = read_rotary_frequencies(fields, settings.maximum_positions, defaults.rope_theta);
  detail::require_sections(fields, settings);
  settings.tied_embeddings = fields.get_or<bool>("tie_word_embeddings", false);
  detail::refuse_other_blocks(fields);
  detail::read_block_options(family, fields, settings.block);
  return settings;
}

/// The same with the family's own defaults.
inline DecoderSettings read_decoder_settings(DecoderFamily family, const JsonFields& fields) {
  return read_decoder_settings(family, fields, detail::defaults_of(family));
}

/// The same, of the family that "model_type" names.
inline DecoderSettings read_decoder_settings(const JsonFields& fields) {
  return read_decoder_settings(detail::read_decoder_family(fields), fields);
}

inline void write_decoder_settings(const DecoderSettings& settings, Json& json) {
  write_block_settings(settings.block, json);
  json["num_hidden_layers"] = settings.layers;
  json["vocab_size"] = settings.vocabulary_size;
  json["max_position_embeddings"] = settings.maximum_positions;
  write_rotary_frequencies(settings.rotary, json);
  json["tie_word_embeddings"] = settings.tied_embeddings;
  json["hidden_act"] = "silu";
  json["attention_bias"] = settings.block.query_key_value_bias;
  json["mlp_bias"] = settings.block.mlp_bias;
}

/// What says in a config.json which class opens the folder.
inline void write_decoder_family(const DecoderSettings& settings, Json& json) {
  for (const auto& names : detail::decoder_families) {
    if (names.family != detail::family_of(settings.block)) continue;
    json["model_type"] = names.model_type;
    json["architectures"] = {names.architecture};
  }
}

}  // namespace caprl
