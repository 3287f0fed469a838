#pragma once

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/io/json_file.hpp"
#include "caprl/model/decoder_config.hpp"
#include "caprl/model/qwen3_vision_settings.hpp"
#include "caprl/model/qwen_vl_config.hpp"

namespace caprl {

/// The configuration of Qwen3-VL.
struct Qwen3VlSettings {
  Qwen3VisionSettings vision;
  DecoderSettings language;
  MediaTokenIds tokens{};
  VisionPreprocessing preprocessing{};  ///< not in config.json: the classes' own values
};

namespace detail {

/// Those of Qwen3VLTextConfig.
inline constexpr DecoderDefaults qwen3_vl_defaults{.rope_theta = 500'000, .key_value_heads = 32, .head_size = 128};

inline Index read_table_side(const JsonFields& fields) {
  const Index positions = get_size(fields, "num_position_embeddings");
  const auto side = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(positions))));
  if (side * side == positions) return side;
  throw fields.error("num_position_embeddings", "expected a square number, got " + std::to_string(positions));
}

inline Qwen3VisionSettings read_qwen3_vision_settings(const JsonFields& fields) {
  const BlockSettings block = read_vision_block(fields, "gelu_pytorch_tanh");
  const Qwen3VisionSettings vision{
      .block = block,
      .layers = get_size(fields, "depth", most_model_layers),
      .patch_size = get_size(fields, "patch_size", largest_patch_pixels),
      .temporal_patch_size = get_size(fields, "temporal_patch_size", most_frames_per_patch),
      .spatial_merge_size = get_merge_size(fields, block),
      .table_side = read_table_side(fields),
      .deep_layers = fields.get<std::vector<Index>>("deepstack_visual_indexes"),
      .output_size = get_size(fields, "out_hidden_size"),
      .rotary_theta = read_vision_theta(fields)};
  Index before = -1;
  for (const Index layer : vision.deep_layers) {
    if (layer <= before || layer >= vision.layers) {
      throw fields.error("deepstack_visual_indexes",
                         "expected layers of the tower in ascending order, got " + std::to_string(layer));
    }
    before = layer;
  }
  return vision;
}

}  // namespace detail

/// Reads Qwen3-VL's config.json. Throws Error on what the model does not have.
inline Qwen3VlSettings read_qwen3_vl_settings(const std::filesystem::path& config) {
  const Json json = load_json(config);
  const JsonFields fields(json, config.string());
  detail::require_model_type(fields, "qwen3_vl");
  const JsonFields text = fields.object("text_config"), vision = fields.object("vision_config");
  Qwen3VlSettings settings{.vision = detail::read_qwen3_vision_settings(vision),
                           .language = read_decoder_settings(DecoderFamily::qwen3, text, detail::qwen3_vl_defaults)};
  settings.language.rotary.interleaved = true;  // as the model's own code has it, whether the file says so or not
  settings.language.tied_embeddings |= fields.get_or<bool>("tie_word_embeddings", false);
  detail::require_fitting_language(text, vision, settings.language, settings.vision.output_size);
  if (static_cast<Index>(settings.vision.deep_layers.size()) >= settings.language.layers) {
    throw vision.error("deepstack_visual_indexes", "expected fewer than the language model's " +
                                                       std::to_string(settings.language.layers) + " layers, got " +
                                                       std::to_string(settings.vision.deep_layers.size()));
  }
  settings.tokens = detail::read_media_tokens(fields, settings.language.vocabulary_size);
  settings.preprocessing = default_preprocessing(settings.vision, VideoProcessor::qwen3_vl);
  return settings;
}

/// Those settings with what the folder's processors say. Throws Error where these do not fit the tower.
inline Qwen3VlSettings read_qwen3_vl_folder(const std::filesystem::path& folder) {
  Qwen3VlSettings settings = read_qwen3_vl_settings(folder / "config.json");
  settings.preprocessing = load_fitting_preprocessing(folder, settings.vision, VideoProcessor::qwen3_vl);
  return settings;
}

/// The config.json of the settings, laid out as published folders are.
inline Json qwen3_vl_config(const Qwen3VlSettings& settings) {
  Json json = {{"model_type", "qwen3_vl"}, {"architectures", {"Qwen3VLForConditionalGeneration"}}};
  json["tie_word_embeddings"] = settings.language.tied_embeddings;
  detail::write_media_tokens(settings.tokens, json);
  Json& text = json["text_config"];
  text["model_type"] = "qwen3_vl_text";
  write_decoder_settings(settings.language, text);
  const Qwen3VisionSettings& from = settings.vision;
  json["vision_config"] = {{"model_type", "qwen3_vl"},
                           {"hidden_size", from.block.hidden_size},
                           {"intermediate_size", from.block.intermediate_size},
                           {"num_heads", from.block.attention_heads},
                           {"hidden_act", "gelu_pytorch_tanh"},
                           {"in_channels", 3},
                           {"depth", from.layers},
                           {"patch_size", from.patch_size},
                           {"temporal_patch_size", from.temporal_patch_size},
                           {"spatial_merge_size", from.spatial_merge_size},
                           {"num_position_embeddings", from.table_side * from.table_side},
                           {"deepstack_visual_indexes", from.deep_layers},
                           {"out_hidden_size", from.output_size},
                           {"rope_parameters", {{"rope_type", "axial"}, {"rope_theta", from.rotary_theta}}}};
  return json;
}

}  // namespace caprl
