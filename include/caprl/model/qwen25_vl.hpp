#pragma once

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/io/safetensors.hpp"
#include "caprl/model/decoder.hpp"
#include "caprl/model/lora_folder.hpp"
#include "caprl/model/model_folder.hpp"
#include "caprl/model/multimodal_positions.hpp"
#include "caprl/model/picture.hpp"
#include "caprl/model/qwen25_vision_tower.hpp"
#include "caprl/model/qwen25_vl_config.hpp"

namespace caprl {

/// Qwen2.5-VL (Bai et al., 2025, arXiv 2502.13923): pictures and videos of any size, with positions of time, height and
/// width.
template <class T, class Device = Cpu>
struct Qwen25Vl {
  Qwen25VlSettings settings;
  Qwen25VisionTower<T, Device> vision;
  Decoder<T, Device> language;

  explicit Qwen25Vl(const Qwen25VlSettings& sizes) : settings(sizes), vision(sizes.vision), language(sizes.language) {
    require(sizes.vision.output_size == sizes.language.block.hidden_size && sizes.language.rotary.axes() == 3,
            "[Qwen25Vl] expected a tower whose output has the language model's features, and positions on three axes");
  }

  /// What the language model reads of pictures, one after the other.
  PictureFeatures<T, Device> features(std::span<const Picture> pictures) const {
    std::vector<VisionGrid> grids;
    for (const Picture& picture : pictures) grids.push_back(picture.grid);
    return {vision(Var<T, Device>(stacked_pixels(pictures)), grids), {}};
  }
  Index picture_tokens(const Picture& picture) const { return settings.vision.token_grid(picture.grid).patches(); }
  /// The positions of a prompt's `tokens` tokens; see `multimodal_positions`.
  SequencePositions positions(Index tokens, std::span<const PlacedPicture> pictures) const {
    std::vector<MediaTokens> media;
    for (const PlacedPicture& placed : pictures) {
      const auto seconds = static_cast<float>(placed.picture->seconds_per_time);
      media.push_back({.begin = placed.begin,
                       .grid = settings.vision.token_grid(placed.picture->grid),
                       .time_interval = static_cast<float>(settings.vision.tokens_per_second) * seconds});
    }
    return multimodal_positions(tokens, media);
  }

  /// Keep only the inputs of transformer blocks for the backward pass.
  void set_recompute_blocks(bool recompute) { vision.recompute_blocks = language.recompute_blocks = recompute; }

  /// Names as published folders have them.
  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    vision.visit(prefix + "visual.", visit);
    language.visit(prefix, visit);
  }
};

/// A model from a Hugging Face folder; its weights may be in one file or in several, and be named as published folders
/// name them (as transformers 5 does too), or by the modules that hold them (`model.visual.`, `model.language_model.`).
/// Throws Error naming the file and field, or the tensor, that is not as expected.
template <class T = float>
Qwen25Vl<T> load_qwen25_vl_model(const std::filesystem::path& folder, const Qwen25VlSettings& settings) {
  WeightFiles files(folder);
  const bool by_modules = files.contains(detail::nested_name("model.norm.weight"));
  return load_model<Qwen25Vl, T>(settings, std::move(files), [by_modules](const auto& model) {
    auto blocks = OwnBlocks{}(model);
    for (auto& block : blocks) block.name = by_modules ? detail::nested_name(block.name) : block.name;
    return blocks;
  });
}

template <class T = float>
Qwen25Vl<T> load_qwen25_vl_model(const std::filesystem::path& folder) {
  return load_qwen25_vl_model<T>(folder, read_qwen25_vl_settings(folder / "config.json"));
}

namespace detail {

/// The model with its tensors named by the modules that hold them.
template <class T>
struct Qwen25VlByModules {
  const Qwen25Vl<T>& model;

  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    model.visit("", nested_visit(prefix, visit));
  }
};

}  // namespace detail

/// `load_lora` of an adapter that PEFT made with any version of transformers: since 4.52, layers are named there by the
/// modules that hold them.
template <class T>
LoraSettings load_qwen25_vl_lora(const Qwen25Vl<T>& model, const std::filesystem::path& folder) {
  const SafetensorsFile file(folder / "adapter_model.safetensors");
  const bool by_modules = std::ranges::any_of(file.tensors(), [](const auto& tensor) {
    const std::string nested = detail::peft_prefix + "model.";
    return tensor.first.starts_with(nested + "language_model.") || tensor.first.starts_with(nested + "visual.");
  });
  return by_modules ? load_lora<T>(detail::Qwen25VlByModules<T>{model}, folder) : load_lora<T>(model, folder);
}

/// `save_lora`, with the layers named as PEFT finds them in transformers 4.52 and newer.
template <class T>
void save_qwen25_vl_lora(const Qwen25Vl<T>& model, const LoraSettings& settings, const std::string& base_model,
                         const std::filesystem::path& folder) {
  save_lora<T>(detail::Qwen25VlByModules<T>{model}, settings, base_model, folder);
}

/// `load_qwen25_vl_model` with its tokenizer, and how its pictures become patches.
template <class T = float>
ModelFolder<Qwen25Vl<T>> load_qwen25_vl(const std::filesystem::path& folder) {
  Qwen25Vl<T> model = load_qwen25_vl_model<T>(folder, read_qwen25_vl_folder(folder));
  Tokenizer tokenizer = load_model_tokenizer(folder, model.settings.language.vocabulary_size);
  return {std::move(model), std::move(tokenizer), folder};
}

/// Writes a folder that Hugging Face transformers opens as Qwen2_5_VLForConditionalGeneration, laid out and named as
/// published ones are, at once or not at all. `tokenizer_file` is copied into it, and what stands beside that for
/// processors, and `companions`.
template <class T>
void save_qwen25_vl(const Qwen25Vl<T>& model, const std::filesystem::path& tokenizer_file,
                    const std::filesystem::path& folder, WeightFormat format = WeightFormat::float32,
                    const std::vector<CompanionFile>& companions = {}) {
  Json config = qwen25_vl_config(model.settings);
  config["torch_dtype"] = format == WeightFormat::bf16 ? "bfloat16" : "float32";
  save_model_folder<T>(model, config, tokenizer_file, folder, format,
                       detail::processor_files(tokenizer_file.parent_path(), model.settings.preprocessing, companions));
}

}  // namespace caprl
