#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "caprl/io/json_file.hpp"
#include "caprl/model/decoder_config.hpp"
#include "caprl/model/qwen25_vision_settings.hpp"
#include "caprl/model/qwen_vl_config.hpp"

namespace caprl {

/// The configuration of Qwen2.5-VL.
struct Qwen25VlSettings {
  Qwen25VisionSettings vision;
  DecoderSettings language;
  MediaTokenIds tokens{};
  VisionPreprocessing preprocessing{};  ///< not in config.json: the classes' own values
};

namespace detail {

/// Those of Qwen2_5_VLTextConfig.
inline constexpr DecoderDefaults qwen25_vl_defaults{.rope_theta = 1e6, .norm_epsilon = 1e-5, .key_value_heads = 8};

inline Qwen25VisionSettings read_qwen25_vision_settings(const JsonFields& fields) {
  const BlockSettings block = read_vision_block(fields, "silu");
  Qwen25VisionSettings vision{.block = block,
                              .layers = get_size(fields, "depth", most_model_layers),
                              .patch_size = get_size(fields, "patch_size", largest_patch_pixels),
                              .temporal_patch_size = get_size(fields, "temporal_patch_size", most_frames_per_patch),
                              .spatial_merge_size = get_merge_size(fields, block),
                              .window_size = get_size(fields, "window_size"),
                              .full_attention = fields.get<std::vector<Index>>("fullatt_block_indexes"),
                              .output_size = get_size(fields, "out_hidden_size"),
                              .tokens_per_second = fields.get_or<Index>("tokens_per_second", 4),
                              .rotary_theta = read_vision_theta(fields)};
  require_size(fields, "tokens_per_second", vision.tokens_per_second);
  if (vision.window_tokens() < 1) {
    throw fields.error("window_size", "expected at least the pixels of one token (" +
                                          std::to_string(vision.patch_size * vision.spatial_merge_size) + "), got " +
                                          std::to_string(vision.window_size));
  }
  for (const Index layer : vision.full_attention) {
    if (layer < 0 || layer >= vision.layers) {
      throw fields.error("fullatt_block_indexes", "expected layers of the tower, got " + std::to_string(layer));
    }
  }
  return vision;
}

}  // namespace detail

/// Reads Qwen2.5-VL's config.json: the language model's fields beside the rest, as published, or in "text_config", as
/// newer versions of transformers write them. Throws Error on what the model does not have.
inline Qwen25VlSettings read_qwen25_vl_settings(const std::filesystem::path& config) {
  const Json json = load_json(config);
  const JsonFields fields(json, config.string());
  detail::require_model_type(fields, "qwen2_5_vl");
  const JsonFields text = fields.has("text_config") ? fields.object("text_config") : fields;
  const JsonFields vision = fields.object("vision_config");
  Qwen25VlSettings settings{.vision = detail::read_qwen25_vision_settings(vision),
                            .language = read_decoder_settings(DecoderFamily::qwen2, text, detail::qwen25_vl_defaults)};
  settings.language.tied_embeddings |= fields.get_or<bool>("tie_word_embeddings", false);
  detail::require_fitting_language(text, vision, settings.language, settings.vision.output_size);
  settings.tokens = detail::read_media_tokens(fields, settings.language.vocabulary_size);
  settings.preprocessing = default_preprocessing(settings.vision, VideoProcessor::qwen2_vl);
  return settings;
}

/// Those settings with what the folder's processors say. Throws Error where these do not fit the tower.
inline Qwen25VlSettings read_qwen25_vl_folder(const std::filesystem::path& folder) {
  Qwen25VlSettings settings = read_qwen25_vl_settings(folder / "config.json");
  settings.preprocessing = load_fitting_preprocessing(folder, settings.vision, VideoProcessor::qwen2_vl);
  return settings;
}

/// The config.json of the settings, laid out as published folders are: every version of transformers reads that.
inline Json qwen25_vl_config(const Qwen25VlSettings& settings) {
  Json json = {{"model_type", "qwen2_5_vl"}, {"architectures", {"Qwen2_5_VLForConditionalGeneration"}}};
  write_decoder_settings(settings.language, json);
  detail::write_media_tokens(settings.tokens, json);
  const Qwen25VisionSettings& from = settings.vision;
  json["vision_config"] = {{"model_type", "qwen2_5_vl"},
                           {"hidden_size", from.block.hidden_size},
                           {"intermediate_size", from.block.intermediate_size},
                           {"num_heads", from.block.attention_heads},
                           {"hidden_act", "silu"},
                           {"in_chans", 3},
                           {"depth", from.layers},
                           {"patch_size", from.patch_size},
                           {"temporal_patch_size", from.temporal_patch_size},
                           {"spatial_merge_size", from.spatial_merge_size},
                           {"window_size", from.window_size},
                           {"fullatt_block_indexes", from.full_attention},
                           {"out_hidden_size", from.output_size},
                           {"tokens_per_second", from.tokens_per_second},
                           {"rope_parameters", {{"rope_type", "axial"}, {"rope_theta", from.rotary_theta}}}};
  return json;
}

}  // namespace caprl
