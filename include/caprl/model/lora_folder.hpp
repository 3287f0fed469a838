#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/io/atomic_directory.hpp"
#include "caprl/io/atomic_file.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/io/safetensors.hpp"
#include "caprl/model/lora.hpp"
#include "caprl/model/weights.hpp"

/// Adapters in the folders of Hugging Face PEFT: adapter_config.json and adapter_model.safetensors, with the fields and
/// names of peft 0.21 (tuners/lora/config.py, utils/save_and_load.py).
/// Layers are named as in the model's weight files.
namespace caprl {

namespace detail {

/// PEFT wraps a model twice and names its layers so.
inline const std::string peft_prefix = "base_model.model.";

template <class T, class Device>
void append_peft_blocks(const std::string& layer, const Parameter<T, Device>& a, const Parameter<T, Device>& b,
                        std::vector<NamedBlock<T, Device>>& blocks) {
  blocks.push_back(whole_block(peft_prefix + layer + ".lora_A.weight", a));
  blocks.push_back(whole_block(peft_prefix + layer + ".lora_B.weight", b));
}

/// A and B of every adapter, merged or not, as PEFT names them.
template <class T, class Device, class Module>
std::vector<NamedBlock<T, Device>> peft_blocks(const Module& module) {
  std::vector<NamedBlock<T, Device>> blocks;
  for_each_adapter<T, Device>(module, [&](const LinearRows<T, Device>& rows, const LoraAdapter<T, Device>& adapter) {
    append_peft_blocks(rows.name, adapter.term.a, adapter.term.b, blocks);
  });
  return blocks;
}

/// The names and shapes of the adapters that these settings put on a model.
template <class T, class Device, class Module>
std::vector<NamedBlock<T, ShapesOnly>> peft_shapes(const Module& module, const LoraSettings& settings) {
  std::vector<NamedBlock<T, ShapesOnly>> blocks;
  for (const auto& rows : target_layers(linear_layers<T, Device>(module), settings.targets, false)) {
    const Parameter<T, ShapesOnly> a({settings.rank, rows.layer.weight.shape()[1]});
    const Parameter<T, ShapesOnly> b({rows.end - rows.begin, settings.rank});
    append_peft_blocks(rows.name, a, b, blocks);
  }
  return blocks;
}

inline LoraTargets read_lora_targets(const JsonFields& fields) {
  const Json& value = fields.raw("target_modules");
  if (value.is_array()) return fields.get<std::vector<std::string>>("target_modules");
  const auto word = fields.get<std::string>("target_modules");
  if (word == "all-linear") return LoraTargets::all_linear();
  return located(fields.where() + ", target_modules", [&] { return LoraTargets(NamePattern(word)); });
}

/// Throws Error for a field that asks for what is not done here. Those of this list say nothing of what an adapter
/// computes; of others, what is null, false or empty asks for nothing.
inline void require_plain_lora(const JsonFields& fields) {
  constexpr std::array<std::string_view, 16> read_or_idle{"peft_type",
                                                          "r",
                                                          "lora_alpha",
                                                          "use_rslora",
                                                          "lora_dropout",
                                                          "target_modules",
                                                          "bias",
                                                          "init_lora_weights",
                                                          "task_type",
                                                          "auto_mapping",
                                                          "base_model_name_or_path",
                                                          "revision",
                                                          "peft_version",
                                                          "inference_mode",
                                                          "megatron_core",
                                                          "qalora_group_size"};
  for (const auto& [name, value] : fields.value().items()) {
    const bool asks =
        !(value.is_null() || value == false || ((value.is_object() || value.is_array()) && value.empty()));
    if (asks && std::ranges::find(read_or_idle, name) == read_or_idle.end()) {
      throw fields.error(name, "expected nothing, got " + value.dump() + ", which is not supported here");
    }
  }
  const auto require_word = [&](const char* name, const std::string& expected) {
    const auto word = fields.get_or<std::string>(name, expected);
    if (word != expected) throw fields.error(name, "expected \"" + expected + "\", got \"" + word + "\"");
  };
  require_word("peft_type", "LORA");
  require_word("bias", "none");
  // Other beginnings (PiSSA, OLoRA) change the model's own weights.
  if (fields.has("init_lora_weights") && !fields.raw("init_lora_weights").is_boolean()) {
    require_word("init_lora_weights", "gaussian");
  }
}

/// `layers`: the complete names of those with adapters. They stand in place of ends and patterns, by which PEFT would
/// choose among its own modules: other names, and convolutions too.
inline Json lora_config(const LoraSettings& settings, const std::string& base_model,
                        const std::vector<std::string>& layers) {
  return {{"peft_type", "LORA"},
          {"task_type", "CAUSAL_LM"},
          {"base_model_name_or_path", base_model},
          {"inference_mode", true},
          {"r", settings.rank},
          {"lora_alpha", settings.alpha},
          {"use_rslora", settings.rank_stabilised},
          {"lora_dropout", settings.dropout},
          {"target_modules", settings.targets.is_all_linear() ? Json(settings.targets.word()) : Json(layers)},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"init_lora_weights", true},
          {"modules_to_save", nullptr}};
}

}  // namespace detail

