#pragma once

#include <filesystem>
#include <fstream>

#include "caprl/io/json_file.hpp"
#include "caprl/model/qwen25_vl.hpp"
#include "caprl/model/qwen3_vl.hpp"
#include "caprl/nn/initialize.hpp"
#include "support/tiny_world.hpp"

/// Qwen2.5-VL and Qwen3-VL with random weights, as small as they can be.
namespace caprl::test {

inline Qwen25Vl<float> small_qwen25_vl(const Tokenizer& tokenizer) {
  Qwen25VlSettings settings;
  settings.language = small_decoder_settings(tokenizer);
  settings.language.block.query_key_value_bias = true;
  settings.language.rotary.sections = {2, 1, 1};
  settings.vision = {.block = {.hidden_size = 16,
                               .intermediate_size = 24,
                               .attention_heads = 2,
                               .key_value_heads = 2,
                               .head_size = 8,
                               .query_key_value_bias = true,
                               .output_bias = true,
                               .mlp_bias = true},
                     .layers = 2,
                     .patch_size = 4,
                     .window_size = 16,
                     .full_attention = {1},
                     .output_size = settings.language.block.hidden_size};
  settings.preprocessing.images.patches.patch_pixels = settings.preprocessing.videos.patches.patch_pixels = 4;
  settings.preprocessing.images.budget = settings.preprocessing.videos.budget = {64, 1024};
  Qwen25Vl<float> model(settings);
  initialize<float>(model, settings.language.layers, 1, ends_residual_branch);
  return model;
}

inline Qwen3Vl<float> small_qwen3_vl(const Tokenizer& tokenizer) {
  Qwen3VlSettings settings;
  settings.language = small_decoder_settings(tokenizer);
  settings.language.block.query_key_norm = true;
  settings.language.rotary.sections = {2, 1, 1};
  settings.language.rotary.interleaved = true;
  settings.vision = {
      .block = {.hidden_size = 16, .intermediate_size = 24, .attention_heads = 2, .key_value_heads = 2, .head_size = 8},
      .layers = 2,
      .patch_size = 4,
      .table_side = 4,
      .deep_layers = {0},
      .output_size = settings.language.block.hidden_size};
  settings.preprocessing.images.patches.patch_pixels = settings.preprocessing.videos.patches.patch_pixels = 4;
  settings.preprocessing.images.budget = {64, 1024};
  settings.preprocessing.videos.budget = {64, 8192};
  settings.preprocessing.videos.processor = VideoProcessor::qwen3_vl;
  Qwen3Vl<float> model(settings);
  initialize<float>(model, settings.language.layers, 1, ends_residual_branch);
  return model;
}

/// The files of their processors, and a generation_config.json in which `end_tokens` are "eos_token_id".
inline void write_small_qwen_files(const std::filesystem::path& folder, const Json& end_tokens) {
  const Json processor = {{"patch_size", 4},
                          {"merge_size", 2},
                          {"temporal_patch_size", 2},
                          {"size", {{"shortest_edge", 64}, {"longest_edge", 1024}}}};
  std::ofstream(folder / "preprocessor_config.json") << processor;
  std::ofstream(folder / "video_preprocessor_config.json") << processor;
  std::ofstream(folder / "generation_config.json")
      << Json{{"do_sample", true}, {"temperature", 0.5}, {"top_k", 20}, {"eos_token_id", end_tokens}};
}

}  // namespace caprl::test
