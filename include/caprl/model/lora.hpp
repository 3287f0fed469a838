#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/hash.hpp"
#include "caprl/core/random.hpp"
#include "caprl/model/lora_targets.hpp"
#include "caprl/nn/linear.hpp"
#include "caprl/nn/module.hpp"

/// LoRA (Hu et al., 2021, arXiv 2106.09685): the weights of a model are frozen, and chosen linear layers learn an
/// addition of low rank, y = x W^T + b + scale * dropout(x) A^T B^T.
namespace caprl {

/// What PEFT's LoraConfig calls r, lora_alpha, use_rslora, lora_dropout and target_modules.
struct LoraSettings {
  Index rank = 8;
  double alpha = 8;
  bool rank_stabilised = false;  ///< scale alpha / sqrt(rank) (Kalajdzievski, 2023, arXiv 2312.03732), not alpha / rank
  double dropout = 0;            ///< share of a layer's inputs that its adapter does not see in supervised training
  LoraTargets targets = LoraTargets::all_linear();

  double scale() const {
    const auto r = static_cast<double>(rank);
    return alpha / (rank_stabilised ? std::sqrt(r) : r);
  }
};

namespace detail {

inline void require_lora_settings(const LoraSettings& settings) {
  if (settings.rank < 1 || !std::isfinite(settings.alpha) || !(settings.dropout >= 0 && settings.dropout < 1)) {
    throw Error("[LoRA] expected a rank of at least 1, a finite alpha and a dropout from 0 to below 1, got " +
                std::to_string(settings.rank) + ", " + std::to_string(settings.alpha) + " and " +
                std::to_string(settings.dropout));
  }
}

/// A as PEFT begins it (torch's kaiming_uniform_ with a = sqrt(5)): uniform within 1 / sqrt(in), keyed by seed and
/// name.
template <class T, class Device>
void fill_lora_a(const Parameter<T, Device>& a, const std::string& layer, std::uint64_t seed) {
  const double bound = 1 / std::sqrt(static_cast<double>(a.shape()[1]));
  RandomStream stream({.seed = seed,
                       .purpose = Purpose::initial_weights,
                       .item = static_cast<std::uint32_t>(Fnv1a().add(layer + ".lora_A").value())});
  for (T& value : a.value().span()) value = static_cast<T>(stream.uniform(-bound, bound));
}

template <class T, class Device>
LoraAdapter<T, Device> fresh_adapter(const LinearRows<T, Device>& rows, const LoraSettings& settings,
                                     std::uint64_t seed) {
  LowRankTerm<T, Device> term{.a = Parameter<T, Device>({settings.rank, rows.layer.weight.shape()[1]}),
                              .b = Parameter<T, Device>({rows.end - rows.begin, settings.rank}),
                              .begin = rows.begin,
                              .scale = static_cast<T>(settings.scale()),
                              .dropout = settings.dropout,
                              .name = rows.name};
  if constexpr (!std::is_same_v<Device, ShapesOnly>) {
    fill_lora_a(term.a, rows.name, seed);
    std::fill_n(term.b.value().data(), term.b.value().elements(), T{0});
  }
  return {std::move(term)};
}

/// The layers that the targets match. Throws Error if there are none, or if one of their ends matches none and
/// `all` is asked for; it lists the layers that there are.
template <class T, class Device>
std::vector<LinearRows<T, Device>> target_layers(std::vector<LinearRows<T, Device>> layers, const LoraTargets& targets,
                                                 bool all) {
  std::vector<std::string> names;
  for (const auto& rows : layers) names.push_back(rows.name);
  const auto unmatched = targets.without_layer(names);
  std::erase_if(layers, [&](const auto& rows) { return !targets.match(rows.name); });
  if (layers.empty() || (all && !unmatched.empty())) {
    throw Error("[LoRA] expected targets among the model's linear layers, got none for \"" +
                    (unmatched.empty() ? targets.word() : unmatched.front()) + "\"",
                "", "choose among " + kinds_of_names(names));
  }
  return layers;
}

template <class T, class Device, class Module>
void attach_adapters(const Module& module, const LoraSettings& settings, std::uint64_t seed, bool all_targets) {
  require_lora_settings(settings);
  for_each_adapter<T, Device>(module, [](const LinearRows<T, Device>& rows, const LoraAdapter<T, Device>&) {
    throw Error("[LoRA] expected a model without adapters, got one", rows.name, "load the model's folder once more");
  });
  const auto targets = target_layers(linear_layers<T, Device>(module), settings.targets, all_targets);
  for (const auto& block : named_blocks<T, Device>(module)) block.parameter.freeze();
  for (const auto& rows : targets) rows.layer.adapters->push_back(fresh_adapter(rows, settings, seed));
}

}  // namespace detail

/// Freezes a model and puts a fresh adapter on each layer that the targets match: as B is 0, the model computes what it
/// did. The same adapters for the same seed. Throws Error, with nothing changed, where a target matches no layer or
/// adapters are there already.
template <class T, class Device = Cpu, class Module>
void add_lora(const Module& module, const LoraSettings& settings, std::uint64_t seed) {
  detail::attach_adapters<T, Device>(module, settings, seed, true);
}

/// A and B of each adapter that is not merged, named LAYER.lora_A.weight and LAYER.lora_B.weight: what is trained.
template <class T, class Device = Cpu, class Module>
std::vector<NamedBlock<T, Device>> lora_blocks(const Module& module) {
  std::vector<NamedBlock<T, Device>> blocks;
  for_each_adapter<T, Device>(module, [&](const LinearRows<T, Device>& rows, const LoraAdapter<T, Device>& adapter) {
    if (adapter.merged()) return;
    blocks.push_back(whole_block(rows.name + ".lora_A.weight", adapter.term.a));
    blocks.push_back(whole_block(rows.name + ".lora_B.weight", adapter.term.b));
  });
  return blocks;
}

namespace detail {

/// W += scale B A for every adapter that is not merged, after before_change(adapter, its rows of W).
template <class T, class Device, class Module, class BeforeChange>
void add_adapters_to_weights(const Module& module, const BeforeChange& before_change) {
  bool any = false;
  for_each_adapter<T, Device>(module, [&](const LinearRows<T, Device>& rows, LoraAdapter<T, Device>& adapter) {
    if (adapter.merged()) return;
    any = true;
    const Tensor<T, Device> weight = rows.layer.weight.value().slice(rows.begin, rows.end);
    before_change(adapter, weight);
    gemm<T>(Device{}, Transpose::no, Transpose::no, adapter.term.scale, adapter.term.b.rows(), adapter.term.a.rows(),
            T{1}, weight.rows());
  });
  require(any, "[merge_lora] expected adapters that are not merged, got none");
}

}  // namespace detail

/// W += scale B A for every adapter: the model computes the same, at the price of one without adapters. The weights
/// before are kept, which takes as much memory again as the adapted layers. Throws Error if there is nothing to merge.
template <class T, class Device = Cpu, class Module>
void merge_lora(const Module& module) {
  detail::add_adapters_to_weights<T, Device>(
      module,
      [](LoraAdapter<T, Device>& adapter, const Tensor<T, Device>& weight) { adapter.unmerged = weight.clone(); });
}

/// The same for good, for a model that is not trained on: nothing is kept, and the model has no adapters afterwards
/// (PEFT's merge_and_unload).
template <class T, class Device = Cpu, class Module>
void merge_and_unload_lora(const Module& module) {
  detail::add_adapters_to_weights<T, Device>(module, [](const auto&, const auto&) {});
  for (const auto& rows : linear_layers<T, Device>(module)) rows.layer.adapters->clear();
}

/// Gives the weights back that were there before `merge_lora`, to the bit. Throws Error if nothing is merged.
template <class T, class Device = Cpu, class Module>
void unmerge_lora(const Module& module) {
  bool any = false;
  for_each_adapter<T, Device>(module, [&](const LinearRows<T, Device>& rows, LoraAdapter<T, Device>& adapter) {
    if (!adapter.merged()) return;
    any = true;
    copy_rows(Device{}, adapter.unmerged.rows(), rows.layer.weight.rows().rows_between(rows.begin, rows.end));
    adapter.unmerged = {};
  });
  require(any, "[unmerge_lora] expected merged adapters, got none");
}

}  // namespace caprl