/// The settings in an adapter_config.json. Throws Error naming the field that is not as expected, such as
/// modules_to_save: only A and B of linear layers are read.
inline LoraSettings read_lora_settings(const std::filesystem::path& config) {
  const Json json = load_json(config);
  const JsonFields fields(json, config.string());
  detail::require_plain_lora(fields);
  LoraSettings settings{.rank = fields.get<Index>("r"),
                        .alpha = fields.get<double>("lora_alpha"),
                        .rank_stabilised = fields.get_or("use_rslora", false),
                        .dropout = fields.get_or("lora_dropout", 0.0),
                        .targets = detail::read_lora_targets(fields)};
  constexpr Index most = 65536;
  if (settings.rank < 1 || settings.rank > most) {
    throw fields.error("r", "expected 1 to " + std::to_string(most) + ", got " + std::to_string(settings.rank));
  }
  if (!(settings.dropout >= 0 && settings.dropout < 1)) throw fields.error("lora_dropout", "expected 0 to below 1");
  if (std::abs(settings.alpha) > static_cast<double>(std::numeric_limits<float>::max())) {
    throw fields.error("lora_alpha", "expected a number within single precision");
  }
  return settings;
}

/// Puts the adapter of a PEFT folder on a model, as `add_lora` would. Its file must hold A and B of exactly the layers
/// that the targets match. Throws Error naming the field or tensor that is not as expected.
template <class T, class Device = Cpu, class Module>
LoraSettings load_lora(const Module& module, const std::filesystem::path& folder) {
  const std::filesystem::path config = folder / "adapter_config.json";
  LoraSettings settings = read_lora_settings(config);
  const SafetensorsFile file(folder / "adapter_model.safetensors");
  // Before memory is taken: a wrong rank asks for no more numbers than the file has.
  located(config.string(), [&] { require_blocks(detail::peft_shapes<T, Device>(module, settings), file); });
  detail::attach_adapters<T, Device>(module, settings, 0, false);
  load_weights(detail::peft_blocks<T, Device>(module), file);
  return settings;
}

/// Writes a model's adapters to a folder that PEFT opens, at once or not at all. `settings`: those of `add_lora` or
/// `load_lora`; `base_model`: the folder or name of the model that the adapter is for. Throws Error if the model's own
/// weights were trained too, which the format has no place for.
template <class T, class Device = Cpu, class Module>
void save_lora(const Module& module, const LoraSettings& settings, const std::string& base_model,
               const std::filesystem::path& folder, WeightFormat format = WeightFormat::float32) {
  const auto own = trained_blocks(named_blocks<T, Device>(module));
  if (!own.empty()) {
    throw Error("[save_lora] expected a model whose own weights are frozen, got one that trains them", own.front().name,
                "save the model with the adapters merged: merge_lora, then its folder");
  }
  const auto blocks = detail::peft_blocks<T, Device>(module);
  require(!blocks.empty() && blocks.front().parameter.shape()[0] == settings.rank,
          "[save_lora] expected a model with adapters of the settings' rank", folder.string());
  std::vector<std::string> layers;
  for_each_adapter<T, Device>(
      module, [&](const LinearRows<T, Device>& rows, const LoraAdapter<T, Device>&) { layers.push_back(rows.name); });
  AtomicDirectory directory(folder);
  write_file_atomically(directory.path() / "adapter_config.json",
                        detail::lora_config(settings, base_model, layers).dump(2) + "\n");
  write_safetensors(directory.path() / "adapter_model.safetensors", weight_tensors(blocks, format), {{"format", "pt"}});
  directory.commit();
}

}  // namespace caprl
