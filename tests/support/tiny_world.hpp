#pragma once

#include <string>
#include <vector>

#include "caprl/data/item.hpp"
#include "caprl/media/clip.hpp"
#include "caprl/model/tiny_vlm.hpp"
#include "caprl/text/bpe_trainer.hpp"
#include "caprl/text/load_tokenizer.hpp"

/// Small things that several tests build on: a tokenizer, models with random weights, pictures.
namespace caprl::test {

inline std::string small_tokenizer_json() {
  const std::vector<std::string> texts = {"a red circle is at the top . a blue square is left of it .",
                                          "describe this image in detail .", "what colour is the circle ?"};
  BpeTrainerSettings settings;
  settings.vocabulary_size = 300;
  return train_bpe(texts, settings);
}

inline Tokenizer small_tokenizer() { return Tokenizer::from_json_text(small_tokenizer_json()); }

inline DecoderSettings small_decoder_settings(const Tokenizer& tokenizer) {
  return {.block = {.hidden_size = 32,
                    .intermediate_size = 48,
                    .attention_heads = 4,
                    .key_value_heads = 2,
                    .head_size = 8,
                    .norm_epsilon = 1e-6},
          .layers = 2,
          .vocabulary_size = tokenizer.vocabulary_size(),
          .maximum_positions = 512};
}

inline TinyVlm<float> small_vlm(const Tokenizer& tokenizer, std::uint64_t seed = 1) {
  TinyVlmSettings settings;
  settings.language = small_decoder_settings(tokenizer);
  settings.vision = {.block = settings.language.block,
                     .layers = 1,
                     .image_size = 16,
                     .temporal_patch_size = 2,
                     .stem_channels = {8},
                     .output_size = settings.language.block.hidden_size};
  TinyVlm<float> model(settings);
  initialize(model, seed);
  return model;
}

inline Image noise_image(std::uint32_t number, Index side = 16) {
  Image image({side, side});
  RandomStream stream({.seed = 77, .item = number});
  for (std::uint8_t& value : image.rgb) value = static_cast<std::uint8_t>(stream.below(256));
  return image;
}

inline Clip image_clip(std::uint32_t number) { return clip_of(noise_image(number)); }

inline CaptionItem image_item(const std::string& prompt = "describe this image in detail .") {
  CaptionItem item;
  item.id = prompt;
  item.where = "test:1";
  item.prompt = prompt;
  item.media = {{MediaKind::image, "image.png"}};
  return item;
}

}  // namespace caprl::test
