#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "caprl/model/any_vlm.hpp"
#include "caprl/text/special_tokens.hpp"
#include "caprl/text/tokenizer.hpp"
#include "support/block_settings.hpp"

namespace examples {

/// The architecture and sizes of a new, small captioner.
struct CaptionerSizes {
  std::string architecture = "caprl_tiny_vlm";
  caprl::Index width = 128;
  caprl::Index heads = 4;
  caprl::Index vision_layers = 3;
  caprl::Index language_layers = 4;
  caprl::Index image_size = 48;
  caprl::Index temporal_patch = 2;  // what happens between two frames is seen in one place
  caprl::Index patch_size = 6;
};

/// `like`: the option that names a folder to take all of this from.
inline void add_size_options(CLI::App& app, CaptionerSizes& sizes, CLI::Option* like) {
  const auto add = [&](const char* name, caprl::Index& value, const char* about) {
    app.add_option(name, value, about)->capture_default_str()->check(CLI::PositiveNumber)->excludes(like);
  };
  app.add_option("--architecture", sizes.architecture, "config.json's model_type")
      ->capture_default_str()
      ->check(CLI::IsMember(caprl::vlm_model_types()))
      ->excludes(like);
  add("--width", sizes.width, "Features");
  add("--heads", sizes.heads, "Attention heads");
  add("--vision-layers", sizes.vision_layers, "Of the vision tower");
  add("--language-layers", sizes.language_layers, "Of the decoder");
  add("--image-size", sizes.image_size,
      "Pixels a side to which pictures are resized; of Qwen's, which keep their sides' ratio, the most in a square");
  add("--temporal-patch", sizes.temporal_patch, "Frames that a small captioner's frame sees: it and those before it");
  add("--patch-size", sizes.patch_size, "Pixels a side of a patch of Qwen's");
}

inline caprl::DecoderSettings decoder_settings(const CaptionerSizes& sizes, caprl::Index vocabulary) {
  return {.block = block_settings(sizes.width, sizes.heads),
          .layers = sizes.language_layers,
          .vocabulary_size = vocabulary,
          .maximum_positions = 2048};
}

inline caprl::TinyVlmSettings tiny_vlm_settings(const CaptionerSizes& sizes, const caprl::Tokenizer& tokenizer) {
  caprl::TinyVlmSettings settings;
  settings.language = decoder_settings(sizes, tokenizer.vocabulary_size());
  settings.vision = {.block = block_settings(sizes.width, sizes.heads),
                     .layers = sizes.vision_layers,
                     .image_size = sizes.image_size,
                     .temporal_patch_size = sizes.temporal_patch,
                     .stem_channels = {sizes.width / 4, sizes.width / 2, sizes.width},
                     .output_size = sizes.width};
  return settings;
}

namespace detail {

/// A decoder with positions of time, height and width: quarters and more of a head's features, as Qwen's.
inline caprl::DecoderSettings multimodal_decoder(const CaptionerSizes& sizes, caprl::Index vocabulary) {
  caprl::DecoderSettings settings = decoder_settings(sizes, vocabulary);
  const caprl::Index pairs = settings.block.head_size / 2, side = pairs * 3 / 8;
  caprl::require(side >= 1, "[--heads] expected heads of at least 6 features, so that time and both sides have some");
  settings.rotary.sections = {pairs - 2 * side, side, side};
  return settings;
}

/// Biases everywhere, as Qwen's towers have them.
inline caprl::BlockSettings tower_block(const CaptionerSizes& sizes) {
  caprl::BlockSettings block = block_settings(sizes.width, sizes.heads);
  caprl::require(block.head_size % 4 == 0, "[--heads] expected heads of a multiple of 4 features");
  block.query_key_value_bias = block.output_bias = block.mlp_bias = true;
  return block;
}

inline caprl::MediaTokenIds media_tokens(const caprl::Tokenizer& tokenizer) {
  const auto ids = caprl::SpecialTokenIds::of(tokenizer);
  return {
      .image = ids.image_pad, .video = ids.video_pad, .vision_start = ids.vision_start, .vision_end = ids.vision_end};
}

/// Pictures from a quarter of image_size^2 pixels up to that; of videos so many for each frame of at most 16.
inline caprl::VisionPreprocessing preprocessing(const CaptionerSizes& sizes, caprl::VideoProcessor processor) {
  const caprl::Index most = sizes.image_size * sizes.image_size;
  caprl::VisionPreprocessing settings{.videos = caprl::VideoPreprocessing::of(processor)};
  settings.images.patches.patch_pixels = settings.videos.patches.patch_pixels = sizes.patch_size;
  settings.images.patches.mean = settings.videos.patches.mean = {0.5f, 0.5f, 0.5f};
  settings.images.patches.deviation = settings.videos.patches.deviation = {0.25f, 0.25f, 0.25f};
  settings.images.budget = settings.videos.budget = {most / 4, most};
  if (processor == caprl::VideoProcessor::qwen3_vl) settings.videos.budget = {most / 4, 16 * most};
  return settings;
}

inline caprl::Index patches_in_a_side(const CaptionerSizes& sizes) {
  return std::max<caprl::Index>(2, sizes.image_size / sizes.patch_size);
}

}  // namespace detail

inline caprl::Qwen25VlSettings qwen25_vl_settings(const CaptionerSizes& sizes, const caprl::Tokenizer& tokenizer) {
  caprl::Qwen25VlSettings settings;
  settings.language = detail::multimodal_decoder(sizes, tokenizer.vocabulary_size());
  settings.language.block.query_key_value_bias = true;
  settings.vision = {.block = detail::tower_block(sizes),
                     .layers = sizes.vision_layers,
                     .patch_size = sizes.patch_size,
                     .window_size = 4 * sizes.patch_size,
                     .full_attention = {sizes.vision_layers - 1},
                     .output_size = sizes.width};
  settings.tokens = detail::media_tokens(tokenizer);
  settings.preprocessing = detail::preprocessing(sizes, caprl::VideoProcessor::qwen2_vl);
  return settings;
}

inline caprl::Qwen3VlSettings qwen3_vl_settings(const CaptionerSizes& sizes, const caprl::Tokenizer& tokenizer) {
  caprl::Qwen3VlSettings settings;
  settings.language = detail::multimodal_decoder(sizes, tokenizer.vocabulary_size());
  settings.language.block.query_key_norm = true;
  settings.language.rotary.interleaved = true;
  settings.vision = {.block = detail::tower_block(sizes),
                     .layers = sizes.vision_layers,
                     .patch_size = sizes.patch_size,
                     .table_side = detail::patches_in_a_side(sizes),
                     .deep_layers = {0},
                     .output_size = sizes.width};
  settings.tokens = detail::media_tokens(tokenizer);
  settings.preprocessing = detail::preprocessing(sizes, caprl::VideoProcessor::qwen3_vl);
  return settings;
}

/// A captioner of the sizes, without weights that mean anything.
inline caprl::AnyVlm<float> new_captioner(const CaptionerSizes& sizes, const caprl::Tokenizer& tokenizer) {
  using namespace caprl;
  if (sizes.architecture == "qwen2_5_vl") return AnyVlm<float>(Qwen25Vl<float>(qwen25_vl_settings(sizes, tokenizer)));
  if (sizes.architecture == "qwen3_vl") return AnyVlm<float>(Qwen3Vl<float>(qwen3_vl_settings(sizes, tokenizer)));
  return AnyVlm<float>(TinyVlm<float>(tiny_vlm_settings(sizes, tokenizer)));
}

}  // namespace examples
