#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/io/json_fields.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/model/decoder.hpp"
#include "caprl/model/lora_folder.hpp"
#include "caprl/model/model_folder.hpp"
#include "caprl/model/picture.hpp"
#include "caprl/model/qwen25_vl.hpp"
#include "caprl/model/qwen3_vl.hpp"
#include "caprl/model/tiny_vlm.hpp"
#include "caprl/nn/initialize.hpp"
#include "caprl/nn/rotary_positions.hpp"

namespace caprl {

/// A vision-language model whose architecture is known when the program runs. It is a model like those that it may be,
/// asked once for a batch which of them it is; what is made of it is compiled once, not for each of them.
template <class T = float, class Device = Cpu>
struct AnyVlm {
  using Architecture = std::variant<TinyVlm<T, Device>, Qwen25Vl<T, Device>, Qwen3Vl<T, Device>>;

  Architecture architecture;
  Decoder<T, Device> language;  ///< that of the architecture: the same tensors

  explicit AnyVlm(Architecture chosen)
      : architecture(std::move(chosen)), language(visit_model([](const auto& model) { return model.language; })) {}

  /// use(model), with the model itself.
  template <class Use>
  decltype(auto) visit_model(const Use& use) const {
    return std::visit(use, architecture);
  }

  /// What the language model reads of pictures, one after the other.
  PictureFeatures<T, Device> features(std::span<const Picture> pictures) const {
    return visit_model([&](const auto& model) { return model.features(pictures); });
  }
  Index picture_tokens(const Picture& picture) const {
    return visit_model([&](const auto& model) { return model.picture_tokens(picture); });
  }
  SequencePositions positions(Index tokens, std::span<const PlacedPicture> pictures) const {
    return visit_model([&](const auto& model) { return model.positions(tokens, pictures); });
  }

  /// Keep only the inputs of transformer blocks for the backward pass.
  void set_recompute_blocks(bool recompute) {
    language.recompute_blocks = recompute;
    std::visit([&](auto& model) { model.set_recompute_blocks(recompute); }, architecture);
  }

  /// Names as the architecture's folders have them.
  template <class Visit>
  void visit(const std::string& prefix, const Visit& visit) const {
    visit_model([&](const auto& model) { model.visit(prefix, visit); });
  }
};

/// Fresh weights; the same for the same seed.
template <class T>
void initialize(const AnyVlm<T>& any, std::uint64_t seed) {
  any.visit_model([&](const auto& model) {
    initialize<T>(model.vision, model.settings.vision.layers, seed, ends_residual_branch);
    initialize<T>(model.language, model.settings.language.layers, seed, ends_residual_branch);
  });
}

namespace detail {

/// What is done with the folders of a model_type of config.json.
template <class T>
struct VlmArchitecture {
  const char* model_type;
  AnyVlm<T> (*without_weights)(const std::filesystem::path& folder);
  ModelFolder<AnyVlm<T>> (*load)(const std::filesystem::path& folder);
};

template <class T, class Model>
ModelFolder<AnyVlm<T>> any_vlm_folder(ModelFolder<Model> loaded) {
  return {AnyVlm<T>(std::move(loaded.model)), std::move(loaded.tokenizer), std::move(loaded.folder)};
}

template <class T>
inline constexpr VlmArchitecture<T> vlm_architectures[] = {
    {"caprl_tiny_vlm",
     [](const auto& folder) { return AnyVlm<T>(TinyVlm<T>(read_tiny_vlm_settings(folder / "config.json"))); },
     [](const auto& folder) { return any_vlm_folder<T>(load_tiny_vlm<T>(folder)); }},
    {"qwen2_5_vl", [](const auto& folder) { return AnyVlm<T>(Qwen25Vl<T>(read_qwen25_vl_folder(folder))); },
     [](const auto& folder) { return any_vlm_folder<T>(load_qwen25_vl<T>(folder)); }},
    {"qwen3_vl", [](const auto& folder) { return AnyVlm<T>(Qwen3Vl<T>(read_qwen3_vl_folder(folder))); },
     [](const auto& folder) { return any_vlm_folder<T>(load_qwen3_vl<T>(folder)); }}};

}  // namespace detail

/// The "model_type" of each architecture.
inline std::vector<std::string> vlm_model_types() {
  std::vector<std::string> types;
  for (const auto& architecture : detail::vlm_architectures<float>) types.emplace_back(architecture.model_type);
  return types;
}

namespace detail {

/// Throws Error where a folder is not a model's but one that belongs to a model.
inline void require_model_folder(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "config.json")) return;
  const auto refuse = [&](const std::string& what, const std::string& remedy) {
    throw Error("[load_vlm] expected a model's folder, with config.json, got " + what, folder.string(), remedy);
  };
  if (std::filesystem::exists(folder / "adapter_config.json")) {
    refuse("a LoRA adapter's", "take the model that it was merged into, often " +
                                   (folder.parent_path() / "model").string() +
                                   ", or its base model with the adapter given apart (caption --adapter)");
  }
  if (std::filesystem::exists(folder / "model" / "config.json")) {
    refuse("that of a run", "take " + (folder / "model").string());
  }
  if (std::filesystem::exists(folder / "run")) {
    refuse("that of a run that is not finished", "start the same command again: it goes on and saves a model");
  }
}

