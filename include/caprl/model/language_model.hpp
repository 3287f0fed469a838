#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "caprl/model/decoder.hpp"
#include "caprl/model/decoder_config.hpp"
#include "caprl/model/gguf_model.hpp"
#include "caprl/model/model_folder.hpp"
#include "caprl/nn/initialize.hpp"

namespace caprl {

/// Fresh weights; the same for the same seed.
template <class T>
void initialize(const Decoder<T>& model, std::uint64_t seed) {
  initialize<T>(model, model.settings.layers, seed, ends_residual_branch);
}

/// The decoder of a Hugging Face folder: of the Llama, Qwen2 or Qwen3 architecture, with weights in one file or
/// several. Throws Error naming the file and field, or the tensor, that is not as expected.
template <class T = float>
Decoder<T> load_decoder(const std::filesystem::path& folder) {
  const std::filesystem::path config = folder / "config.json";
  const Json json = load_json(config);
  return load_model<Decoder, T>(read_decoder_settings(JsonFields(json, config.string())), WeightFiles(folder));
}

/// A text model with its tokenizer, from such a folder or from a GGUF file.
template <class T = float>
ModelFolder<Decoder<T>> load_language_model(const std::filesystem::path& folder) {
  if (std::filesystem::is_regular_file(folder)) return load_gguf_language_model<T>(folder);
  Decoder<T> model = load_decoder<T>(folder);
  Tokenizer tokenizer = load_model_tokenizer(folder, model.settings.vocabulary_size);
  return {std::move(model), std::move(tokenizer), folder};
}

/// Writes a folder that Hugging Face transformers opens as the class of the model's family, at once or not at all.
template <class T>
void save_language_model(const Decoder<T>& model, const std::filesystem::path& tokenizer_file,
                         const std::filesystem::path& folder, WeightFormat format = WeightFormat::float32) {
  Json config = {{"torch_dtype", format == WeightFormat::bf16 ? "bfloat16" : "float32"}};
  write_decoder_family(model.settings, config);
  write_decoder_settings(model.settings, config);
  save_model_folder<T>(model, config, tokenizer_file, folder, format);
}

}  // namespace caprl
