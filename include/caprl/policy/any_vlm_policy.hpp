#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <utility>

#include "caprl/model/any_vlm.hpp"
#include "caprl/model/generation_config.hpp"
#include "caprl/model/lora.hpp"
#include "caprl/policy/qwen_vl_policy.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/sampling/sample.hpp"

namespace caprl {

template <class T, class Device>
ChatTemplate chat_template(const Tokenizer& tokenizer, const AnyVlm<T, Device>& any) {
  return any.visit_model([&](const auto& model) { return chat_template(tokenizer, model); });
}

using AnyPromptEncoder = std::function<VlmPrompt(const CaptionItem&, std::span<const Clip>)>;

template <class T, class Device>
AnyPromptEncoder prompt_encoder(const ChatTemplate& chat, const AnyVlm<T, Device>& any) {
  return any.visit_model([&](const auto& model) { return AnyPromptEncoder(prompt_encoder(chat, model)); });
}

/// A policy whose architecture is known when the program runs; `policy.model().architecture` is the model itself.
using AnyVlmPolicy = VlmPolicy<AnyVlm<float>, float>;

/// The policy of a model folder of any of `AnyVlm`'s architectures. Captions end, too, with the end tokens of the
/// folder's generation_config.json. `adapter`, unless empty, is a PEFT folder whose adapter is merged into the weights
/// first. Throws Error naming the file and field, or the tensor, that is not as expected.
inline AnyVlmPolicy load_vlm_policy(const std::filesystem::path& folder, VlmPolicySettings settings = {},
                                    const std::filesystem::path& adapter = {}) {
  ModelFolder<AnyVlm<float>> loaded = load_vlm<float>(folder);
  for (const Token token : load_generation_config(folder).end_tokens) settings.end_tokens.push_back(token);
  if (!adapter.empty()) {
    load_vlm_lora(loaded.model, adapter);
    merge_and_unload_lora<float>(loaded.model);
  }
  return AnyVlmPolicy(std::move(loaded.model), loaded.tokenizer, settings);
}

/// Draws as a folder's generation_config.json says.
using PublishedSampler = Sample<RepetitionPenalty, Temperature, TopK, TopP>;

inline PublishedSampler published_sampler(const GenerationConfig& config) {
  const RepetitionPenalty penalty{config.repetition_penalty};
  if (!config.draws) return PublishedSampler(penalty, Temperature{}, TopK{1}, TopP{});  // the likeliest
  return PublishedSampler(penalty, Temperature{config.temperature}, TopK{config.top_k}, TopP{config.top_p});
}

}  // namespace caprl
