#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/io/json_file.hpp"
#include "caprl/media/load_vision_preprocessing.hpp"
#include "caprl/model/decoder_config.hpp"
#include "caprl/model/qwen25_vision_settings.hpp"

namespace caprl {

/// The configuration of Qwen2.5-VL.
struct Qwen25VlSettings {
  Qwen25VisionSettings vision;
  DecoderSettings language;
  Token image_token = 0;  ///< stands for each token of an image
  Token video_token = 0;  ///< of a video
  Token vision_start_token = 0;
  Token vision_end_token = 0;
  ImagePreprocessing images{};  ///< how pictures become patches; not in config.json
  VideoPreprocessing videos{};
};

namespace detail {

inline BlockSettings read_qwen25_vision_block(const JsonFields& fields) {
  BlockSettings block;
  block.hidden_size = get_size(fields, "hidden_size");
  block.intermediate_size = get_size(fields, "intermediate_size");
  block.attention_heads = get_size(fields, "num_heads");
  block.key_value_heads = block.attention_heads;
  if (block.hidden_size % (4 * block.attention_heads) != 0) {
    throw fields.error("num_heads", "expected heads of a multiple of 4 features, got " +
                                        std::to_string(block.attention_heads) + " of " +
                                        std::to_string(block.hidden_size));
  }
  block.head_size = block.hidden_size / block.attention_heads;
  block.query_key_value_bias = block.output_bias = block.mlp_bias = true;
  if (const auto act = fields.get_or<std::string>("hidden_act", "silu"); act != "silu") {
    throw fields.error("hidden_act", "expected \"silu\", got \"" + act + "\"");
  }
  return block;
}

/// Published folders say "in_chans", newer ones "in_channels", or nothing.
inline void require_three_channels(const JsonFields& fields) {
  for (const char* name : {"in_chans", "in_channels"}) {
    if (const auto channels = fields.get_or<Index>(name, 3); channels != 3) {
      throw fields.error(name, "expected 3, got " + std::to_string(channels));
    }
  }
}

inline double read_vision_theta(const JsonFields& fields) {
  if (!fields.has("rope_parameters")) return 10000;
  const JsonFields rope = fields.object("rope_parameters");
  if (const auto type = rope.get_or<std::string>("rope_type", "axial"); type != "axial") {
    throw rope.error("rope_type", "expected \"axial\", got \"" + type + "\"");
  }
  return get_positive_number_or(rope, "rope_theta", 10000);
}

inline Qwen25VisionSettings read_qwen25_vision_settings(const JsonFields& fields) {
  require_three_channels(fields);
  Qwen25VisionSettings vision{.block = read_qwen25_vision_block(fields),
                              .layers = get_size(fields, "depth"),
                              .patch_size = get_size(fields, "patch_size"),
                              .temporal_patch_size = get_size(fields, "temporal_patch_size"),
                              .spatial_merge_size = get_size(fields, "spatial_merge_size"),
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

inline Token read_media_token(const JsonFields& fields, const char* name, Index vocabulary) {
  const auto token = fields.get<Token>(name);
  if (token < 0 || token >= vocabulary) {
    throw fields.error(
        name, "expected a token of the vocabulary of " + std::to_string(vocabulary) + ", got " + std::to_string(token));
  }
  return token;
}

}  // namespace detail

/// Reads Qwen2.5-VL's config.json: the language model's fields beside the rest, as published, or in "text_config", as
/// newer versions of transformers write them. Throws Error on what the model does not have.
inline Qwen25VlSettings read_qwen25_vl_settings(const std::filesystem::path& config) {
  const Json json = load_json(config);
  const JsonFields fields(json, config.string());
  if (const auto type = fields.get<std::string>("model_type"); type != "qwen2_5_vl") {
    throw fields.error("model_type", "expected \"qwen2_5_vl\", got \"" + type + "\"");
  }
  const JsonFields text = fields.has("text_config") ? fields.object("text_config") : fields;
  Qwen25VlSettings settings;
  settings.language = read_decoder_settings(DecoderFamily::qwen2, text);
  if (settings.language.rotary.axes() != 3) {
    throw text.error(text.has("rope_parameters") ? "rope_parameters" : "rope_scaling",
                     "expected an mrope_section of three numbers: time, height, width");
  }
  settings.language.tied_embeddings |= fields.get_or<bool>("tie_word_embeddings", false);
  const JsonFields vision = fields.object("vision_config");
  settings.vision = detail::read_qwen25_vision_settings(vision);
  if (settings.vision.output_size != settings.language.block.hidden_size) {
    throw vision.error("out_hidden_size", "expected the language model's " +
                                              std::to_string(settings.language.block.hidden_size) + ", got " +
                                              std::to_string(settings.vision.output_size));
  }
  const Index vocabulary = settings.language.vocabulary_size;
  settings.image_token = detail::read_media_token(fields, "image_token_id", vocabulary);
  settings.video_token = detail::read_media_token(fields, "video_token_id", vocabulary);
  settings.vision_start_token = detail::read_media_token(fields, "vision_start_token_id", vocabulary);
  settings.vision_end_token = detail::read_media_token(fields, "vision_end_token_id", vocabulary);
  return settings;
}

/// Reads from a folder how its model's pictures and videos become patches. Throws Error where that is not said, or does
/// not fit the vision tower.
inline void read_qwen25_vl_preprocessing(const std::filesystem::path& folder, Qwen25VlSettings& settings) {
  settings.images = load_image_preprocessing(folder);
  settings.videos = load_video_preprocessing(folder, VideoProcessor::qwen2_vl);
  for (const VisionPatchSettings& patches : {settings.images.patches, settings.videos.patches}) {
    const Qwen25VisionSettings& tower = settings.vision;
    if (patches.patch_pixels == tower.patch_size && patches.merge == tower.spatial_merge_size &&
        patches.frames_per_patch == tower.temporal_patch_size) {
      continue;
    }
    throw Error("[read_qwen25_vl_preprocessing] expected the vision tower's patch_size, merge_size and " +
                    std::string("temporal_patch_size: ") + std::to_string(tower.patch_size) + ", " +
                    std::to_string(tower.spatial_merge_size) + " and " + std::to_string(tower.temporal_patch_size) +
                    "; got " + std::to_string(patches.patch_pixels) + ", " + std::to_string(patches.merge) + " and " +
                    std::to_string(patches.frames_per_patch),
                folder.string(), "take the processor's files from the folder that the model came from");
  }
}

/// The config.json of the settings, laid out as published folders are: every version of transformers reads that.
inline Json qwen25_vl_config(const Qwen25VlSettings& settings) {
  Json json = {{"model_type", "qwen2_5_vl"}, {"architectures", {"Qwen2_5_VLForConditionalGeneration"}}};
  write_decoder_settings(settings.language, json);
  json["image_token_id"] = settings.image_token;
  json["video_token_id"] = settings.video_token;
  json["vision_start_token_id"] = settings.vision_start_token;
  json["vision_end_token_id"] = settings.vision_end_token;
  const Qwen25VisionSettings& from = settings.vision;
  Json& vision = json["vision_config"];
  vision["model_type"] = "qwen2_5_vl";
  vision["hidden_size"] = from.block.hidden_size;
  vision["intermediate_size"] = from.block.intermediate_size;
  vision["num_heads"] = from.block.attention_heads;
  vision["hidden_act"] = "silu";
  vision["in_chans"] = 3;
  vision["depth"] = from.layers;
  vision["patch_size"] = from.patch_size;
  vision["temporal_patch_size"] = from.temporal_patch_size;
  vision["spatial_merge_size"] = from.spatial_merge_size;
  vision["window_size"] = from.window_size;
  vision["fullatt_block_indexes"] = from.full_attention;
  vision["out_hidden_size"] = from.output_size;
  vision["tokens_per_second"] = from.tokens_per_second;
  vision["rope_parameters"] = {{"rope_type", "axial"}, {"rope_theta", from.rotary_theta}};
  return json;
}

}  // namespace caprl
