#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/model/decoder.hpp"
#include "caprl/model/model_folder.hpp"
#include "caprl/model/multimodal_positions.hpp"
#include "caprl/model/picture.hpp"
#include "caprl/model/qwen3_vision_tower.hpp"
#include "caprl/model/qwen3_vl_config.hpp"

namespace caprl {

/// Qwen3-VL (Bai et al., 2025, arXiv 2511.21631): pictures of any size; a video is a picture for each of its times,
/// with the time told in the text before it.
template <class T, class Device = Cpu>
struct Qwen3Vl {
  Qwen3VlSettings settings;
  Qwen3VisionTower<T, Device> vision;
  Decoder<T, Device> language;

  explicit Qwen3Vl(const Qwen3VlSettings& sizes) : settings(sizes), vision(sizes.vision), language(sizes.language) {
    require(sizes.vision.output_size == sizes.language.block.hidden_size && sizes.language.rotary.axes() == 3,
            "[Qwen3Vl] expected a tower whose output has the language model's features, and positions on three axes");
  }

  /// What the language model reads of pictures, one after the other.
  PictureFeatures<T, Device> features(std::span<const Picture> pictures) const {
    std::vector<VisionGrid> grids;
    for (const Picture& picture : pictures) grids.push_back(picture.grid);
    return vision(Var<T, Device>(stacked_pixels(pictures)), grids);
  }
  Index picture_tokens(const Picture& picture) const { return picture.grid.tokens(settings.vision.spatial_merge_size); }
  /// The positions of a prompt's `tokens` tokens; see `multimodal_positions`. Throws Error for a picture of several
  /// times.
  SequencePositions positions(Index tokens, std::span<const PlacedPicture> pictures) const {
    const Index merge = settings.vision.spatial_merge_size;
    std::vector<MediaTokens> media;
    for (const PlacedPicture& placed : pictures) {
      const VisionGrid& grid = placed.picture->grid;
      require(grid.times == 1, "[Qwen3Vl] expected a picture for each time of a video");
      media.push_back({.begin = placed.begin, .grid = {1, grid.height / merge, grid.width / merge}});
    }
    return multimodal_positions(tokens, media);
  }

  /// Keep only the inputs of transformer blocks for the backward pass.
  void set_recompute_blocks(bool recompute) { vision.recompute_blocks = language.recompute_blocks = recompute; }

  /// Names as published folders have them.
  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    vision.visit(prefix + "model.visual.", visit);
    language.visit("", detail::nested_visit(prefix, visit));
  }
};

/// A model from a Hugging Face folder, whose weights may be in one file or in several. Throws Error naming the file and
/// field, or the tensor, that is not as expected.
template <class T = float>
Qwen3Vl<T> load_qwen3_vl_model(const std::filesystem::path& folder, const Qwen3VlSettings& settings) {
  return load_model<Qwen3Vl, T>(settings, WeightFiles(folder));
}

template <class T = float>
Qwen3Vl<T> load_qwen3_vl_model(const std::filesystem::path& folder) {
  return load_qwen3_vl_model<T>(folder, read_qwen3_vl_settings(folder / "config.json"));
}

/// The same with its tokenizer, and how its pictures become patches.
template <class T = float>
ModelFolder<Qwen3Vl<T>> load_qwen3_vl(const std::filesystem::path& folder) {
  Qwen3Vl<T> model = load_qwen3_vl_model<T>(folder, read_qwen3_vl_folder(folder));
  Tokenizer tokenizer = load_model_tokenizer(folder, model.settings.language.vocabulary_size);
  return {std::move(model), std::move(tokenizer), folder};
}

/// Writes a folder that Hugging Face transformers opens as Qwen3VLForConditionalGeneration, laid out and named as
/// published ones are, at once or not at all. `tokenizer_file` is copied into it, and what stands beside that for
/// processors.
template <class T>
void save_qwen3_vl(const Qwen3Vl<T>& model, const std::filesystem::path& tokenizer_file,
                   const std::filesystem::path& folder, WeightFormat format = WeightFormat::float32,
                   const std::vector<CompanionFile>& companions = {}) {
  Json config = qwen3_vl_config(model.settings);
  config["torch_dtype"] = format == WeightFormat::bf16 ? "bfloat16" : "float32";
  save_model_folder<T>(model, config, tokenizer_file, folder, format,
                       detail::processor_files(tokenizer_file.parent_path(), model.settings.preprocessing, companions));
}

}  // namespace caprl
