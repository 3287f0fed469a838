#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caprl/io/gguf.hpp"
#include "caprl/model/decoder_config.hpp"
#include "caprl/nn/rotary_frequencies.hpp"

/// A GGUF file's metadata as the configuration of a decoder. Keys: docs/gguf.md of https://github.com/ggml-org/ggml and
/// gguf-py/gguf/constants.py of https://github.com/ggml-org/llama.cpp.
namespace caprl {

namespace detail {

/// Reads keys below the architecture's name ("llama."), and remembers which, so that none is passed over.
class GgufArchitecture {
 public:
  explicit GgufArchitecture(const GgufMetadata& metadata)
      : metadata_(metadata), prefix_(metadata.get<std::string>("general.architecture") + ".") {}

  bool has(const std::string& name) const { return metadata_.has(prefix_ + name); }

  template <class T>
  T get(const std::string& name) {
    read_.push_back(prefix_ + name);
    return metadata_.get<T>(prefix_ + name);
  }
  template <class T>
  T get_or(const std::string& name, T fallback) {
    return has(name) ? get<T>(name) : std::move(fallback);
  }

  Error error(const std::string& name, const std::string& problem) const {
    return metadata_.error(prefix_ + name, problem);
  }

  /// Throws Error if `name`, where there is one, has another value: what the decoder fixes.
  void require_value(const std::string& name, Index value) {
    if (const Index got = get_or<Index>(name, value); got != value) {
      throw error(name, "expected " + std::to_string(value) + ", got " + std::to_string(got));
    }
  }

  /// Throws Error for a key that nothing has read: what it asks for would be ignored.
  void require_all_read() const {
    for (const auto& [key, value] : metadata_.values()) {
      if (key.starts_with(prefix_) && std::ranges::find(read_, key) == read_.end()) {
        throw metadata_.error(key, "unknown: what it asks for is not computed");
      }
    }
  }

 private:
  const GgufMetadata& metadata_;
  std::string prefix_;
  std::vector<std::string> read_;
};

inline void translate_gguf_sizes(GgufArchitecture& keys, Json& config) {
  config["num_hidden_layers"] = keys.get<Index>("block_count");
  config["max_position_embeddings"] = keys.get<Index>("context_length");
  const auto width = keys.get<Index>("embedding_length");
  config["hidden_size"] = width;
  config["intermediate_size"] = keys.get<Index>("feed_forward_length");
  const auto heads = keys.get<Index>("attention.head_count");
  config["num_attention_heads"] = heads;
  config["head_dim"] = keys.get_or<Index>("attention.key_length", width / std::max<Index>(heads, 1));
  config["num_key_value_heads"] = keys.get_or<Index>("attention.head_count_kv", heads);
  config["rms_norm_eps"] = keys.get<double>("attention.layer_norm_rms_epsilon");
}

/// "rope.scaling.*" as Hugging Face's "rope_scaling".
inline void translate_gguf_rope(GgufArchitecture& keys, Json& config) {
  config["rope_theta"] = keys.get_or<double>("rope.freq_base", 10000);
  const auto type = keys.get_or<std::string>("rope.scaling.type", "none");
  if (type == "none") return;
  if (type != "linear" && type != "yarn") {
    throw keys.error("rope.scaling.type", "expected none, linear or yarn, got \"" + type + "\"");
  }
  Json& scaling = config["rope_scaling"];
  scaling = {{"rope_type", type}, {"factor", keys.get<double>("rope.scaling.factor")}};
  const std::pair<const char*, const char*> numbers[] = {{"rope.scaling.yarn_beta_fast", "beta_fast"},
                                                         {"rope.scaling.yarn_beta_slow", "beta_slow"}};
  for (const auto& [key, field] : numbers) {
    if (keys.has(key)) scaling[field] = keys.get<double>(key);
  }
  if (keys.has("rope.scaling.original_context_length")) {
    scaling["original_max_position_embeddings"] = keys.get<Index>("rope.scaling.original_context_length");
  }
}

/// What the tensors say: the vocabulary, whether the head is a table of its own, which products add biases.
inline void translate_gguf_tensors(const GgufFile& file, DecoderFamily family, Json& config) {
  config["vocab_size"] = file.info("token_embd.weight").shape[0];
  config["tie_word_embeddings"] = !file.contains("output.weight");
  if (family != DecoderFamily::qwen2) config["attention_bias"] = file.contains("blk.0.attn_q.bias");
  if (family == DecoderFamily::llama) config["mlp_bias"] = file.contains("blk.0.ffn_gate.bias");
}

/// The angles of "rope_freqs.weight", by which Llama 3.1 and later are stretched: each pair's frequency is divided by a
/// number, which Llama 3's rule made. Throws Error for numbers that this rule, with the settings of the published
/// models, does not give.
inline Llama3Rope read_gguf_llama3_rope(const GgufFile& file, double theta, Index head_size) {
  const Tensor<float> divisors = file.read<float>("rope_freqs.weight", {head_size / 2});
  Llama3Rope rope;
  rope.factor = std::ranges::max(divisors.span());
  const RotaryFrequencies stretched{.theta = theta, .scaling = rope};
  const auto expected = frequencies_of_pairs(stretched, head_size);
  const auto plain = plain_rotary_frequencies(theta, head_size);
  for (std::size_t pair = 0; pair < plain.size(); ++pair) {
    const double wanted = plain[pair] / expected[pair];
    const double got = divisors.data()[pair];
    if (std::abs(got - wanted) > 1e-4 * wanted) {
      throw Error(
          "[gguf] expected rope_freqs.weight of Llama 3 (low_freq_factor 1, high_freq_factor 4, 8192 first "
          "positions), got " +
              std::to_string(got) + " instead of " + std::to_string(wanted) + " at pair " + std::to_string(pair),
          file.path().string());
    }
  }
  return rope;
}

}  // namespace detail

/// The configuration of a file of the Llama, Qwen2 or Qwen3 architecture in the terms of Hugging Face's config.json.
/// Throws Error that names the key for another architecture, and for a key of the architecture that is not known.
inline Json gguf_config(const GgufFile& file) {
  const GgufMetadata& metadata = file.metadata();
  Json config = {{"general.architecture", metadata.get<std::string>("general.architecture")}};
  const DecoderFamily family =
      detail::read_decoder_family(JsonFields(config, metadata.where()), "general.architecture");
  config = {{"model_type", config.at("general.architecture")}};
  detail::GgufArchitecture keys(metadata);
  detail::translate_gguf_sizes(keys, config);
  detail::translate_gguf_rope(keys, config);
  detail::translate_gguf_tensors(file, family, config);
  const BlockSettings block = read_block_settings(JsonFields(config, metadata.where()));
  keys.require_value("attention.value_length", block.head_size);
  keys.require_value("rope.dimension_count", block.head_size);
  keys.require_value("vocab_size", config.at("vocab_size").get<Index>());
  keys.require_all_read();
  return config;
}

/// The same as settings. Throws Error on what `read_decoder_settings` refuses, in the terms of config.json.
inline DecoderSettings read_gguf_settings(const GgufFile& file) {
  const Json config = gguf_config(file);
  DecoderSettings settings = read_decoder_settings(JsonFields(config, file.path().string()));
  if (file.contains("rope_freqs.weight")) {
    if (!std::holds_alternative<std::monostate>(settings.rotary.scaling)) {
      throw Error("[gguf] expected rope_freqs.weight or rope.scaling.*, got both", file.path().string());
    }
    settings.rotary.scaling = detail::read_gguf_llama3_rope(file, settings.rotary.theta, settings.block.head_size);
  }
  return settings;
}

}  // namespace caprl
