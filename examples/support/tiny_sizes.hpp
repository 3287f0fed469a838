#pragma once

#include <CLI/CLI.hpp>
#include <vector>

#include "caprl/model/tiny_vlm.hpp"

namespace examples {

/// The sizes of a new, small captioner.
struct TinySizes {
  caprl::Index width = 128;
  caprl::Index heads = 4;
  caprl::Index vision_layers = 3;
  caprl::Index language_layers = 4;
  caprl::Index image_size = 48;
  caprl::Index temporal_patch = 2;  // what happens between two frames is seen in one place
};

/// `model`: the option that names a captioner to go on from, which has its sizes.
inline void add_size_options(CLI::App& app, TinySizes& sizes, CLI::Option* model) {
  const auto add = [&](const char* name, caprl::Index& value, const char* about) {
    app.add_option(name, value, about)->capture_default_str()->check(CLI::PositiveNumber)->excludes(model);
  };
  add("--width", sizes.width, "Features of a new captioner");
  add("--heads", sizes.heads, "Attention heads of a new captioner");
  add("--vision-layers", sizes.vision_layers, "Of a new captioner");
  add("--language-layers", sizes.language_layers, "Of a new captioner");
  add("--image-size", sizes.image_size, "Pixels a side to which a new captioner's pictures are resized");
  add("--temporal-patch", sizes.temporal_patch, "Frames that a frame's tokens see: it and those before it");
}

/// A transformer block of a width, with a gated unit of 8/3 of it.
inline caprl::BlockSettings block_settings(caprl::Index width, caprl::Index heads) {
  caprl::require(width % (2 * heads) == 0, "[--width] expected a multiple of twice the --heads");
  return {.hidden_size = width,
          .intermediate_size = (width * 8 / 3 + 15) / 16 * 16,
          .attention_heads = heads,
          .key_value_heads = heads,
          .head_size = width / heads,
          .norm_epsilon = 1e-6};
}

inline caprl::TinyVlmSettings tiny_vlm_settings(const TinySizes& sizes, caprl::Index vocabulary) {
  caprl::TinyVlmSettings settings;
  settings.language = {.block = block_settings(sizes.width, sizes.heads),
                       .layers = sizes.language_layers,
                       .vocabulary_size = vocabulary,
                       .maximum_positions = 2048};
  settings.vision = {.block = block_settings(sizes.width, sizes.heads),
                     .layers = sizes.vision_layers,
                     .image_size = sizes.image_size,
                     .temporal_patch_size = sizes.temporal_patch,
                     .stem_channels = {sizes.width / 4, sizes.width / 2, sizes.width},
                     .output_size = sizes.width};
  return settings;
}

}  // namespace examples
