#pragma once

#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/io/json_fields.hpp"
#include "caprl/media/load_vision_preprocessing.hpp"
#include "caprl/media/write_vision_preprocessing.hpp"
#include "caprl/model/decoder_config.hpp"
#include "caprl/model/model_folder.hpp"

/// What the configurations of Qwen2.5-VL and Qwen3-VL have in common.
namespace caprl {

/// The tokens that stand around and for pictures.
struct MediaTokenIds {
  Token image = 0;  ///< stands for each token of an image
  Token video = 0;  ///< of a video
  Token vision_start = 0;
  Token vision_end = 0;
};

/// How pictures and videos become patches.
struct VisionPreprocessing {
  ImagePreprocessing images{};
  VideoPreprocessing videos{};
};

namespace detail {

inline Token read_media_token(const JsonFields& fields, const char* name, Index vocabulary) {
  const auto token = fields.get<Token>(name);
  if (token < 0 || token >= vocabulary) {
    throw fields.error(
        name, "expected a token of the vocabulary of " + std::to_string(vocabulary) + ", got " + std::to_string(token));
  }
  return token;
}

inline MediaTokenIds read_media_tokens(const JsonFields& fields, Index vocabulary) {
  return {.image = read_media_token(fields, "image_token_id", vocabulary),
          .video = read_media_token(fields, "video_token_id", vocabulary),
          .vision_start = read_media_token(fields, "vision_start_token_id", vocabulary),
          .vision_end = read_media_token(fields, "vision_end_token_id", vocabulary)};
}

inline void write_media_tokens(const MediaTokenIds& tokens, Json& json) {
  json["image_token_id"] = tokens.image;
  json["video_token_id"] = tokens.video;
  json["vision_start_token_id"] = tokens.vision_start;
  json["vision_end_token_id"] = tokens.vision_end;
}

/// The blocks of a tower whose activation must be `activation`. All their products have biases.
inline BlockSettings read_vision_block(const JsonFields& fields, const std::string& activation) {
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
  if (const auto act = fields.get_or<std::string>("hidden_act", activation); act != activation) {
    throw fields.error("hidden_act", "expected \"" + activation + "\", got \"" + act + "\"");
  }
  for (const char* name : {"in_chans", "in_channels"}) {  // older and newer folders
    if (const auto channels = fields.get_or<Index>(name, 3); channels != 3) {
      throw fields.error(name, "expected 3, got " + std::to_string(channels));
    }
  }
  return block;
}

/// Patches a side that become one token: merge^2 rows of the tower are one row of its last layers.
inline Index get_merge_size(const JsonFields& fields, const BlockSettings& block) {
  constexpr const char* name = "spatial_merge_size";
  const Index merge = get_size(fields, name, largest_merge);
  require_product(fields, name, "a square times hidden_size", merge * merge * block.hidden_size);
  return merge;
}

inline double read_vision_theta(const JsonFields& fields) {
  if (!fields.has("rope_parameters")) return 10000;
  const JsonFields rope = fields.object("rope_parameters");
  if (const auto type = rope.get_or<std::string>("rope_type", "axial"); type != "axial") {
    throw rope.error("rope_type", "expected \"axial\", got \"" + type + "\"");
  }
  return get_positive_number_or(rope, "rope_theta", 10000);
}

/// Throws Error unless the language model has positions of time, height and width, and as many features as the tower
/// gives.
inline void require_fitting_language(const JsonFields& text, const JsonFields& vision, const DecoderSettings& language,
                                     Index output_size) {
  if (language.rotary.axes() != 3) {
    throw text.error(text.has("rope_parameters") ? "rope_parameters" : "rope_scaling",
                     "expected an mrope_section of three numbers: time, height, width");
  }
  if (output_size != language.block.hidden_size) {
    throw vision.error("out_hidden_size", "expected the language model's " +
                                              std::to_string(language.block.hidden_size) + ", got " +
                                              std::to_string(output_size));
  }
}

inline void require_model_type(const JsonFields& fields, const std::string& expected) {
  if (const auto type = fields.get<std::string>("model_type"); type != expected) {
    throw fields.error("model_type", "expected \"" + expected + "\", got \"" + type + "\"");
  }
}

/// The name of a decoder's or tower's tensor by the modules that hold it: those of Qwen3-VL, and of a Qwen2.5-VL that
/// was saved by its modules' names.
inline std::string nested_name(const std::string& name) {
  if (name.starts_with("visual.")) return "model." + name;
  const std::string language = "model.";
  return name.starts_with(language) ? "model.language_model." + name.substr(language.size()) : name;
}

/// Visits what it is called with under `prefix` and the name that `nested_name` gives. Refers to both arguments.
template <class Visit>
auto nested_visit(const std::string& prefix, const Visit& visit) {
  return [&]<class Item>(Item item) requires std::is_invocable_v<const Visit&, Item> {
    item.name = prefix + nested_name(item.name);
    visit(std::move(item));
  };
}

/// What stands in a tokenizer's folder for processors, and `more`. How pictures become patches is
/// written where no file there says it.
inline std::vector<CompanionFile> processor_files(const std::filesystem::path& folder,
                                                  const VisionPreprocessing& preprocessing,
                                                  const std::vector<CompanionFile>& more) {
  std::vector<CompanionFile> files{
      {"preprocessor_config.json"}, {"video_preprocessor_config.json"}, {processor_config_name}};
  const auto stands = [&](std::size_t file) { return std::filesystem::exists(folder / files[file].name); };
  if (!stands(0) && !stands(1) && !stands(2)) {
    files[0].otherwise = image_preprocessing_json(preprocessing.images).dump(2) + "\n";
    files[1].otherwise = video_preprocessing_json(preprocessing.videos).dump(2) + "\n";
  }
  files.insert(files.end(), more.begin(), more.end());
  return files;
}

}  // namespace detail

/// How pictures become patches of a vision tower's sizes, in all else as the processors' classes have it.
template <class TowerSettings>
VisionPreprocessing default_preprocessing(const TowerSettings& tower, VideoProcessor processor) {
  VisionPreprocessing preprocessing{.images = {}, .videos = VideoPreprocessing::of(processor)};
  for (VisionPatchSettings* patches : {&preprocessing.images.patches, &preprocessing.videos.patches}) {
    patches->patch_pixels = tower.patch_size;
    patches->merge = tower.spatial_merge_size;
    patches->frames_per_patch = tower.temporal_patch_size;
  }
  return preprocessing;
}

/// Reads from a folder how its model's pictures and videos become patches. `tower` is the settings of its vision tower.
/// Throws Error where that is not said, or does not fit the tower.
template <class TowerSettings>
VisionPreprocessing load_fitting_preprocessing(const std::filesystem::path& folder, const TowerSettings& tower,
                                               VideoProcessor processor) {
  const VisionPreprocessing preprocessing{.images = load_image_preprocessing(folder),
                                          .videos = load_video_preprocessing(folder, processor)};
  for (const VisionPatchSettings& patches : {preprocessing.images.patches, preprocessing.videos.patches}) {
    if (patches.patch_pixels == tower.patch_size && patches.merge == tower.spatial_merge_size &&
        patches.frames_per_patch == tower.temporal_patch_size) {
      continue;
    }
    throw Error("[load_fitting_preprocessing] expected the vision tower's patch_size, merge_size and " +
                    std::string("temporal_patch_size: ") + std::to_string(tower.patch_size) + ", " +
                    std::to_string(tower.spatial_merge_size) + " and " + std::to_string(tower.temporal_patch_size) +
                    "; got " + std::to_string(patches.patch_pixels) + ", " + std::to_string(patches.merge) + " and " +
                    std::to_string(patches.frames_per_patch),
                folder.string(),
                "take " + std::string(detail::processor_config_name) +
                    ", or preprocessor_config.json and video_preprocessor_config.json, from where the model came");
  }
  return preprocessing;
}

}  // namespace caprl
