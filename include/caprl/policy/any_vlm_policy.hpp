#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caprl/io/json_fields.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/model/generation_config.hpp"
#include "caprl/model/lora.hpp"
#include "caprl/model/lora_folder.hpp"
#include "caprl/model/qwen25_vl.hpp"
#include "caprl/model/qwen3_vl.hpp"
#include "caprl/model/tiny_vlm.hpp"
#include "caprl/policy/qwen_vl_policy.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/sampling/sample.hpp"

namespace caprl {

/// A policy whose model is known when the program runs. `std::visit` gives the policy itself, for anything that takes a
/// policy:
///
///     std::visit([&](const auto& policy) { ... policy.generate(...) ... }, load_vlm_policy("Qwen2.5-VL-3B-Instruct"));
using AnyVlmPolicy = std::variant<TinyVlmPolicy<>, Qwen25VlPolicy<>, Qwen3VlPolicy<>>;

namespace detail {

/// What a policy is loaded from.
struct VlmPolicySource {
  const std::filesystem::path& folder;
  const std::filesystem::path& adapter;
  VlmPolicySettings settings;
};

template <class Model>
void load_adapter(const Model& model, const std::filesystem::path& folder) {
  load_lora<float>(model, folder);
}
inline void load_adapter(const Qwen25Vl<float>& model, const std::filesystem::path& folder) {
  load_qwen25_vl_lora(model, folder);
}

template <class Model>
AnyVlmPolicy make_vlm_policy(ModelFolder<Model> loaded, const VlmPolicySource& source) {
  if (!source.adapter.empty()) {
    load_adapter(loaded.model, source.adapter);
    merge_and_unload_lora<float>(loaded.model);
  }
  return VlmPolicy<Model, float>(std::move(loaded.model), loaded.tokenizer, source.settings);
}

/// A model_type of config.json, and what loads its policy.
struct VlmArchitecture {
  const char* model_type;
  AnyVlmPolicy (*load)(const VlmPolicySource&);
};

inline constexpr VlmArchitecture vlm_architectures[] = {
    {"caprl_tiny_vlm",
     [](const VlmPolicySource& source) { return make_vlm_policy(load_tiny_vlm(source.folder), source); }},
    {"qwen2_5_vl",
     [](const VlmPolicySource& source) { return make_vlm_policy(load_qwen25_vl(source.folder), source); }},
    {"qwen3_vl", [](const VlmPolicySource& source) { return make_vlm_policy(load_qwen3_vl(source.folder), source); }}};

/// The entry for the model_type of a config.json. Throws Error that lists those that there are.
inline const VlmArchitecture& vlm_architecture(const std::filesystem::path& config) {
  const Json json = load_json(config);
  const JsonFields fields(json, config.string());
  const auto type = fields.get<std::string>("model_type");
  std::string known;
  for (const VlmArchitecture& architecture : vlm_architectures) {
    if (type == architecture.model_type) return architecture;
    known += (known.empty() ? "" : ", ") + std::string(architecture.model_type);
  }
  throw fields.error("model_type", "expected one of " + known + "; got \"" + type + "\"");
}

}  // namespace detail

/// The policy of a model folder of any of these architectures, chosen by config.json's "model_type". Captions end, too,
/// with the end tokens of the folder's generation_config.json. `adapter`, unless empty, is a PEFT folder whose adapter
/// is merged into the weights first. Throws Error naming the file and field, or the tensor, that is not as expected.
inline AnyVlmPolicy load_vlm_policy(const std::filesystem::path& folder, VlmPolicySettings settings = {},
                                    const std::filesystem::path& adapter = {}) {
  const auto& architecture = detail::vlm_architecture(folder / "config.json");
  for (const Token token : load_generation_config(folder).end_tokens) settings.end_tokens.push_back(token);
  return architecture.load({folder, adapter, std::move(settings)});
}

/// Draws as a folder's generation_config.json says.
using PublishedSampler = Sample<RepetitionPenalty, Temperature, TopK, TopP>;

inline PublishedSampler published_sampler(const GenerationConfig& config) {
  const RepetitionPenalty penalty{config.repetition_penalty};
  if (!config.draws) return PublishedSampler(penalty, Temperature{}, TopK{1}, TopP{});  // the likeliest
  return PublishedSampler(penalty, Temperature{config.temperature}, TopK{config.top_k}, TopP{config.top_p});
}

}  // namespace caprl