/// The entry for a folder's config.json. Throws Error that lists those that there are.
template <class T>
const VlmArchitecture<T>& vlm_architecture(const std::filesystem::path& folder) {
  require_model_folder(folder);
  const std::filesystem::path config = folder / "config.json";
  const Json json = load_json(config);
  const JsonFields fields(json, config.string());
  const auto type = fields.get<std::string>("model_type");
  for (const auto& architecture : vlm_architectures<T>) {
    if (type == architecture.model_type) return architecture;
  }
  std::string known;
  for (const std::string& name : vlm_model_types()) known += (known.empty() ? "" : ", ") + name;
  throw fields.error("model_type", "expected one of " + known + "; got \"" + type + "\"");
}

}  // namespace detail

/// The "model_type" of a folder of one of these architectures. Throws Error that lists those that there are.
inline std::string vlm_model_type(const std::filesystem::path& folder) {
  return detail::vlm_architecture<float>(folder).model_type;
}

/// The model of a Hugging Face folder of any of these architectures, chosen by config.json's "model_type". Throws Error
/// naming the file and field, or the tensor, that is not as expected.
template <class T = float>
ModelFolder<AnyVlm<T>> load_vlm(const std::filesystem::path& folder) {
  return detail::vlm_architecture<T>(folder).load(folder);
}

/// The same without its weights, of which the folder may have none: for `initialize`.
template <class T = float>
AnyVlm<T> vlm_without_weights(const std::filesystem::path& folder) {
  return detail::vlm_architecture<T>(folder).without_weights(folder);
}

/// Writes a folder as the architecture's own function does, `save_qwen3_vl` and the like; a small captioner's has no
/// `companions`.
template <class T>
void save_vlm(const AnyVlm<T>& model, const std::filesystem::path& tokenizer_file, const std::filesystem::path& folder,
              WeightFormat format = WeightFormat::float32, const std::vector<CompanionFile>& companions = {}) {
  struct Save {
    const std::filesystem::path &tokenizer_file, &folder;
    WeightFormat format;
    const std::vector<CompanionFile>& companions;
    void operator()(const TinyVlm<T>& tiny) const { save_tiny_vlm(tiny, tokenizer_file, folder, format); }
    void operator()(const Qwen25Vl<T>& qwen) const { save_qwen25_vl(qwen, tokenizer_file, folder, format, companions); }
    void operator()(const Qwen3Vl<T>& qwen) const { save_qwen3_vl(qwen, tokenizer_file, folder, format, companions); }
  };
  model.visit_model(Save{tokenizer_file, folder, format, companions});
}

/// `load_lora`, with the names that the architecture's adapters have.
template <class T>
LoraSettings load_vlm_lora(const AnyVlm<T>& model, const std::filesystem::path& folder) {
  if (const auto* qwen = std::get_if<Qwen25Vl<T>>(&model.architecture)) return load_qwen25_vl_lora(*qwen, folder);
  return load_lora<T>(model, folder);
}

/// `save_lora`, with the names that PEFT finds in the architecture's model.
template <class T>
void save_vlm_lora(const AnyVlm<T>& model, const LoraSettings& settings, const std::string& base_model,
                   const std::filesystem::path& folder) {
  if (const auto* qwen = std::get_if<Qwen25Vl<T>>(&model.architecture)) {
    return save_qwen25_vl_lora(*qwen, settings, base_model, folder);
  }
  save_lora<T>(model, settings, base_model, folder);
}

}  // namespace caprl
