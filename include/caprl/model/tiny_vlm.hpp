#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/io/json_file.hpp"
#include "caprl/model/decoder.hpp"
#include "caprl/model/decoder_config.hpp"
#include "caprl/model/model_folder.hpp"
#include "caprl/model/picture.hpp"
#include "caprl/model/vision_tower.hpp"
#include "caprl/nn/initialize.hpp"
#include "caprl/nn/rotary_positions.hpp"

namespace caprl {

/// A vision-language model small enough to train on a laptop: the general decoder and a small vision tower.
struct TinyVlmSettings {
  VisionSettings vision;
  DecoderSettings language;
  std::array<float, 3> image_mean = {0.5f, 0.5f, 0.5f};
  std::array<float, 3> image_deviation = {0.25f, 0.25f, 0.25f};
};

template <class T, class Device = Cpu>
struct TinyVlm {
  TinyVlmSettings settings;
  VisionTower<T, Device> vision;
  Decoder<T, Device> language;

  explicit TinyVlm(const TinyVlmSettings& sizes) : settings(sizes), vision(sizes.vision), language(sizes.language) {
    if (sizes.vision.output_size != sizes.language.block.hidden_size) {
      throw Error("[TinyVlm] expected a tower whose output has the language model's " +
                  std::to_string(sizes.language.block.hidden_size) + " features, got " +
                  std::to_string(sizes.vision.output_size));
    }
  }

  /// What the language model reads of pictures, one after the other.
  PictureFeatures<T, Device> features(std::span<const Picture> pictures) const {
    return {vision(Var<T, Device>(stacked_pixels(pictures))), {}};
  }
  Index picture_tokens(const Picture&) const { return settings.vision.tokens_per_image(); }
  /// A prompt of `tokens` tokens: each stands at its depth, those of pictures too.
  SequencePositions positions(Index tokens, std::span<const PlacedPicture>) const {
    std::vector<Index> depths(static_cast<std::size_t>(tokens));
    std::iota(depths.begin(), depths.end(), Index{0});
    return {{.axes = 1, .values = std::move(depths)}, tokens};
  }

  /// Keep only the inputs of transformer blocks for the backward pass.
  void set_recompute_blocks(bool recompute) { vision.recompute_blocks = language.recompute_blocks = recompute; }

  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    vision.visit(prefix + "visual.", visit);
    language.visit(prefix + "language_model.", visit);
  }
};

/// Fresh weights; the same for the same seed.
template <class T>
void initialize(const TinyVlm<T>& model, std::uint64_t seed) {
  initialize<T>(model.vision, model.settings.vision.layers, seed, ends_residual_branch);
  initialize<T>(model.language, model.settings.language.layers, seed, ends_residual_branch);
}

inline TinyVlmSettings read_tiny_vlm_settings(const std::filesystem::path& config) {
  const Json json = load_json(config);
  const JsonFields fields(json, config.string());
  if (const auto type = fields.get<std::string>("model_type"); type != "caprl_tiny_vlm") {
    throw fields.error("model_type", "expected \"caprl_tiny_vlm\", got \"" + type + "\"");
  }
  TinyVlmSettings settings;
  settings.language = read_decoder_settings(DecoderFamily::llama, fields.object("text_config"));
  const JsonFields vision = fields.object("vision_config");
  settings.vision.block = read_block_settings(vision);
  settings.vision.layers = detail::get_size(vision, "num_hidden_layers", detail::most_model_layers);
  settings.vision.image_size = detail::get_size(vision, "image_size", 4096);
  settings.vision.temporal_patch_size = vision.get_or<Index>("temporal_patch_size", 1);
  detail::require_size(vision, "temporal_patch_size", settings.vision.temporal_patch_size, 64);
  settings.vision.stem_channels = vision.get<std::vector<Index>>("stem_channels");
  for (const Index channels : settings.vision.stem_channels) detail::require_size(vision, "stem_channels", channels);
  settings.vision.output_size = settings.language.block.hidden_size;
  const auto read_channels = [&](const char* name, std::array<float, 3>& target) {
    const auto values = vision.get<std::vector<float>>(name);
    if (values.size() != 3) throw vision.error(name, "expected three numbers, got " + std::to_string(values.size()));
    std::copy(values.begin(), values.end(), target.begin());
  };
  read_channels("image_mean", settings.image_mean);
  read_channels("image_std", settings.image_deviation);
  for (const float deviation : settings.image_deviation) {
    if (!(std::isfinite(deviation) && deviation > 0)) throw vision.error("image_std", "expected numbers above 0");
  }
  return settings;
}

inline Json tiny_vlm_config(const TinyVlmSettings& settings) {
  Json json = {{"model_type", "caprl_tiny_vlm"}, {"architectures", {"CaprlTinyVlm"}}};
  Json& text = json["text_config"];
  write_decoder_settings(settings.language, text);
  Json& vision = json["vision_config"];
  write_block_settings(settings.vision.block, vision);
  vision["num_hidden_layers"] = settings.vision.layers;
  vision["image_size"] = settings.vision.image_size;
  vision["temporal_patch_size"] = settings.vision.temporal_patch_size;
  vision["stem_channels"] = settings.vision.stem_channels;
  vision["image_mean"] = settings.image_mean;
  vision["image_std"] = settings.image_deviation;
  return json;
}

template <class T = float>
ModelFolder<TinyVlm<T>> load_tiny_vlm(const std::filesystem::path& folder) {
  const TinyVlmSettings settings = read_tiny_vlm_settings(folder / "config.json");
  TinyVlm<T> model = load_model<TinyVlm, T>(settings, WeightFiles(folder));
  Tokenizer tokenizer = load_model_tokenizer(folder, settings.language.vocabulary_size);
  return {std::move(model), std::move(tokenizer), folder};
}

/// Writes a Hugging Face folder at once or not at all; `tokenizer_file` is copied into it.
template <class T>
void save_tiny_vlm(const TinyVlm<T>& model, const std::filesystem::path& tokenizer_file,
                   const std::filesystem::path& folder, WeightFormat format = WeightFormat::float32) {
  save_model_folder<T>(model, tiny_vlm_config(model.settings), tokenizer_file, folder, format);
}

}  // namespace caprl
