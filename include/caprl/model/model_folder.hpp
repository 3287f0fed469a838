#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/io/atomic_directory.hpp"
#include "caprl/io/atomic_file.hpp"
#include "caprl/io/input_file.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/model/generation_config.hpp"
#include "caprl/model/weights.hpp"
#include "caprl/text/load_tokenizer.hpp"

namespace caprl {

/// A model with the tokenizer that it was trained with: a Hugging Face folder (config.json, tokenizer.json,
/// model.safetensors), or a GGUF file.
template <class Model>
struct ModelFolder {
  Model model;
  Tokenizer tokenizer;
  std::filesystem::path folder;  ///< where it was read from
};

/// Throws Error, naming `file`, where a tokenizer has ids beyond a model's embeddings.
inline void require_embeddings(const Tokenizer& tokenizer, Index embeddings, const std::filesystem::path& file) {
  if (tokenizer.vocabulary_size() <= embeddings) return;
  throw Error("[tokenizer] expected at most as many tokens as the model has embeddings (" + std::to_string(embeddings) +
                  "), got ids up to " + std::to_string(tokenizer.vocabulary_size() - 1),
              file.string(), "take the tokenizer that the model was trained with");
}

/// The tokenizer of a folder whose model has so many embeddings.
inline Tokenizer load_model_tokenizer(const std::filesystem::path& folder, Index embeddings) {
  const std::filesystem::path file = folder / "tokenizer.json";
  Tokenizer tokenizer = Tokenizer::from_file(file);
  require_embeddings(tokenizer, embeddings, file);
  return tokenizer;
}

/// A text file beside a tokenizer; where there is none, it is written with `otherwise`, unless that is empty.
struct CompanionFile {
  std::string name;
  std::string otherwise = {};
};

namespace detail {

/// generation_config.json; where a folder has none, with the end tokens of its config.json, if those are there.
inline CompanionFile generation_file(const std::filesystem::path& folder) {
  const GenerationConfig config = load_generation_config(folder);
  return {"generation_config.json", config.end_tokens.empty() ? "" : generation_config_json(config).dump(2) + "\n"};
}

}  // namespace detail

/// Writes the folder at once or not at all. `tokenizer_file` is copied into it, with its chat template, how its model
/// writes, and those of the text files `companions` that stand beside it.
template <class T, class Model>
void save_model_folder(const Model& model, const Json& config, const std::filesystem::path& tokenizer_file,
                       const std::filesystem::path& folder, WeightFormat format,
                       std::vector<CompanionFile> companions = {}) {
  AtomicDirectory directory(folder);
  write_file_atomically(directory.path() / "config.json", config.dump(2) + "\n");
  write_file_atomically(directory.path() / "tokenizer.json", read_text_file(tokenizer_file));
  companions.insert(companions.begin(), {detail::generation_file(tokenizer_file.parent_path()),
                                         {"tokenizer_config.json"},
                                         {"chat_template.jinja"},
                                         {"chat_template.json"}});
  for (const auto& [name, otherwise] : companions) {
    const std::filesystem::path beside = tokenizer_file.parent_path() / name;
    const std::string text = std::filesystem::exists(beside) ? read_text_file(beside) : otherwise;
    if (!text.empty()) write_file_atomically(directory.path() / name, text);
  }
  save_weights<T>(model, directory.path() / "model.safetensors", format);
  directory.commit();
}

}  // namespace caprl
