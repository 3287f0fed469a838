#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "caprl/model/any_vlm.hpp"
#include "caprl/model/lora.hpp"
#include "caprl/model/lora_folder.hpp"
#include "caprl/optim/parameter_groups.hpp"
#include "caprl/tensor/bf16.hpp"

/// What of a captioner is trained: all of it, or LoRA adapters, without what is frozen.
namespace examples {

struct TrainedParts {
  caprl::Index lora_rank = 0;
  double lora_alpha = 16;
  double lora_dropout = 0;
  std::vector<std::string> lora_targets;
  bool lora_rank_stabilised = false;
  std::vector<std::string> frozen;
  std::vector<std::string> learning_rate_factors;
};

/// Gives the option --lora-rank, which those of adapters need.
inline CLI::Option* add_trained_parts_options(CLI::App& app, TrainedParts& parts) {
  auto* rank = app.add_option("--lora-rank", parts.lora_rank, "Train LoRA adapters of this rank; 0: the weights")
                   ->capture_default_str()
                   ->check(CLI::NonNegativeNumber);
  app.add_option("--lora-alpha", parts.lora_alpha, "Adapters are scaled by this over their rank")
      ->capture_default_str()
      ->needs(rank);
  app.add_flag("--lora-rank-stabilised", parts.lora_rank_stabilised, "Over its root instead")->needs(rank);
  app.add_option("--lora-targets", parts.lora_targets,
                 "Ends of the names of the layers with adapters, such as q_proj v_proj (default: all linear layers)")
      ->needs(rank);
  app.add_option("--freeze", parts.frozen, "Parts of tensors' names that are not trained, such as visual embed_tokens");
  app.add_option("--learning-rate-factor", parts.learning_rate_factors,
                 "PART=FACTOR of the learning rate for tensors with this part in their names, such as visual=0.1");
  return rank;
}

/// None where the weights themselves are trained.
inline std::optional<caprl::LoraSettings> lora_settings(const TrainedParts& parts) {
  if (parts.lora_rank == 0) {
    const TrainedParts usual;
    caprl::require(parts.lora_alpha == usual.lora_alpha && parts.lora_dropout == 0 && parts.lora_targets.empty() &&
                       !parts.lora_rank_stabilised,
                   "[--lora-rank] expected a rank beside other settings of adapters: 0 trains the weights themselves");
    return std::nullopt;
  }
  caprl::LoraSettings settings{.rank = parts.lora_rank,
                               .alpha = parts.lora_alpha,
                               .rank_stabilised = parts.lora_rank_stabilised,
                               .dropout = parts.lora_dropout};
  if (!parts.lora_targets.empty()) settings.targets = parts.lora_targets;
  return settings;
}

inline caprl::ParameterGroups parameter_groups(const TrainedParts& parts) {
  caprl::ParameterGroups groups;
  for (const std::string& part : parts.frozen) groups.push_back({part, 0});
  for (const std::string& text : parts.learning_rate_factors) {
    const std::size_t equals = text.rfind('=');
    const std::string number = equals == std::string::npos ? "" : text.substr(equals + 1);
    const char* end = number.data() + number.size();
    double factor = 0;
    const auto read = std::from_chars(number.data(), end, factor);
    caprl::require(read.ec == std::errc() && read.ptr == end,
                   "[--learning-rate-factor] expected PART=FACTOR, got " + text);
    groups.push_back({text.substr(0, equals), factor});
  }
  return groups;
}

/// Puts adapters on a captioner where the options ask for them. `recorded`: a run's settings that may not change.
inline void add_adapters(const TrainedParts& parts, const caprl::AnyVlm<float>& model, std::uint64_t seed,
                         caprl::Json& recorded) {
  const auto settings = lora_settings(parts);
  if (!settings) return;
  caprl::add_lora<float>(model, *settings, seed);
  recorded["lora"] = {{"rank", settings->rank},
                      {"scale", settings->scale()},
                      {"dropout", settings->dropout},
                      {"targets", parts.lora_targets},
                      {"seed", seed}};
}

/// Freezes what the groups freeze, as the run will, and says what is left to train.
inline void print_trained(const caprl::ParameterGroups& groups, const std::vector<caprl::NamedBlock<float>>& blocks) {
  const auto trained = caprl::apply_groups(groups, blocks);
  const caprl::Index numbers = caprl::numbers_in(trained.blocks);
  std::printf("training %ld of %ld numbers; the optimizer's averages occupy %ld bytes\n", static_cast<long>(numbers),
              static_cast<long>(caprl::numbers_in(blocks)), static_cast<long>(numbers * 2 * sizeof(float)));
}

/// Writes the captioner to out/model. Adapters are written to out/adapter and merged: out/model needs none. The weights
/// are then as they were written.
inline void save_trained(const TrainedParts& parts, const caprl::AnyVlm<float>& model,
                         const std::filesystem::path& base, const std::filesystem::path& out,
                         caprl::WeightFormat format) {
  if (const auto settings = lora_settings(parts)) {
    caprl::save_vlm_lora(model, *settings, base.string(), out / "adapter");
    caprl::merge_lora<float>(model);
  }
  caprl::save_vlm(model, base / "tokenizer.json", out / "model", format);
  if (format != caprl::WeightFormat::bf16) return;
  for (const auto& parameter : caprl::parameters_of<float>(model)) {
    std::ranges::transform(parameter.value().span(), parameter.value().data(),
                           [](float value) { return static_cast<float>(caprl::bf16(value)); });
  }
}

}  // namespace examples
