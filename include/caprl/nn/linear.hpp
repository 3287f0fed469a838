#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/autograd/linear.hpp"
#include "caprl/autograd/low_rank.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/core/error.hpp"
#include "caprl/nn/module.hpp"

namespace caprl {

/// A low-rank adapter on some outputs of a linear layer: those that a weight file names as a layer of its own.
template <class T, class Device = Cpu>
struct LoraAdapter {
  LowRankTerm<T, Device> term;
  Tensor<T, Device> unmerged = {};  ///< while the term is merged into the weight: the rows of the weight before

  bool merged() const { return unmerged.elements() > 0; }
};

/// What a linear layer multiplies with, and may add. A handle: copies share weights and adapters.
template <class T, class Device = Cpu>
struct Linear {
  Parameter<T, Device> weight;  ///< [out, in], as Hugging Face stores it
  Parameter<T, Device> bias;    ///< [out]; undefined for none
  std::shared_ptr<std::vector<LoraAdapter<T, Device>>> adapters =
      std::make_shared<std::vector<LoraAdapter<T, Device>>>();  ///< none, unless `add_lora` was here

  Linear(Index out, Index in, bool has_bias) : weight({out, in}) {
    if (has_bias) bias = Parameter<T, Device>({out});
  }
};

/// Outputs [begin, end) of a layer under the name of a layer of its own, without ".weight".
template <class T, class Device = Cpu>
struct LinearRows {
  std::string name;
  Linear<T, Device> layer;
  Index begin = 0;
  Index end = 0;
};

/// Visits outputs [begin, end) of a layer under the names of a layer of its own: as `LinearRows`, if the visitor takes
/// them, and their weight and bias.
template <class Visit, class T, class Device>
void visit_rows(const Visit& visit, const std::string& name, const Linear<T, Device>& layer, Index begin, Index end) {
  if constexpr (std::is_invocable_v<const Visit&, LinearRows<T, Device>>) {
    visit(LinearRows<T, Device>{name, layer, begin, end});
  }
  visit(NamedBlock<T, Device>{name + ".weight", layer.weight, begin, end, {}});
  if (layer.bias.defined()) visit(NamedBlock<T, Device>{name + ".bias", layer.bias, begin, end, {}});
}

/// Visits a whole layer.
template <class Visit, class T, class Device>
void visit_layer(const Visit& visit, const std::string& name, const Linear<T, Device>& layer) {
  visit_rows(visit, name, layer, 0, layer.weight.shape()[0]);
}

namespace detail {

/// Takes the linear layers of a module's `visit` and passes over the rest.
template <class T, class Device>
struct LinearVisitor {
  std::vector<LinearRows<T, Device>>* layers;
  void operator()(LinearRows<T, Device> rows) const { layers->push_back(std::move(rows)); }
  void operator()(const NamedBlock<T, Device>&) const {}
};

}  // namespace detail

/// All linear layers of a module as its weight file names them, in the order of `visit`.
template <class T, class Device = Cpu, class Module>
std::vector<LinearRows<T, Device>> linear_layers(const Module& module) {
  std::vector<LinearRows<T, Device>> layers;
  module.visit("", detail::LinearVisitor<T, Device>{&layers});
  return layers;
}

/// Calls use(rows, adapter) for each adapter on a module's layers, with the rows that it adapts.
template <class T, class Device = Cpu, class Module, class Use>
void for_each_adapter(const Module& module, const Use& use) {
  for (const auto& rows : linear_layers<T, Device>(module)) {
    for (auto& adapter : *rows.layer.adapters) {
      if (adapter.term.begin == rows.begin) use(rows, adapter);
    }
  }
}

/// Throws Error where a module has an adapter that is not merged, for `operation`, which reads the weights alone.
template <class T, class Device = Cpu, class Module>
void require_merged(const Module& module, const char* operation) {
  for_each_adapter<T, Device>(module, [&](const LinearRows<T, Device>& rows, const LoraAdapter<T, Device>& adapter) {
    if (adapter.merged()) return;
    throw Error("[" + std::string(operation) + "] expected weights without LoRA adapters, or with merged ones",
                rows.name, "call merge_lora before; unmerge_lora gives the old weights back");
  });
}

/// True if a tensor of the module, or of an adapter on it, needs a gradient.
template <class T, class Device = Cpu, class Module>
bool any_needs_gradient(const Module& module) {
  bool any = !trained_blocks(named_blocks<T, Device>(module)).empty();
  for_each_adapter<T, Device>(module, [&](const LinearRows<T, Device>&, const LoraAdapter<T, Device>& adapter) {
    any = any || (!adapter.merged() && (adapter.term.a.needs_gradient() || adapter.term.b.needs_gradient()));
  });
  return any;
}

/// Adds what a layer's adapters make of x [T, in] to y [T, out], its product with x, in place: see
/// `add_low_rank_in_place`.
template <class T, class Device>
void add_adapters_in_place(const Var<T, Device>& y, const Var<T, Device>& x, const Linear<T, Device>& layer) {
  for (const auto& adapter : *layer.adapters) {
    if (!adapter.merged()) add_low_rank_in_place(y, x, adapter.term);
  }
}

/// The products of linear layers as ops on the tape: those of training, and of any number of rows.
struct TapedProducts {
  /// x [T, in] to [T, out]
  template <class T, class Device>
  Var<T, Device> linear(const Var<T, Device>& x, const Linear<T, Device>& layer) const {
    const auto y = caprl::linear(x, layer.weight, layer.bias);
    add_adapters_in_place(y, x, layer);
    return y;
  }
  /// residual [T, out] plus the same
  template <class T, class Device>
  Var<T, Device> linear_residual(const Var<T, Device>& x, const Linear<T, Device>& layer,
                                 const Var<T, Device>& residual) const {
    const auto y = caprl::linear_residual(x, layer.weight, residual, layer.bias);
    add_adapters_in_place(y, x, layer);
    return y;
  }
};

}  // namespace caprl
