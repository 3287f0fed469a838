#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/io/gguf.hpp"
#include "caprl/model/decoder.hpp"
#include "caprl/model/gguf_config.hpp"
#include "caprl/model/model_folder.hpp"
#include "caprl/text/gguf_tokenizer.hpp"

/// Language models from GGUF files. Names of tensors: gguf-py/gguf/tensor_mapping.py of
/// https://github.com/ggml-org/llama.cpp; the order of rows: `permute` in its conversion of Llama models.
namespace caprl {

namespace detail {

/// A part of a block: its name there and here, and its tensors' shape.
struct GgufBlockPart {
  std::string_view name;
  std::string_view our_name;
  Shape weight;
  bool bias;
};

inline std::vector<GgufBlockPart> gguf_block_parts(const BlockSettings& block) {
  const Index width = block.hidden_size, wide = block.intermediate_size;
  const Index queries = block.query_columns(), keys = block.key_columns();
  const bool qkv_bias = block.query_key_value_bias;
  std::vector<GgufBlockPart> parts{{"attn_norm", "input_layernorm", {width}, false},
                                   {"attn_q", "self_attn.q_proj", {queries, width}, qkv_bias},
                                   {"attn_k", "self_attn.k_proj", {keys, width}, qkv_bias},
                                   {"attn_v", "self_attn.v_proj", {keys, width}, qkv_bias},
                                   {"attn_output", "self_attn.o_proj", {width, queries}, block.output_bias},
                                   {"ffn_norm", "post_attention_layernorm", {width}, false},
                                   {"ffn_gate", "mlp.gate_proj", {wide, width}, block.mlp_bias},
                                   {"ffn_up", "mlp.up_proj", {wide, width}, block.mlp_bias},
                                   {"ffn_down", "mlp.down_proj", {width, wide}, block.mlp_bias}};
  if (block.query_key_norm) {
    parts.push_back({"attn_q_norm", "self_attn.q_norm", {block.head_size}, false});
    parts.push_back({"attn_k_norm", "self_attn.k_norm", {block.head_size}, false});
  }
  return parts;
}

/// A tensor of a file: what the decoder calls it, and its shape.
struct GgufPlace {
  std::string our_name;
  Shape shape;
};

/// All tensors that a decoder of these settings has, by their names in files.
inline std::map<std::string, GgufPlace> gguf_places(const DecoderSettings& settings) {
  const Shape table{settings.vocabulary_size, settings.block.hidden_size};
  std::map<std::string, GgufPlace> places{{"token_embd.weight", {"model.embed_tokens.weight", table}},
                                          {"output_norm.weight", {"model.norm.weight", {settings.block.hidden_size}}}};
  if (!settings.tied_embeddings) places["output.weight"] = {"lm_head.weight", table};
  for (Index layer = 0; layer < settings.layers; ++layer) {
    const std::string number = std::to_string(layer) + ".";
    for (const GgufBlockPart& part : gguf_block_parts(settings.block)) {
      const std::string name = "blk." + number + std::string(part.name);
      const std::string our_name = "model.layers." + number + std::string(part.our_name);
      places[name + ".weight"] = {our_name + ".weight", part.weight};
      if (part.bias) places[name + ".bias"] = {our_name + ".bias", {part.weight[0]}};
    }
  }
  return places;
}

/// The first few of a list, for messages.
inline std::string first_few(const std::vector<std::string>& names) {
  std::string text = std::to_string(names.size());
  for (std::size_t i = 0; i < names.size() && i < 5; ++i) text += (i == 0 ? " (" : ", ") + names[i];
  return names.empty() ? text : text + (names.size() > 5 ? ", ...)" : ")");
}

/// Throws Error with the lists unless the file holds exactly these tensors, in these shapes. Comes before memory is
/// taken for the model, so that it is never more than the file has numbers for.
inline void require_gguf_places(const GgufFile& file, const std::map<std::string, GgufPlace>& places) {
  std::vector<std::string> missing, extra, other_shapes;
  for (const auto& [name, place] : places) {
    if (!file.contains(name)) {
      missing.push_back(name + " " + to_string(place.shape));
    } else if (file.info(name).shape != place.shape) {
      other_shapes.push_back(name + ": expected " + to_string(place.shape) + ", found " +
                             to_string(file.info(name).shape));
    }
  }
  for (const auto& [name, tensor] : file.tensors()) {
    if (places.count(name) == 0 && name != "rope_freqs.weight") extra.push_back(name + " " + to_string(tensor.shape));
  }
  if (missing.empty() && extra.empty() && other_shapes.empty()) return;
  throw Error("[gguf] expected the tensors that the metadata speaks of, got a file with missing: " +
                  first_few(missing) + "; extra: " + first_few(extra) + "; of other shapes: " + first_few(other_shapes),
              file.path().string(), "the file is damaged, or a variant of the architecture that is not computed");
}

/// Rows of queries or keys, head by head, from an order in which the two features that turn together are neighbours to
/// ours, in which they are half a head apart.
template <class T>
void part_halves(const Tensor<T>& rows, Index heads) {
  const Index half = rows.shape()[0] / heads / 2;
  const Index columns = rows.elements() / rows.shape()[0];
  std::vector<T> head(static_cast<std::size_t>(2 * half * columns));
  for (Index h = 0; h < heads; ++h) {
    T* const first = rows.data() + h * 2 * half * columns;
    std::copy_n(first, head.size(), head.data());
    for (Index row = 0; row < 2 * half; ++row) {
      std::copy_n(head.data() + row * columns, columns, first + (row % 2 * half + row / 2) * columns);
    }
  }
}

/// The heads of a tensor whose rows a file of the Llama family has in another order; 0 for all others.
inline Index reordered_heads(const DecoderSettings& settings, const std::string& our_name) {
  if (family_of(settings.block) != DecoderFamily::llama) return 0;
  if (our_name.find("self_attn.q_proj") != std::string::npos) return settings.block.attention_heads;
  if (our_name.find("self_attn.k_proj") != std::string::npos) return settings.block.key_value_heads;
  return 0;
}

}  // namespace detail

/// The decoder that a file holds: of the Llama, Qwen2 or Qwen3 architecture. Throws Error naming the file and key, or
/// the tensors, that are not as expected.
template <class T = float>
Decoder<T> load_gguf_decoder(const GgufFile& file) {
  const DecoderSettings settings = read_gguf_settings(file);
  if (settings.layers > static_cast<Index>(file.tensors().size())) {
    throw Error("[gguf] expected tensors of " + std::to_string(settings.layers) + " blocks (block_count), got " +
                    std::to_string(file.tensors().size()) + " tensors",
                file.path().string());
  }
  const auto places = detail::gguf_places(settings);
  detail::require_gguf_places(file, places);
  std::map<std::string, std::string> name_of;
  for (const auto& [name, place] : places) name_of[place.our_name] = name;
  Decoder<T> model(settings);
  for (const auto& block : named_blocks<T>(model)) {
    const Tensor<T> target = block.of(block.parameter.value());
    read_into(file, name_of.at(block.name), target);
    if (const Index heads = detail::reordered_heads(settings, block.name)) detail::part_halves(target, heads);
  }
  return model;
}

/// A text model and its tokenizer from one GGUF file. Throws Error naming the file and the key or tensor that is not as
/// expected. Weights are expanded: memory holds T.
template <class T = float>
ModelFolder<Decoder<T>> load_gguf_language_model(const std::filesystem::path& path) {
  const GgufFile file(path);
  const Tokenizer tokenizer(read_gguf_tokenizer(file.metadata()));
  Decoder<T> model = load_gguf_decoder<T>(file);
  require_embeddings(tokenizer, model.settings.vocabulary_size, path);
  return {std::move(model), tokenizer, path};
}

}  // namespace caprl
