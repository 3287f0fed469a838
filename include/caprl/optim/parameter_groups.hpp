#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/nn/module.hpp"

namespace caprl {

/// Tensors that are trained alike, by their names.
struct ParameterGroup {
  std::string pattern;              ///< whole parts of a name between dots: "visual", "embed_tokens", "layers.0"
  double learning_rate_factor = 1;  ///< times the schedule's learning rate; 0: frozen

  /// True if the parts stand in `name`, one after the other.
  bool holds(const std::string& name) const {
    return !pattern.empty() && ("." + name + ".").find("." + pattern + ".") != std::string::npos;
  }
};

/// The first group that holds a tensor says how it is trained; one that no group holds is trained as before. What is
/// frozen already, such as the weights below LoRA adapters, stays frozen.
using ParameterGroups = std::vector<ParameterGroup>;

/// What an optimizer works on: tensors that are not frozen, and a learning-rate factor for each of their parameters.
template <class T, class Device = Cpu>
struct TrainedTensors {
  std::vector<NamedBlock<T, Device>> blocks;
  std::vector<Parameter<T, Device>> parameters;  ///< the distinct ones of the blocks
  std::vector<double> learning_rate_factors;     ///< [parameters]
};

namespace detail {

inline double factor_of(const ParameterGroups& groups, const std::string& name) {
  for (const ParameterGroup& group : groups) {
    if (group.holds(name)) return group.learning_rate_factor;
  }
  return 1;
}

template <class T, class Device>
void require_groups(const ParameterGroups& groups, const std::vector<NamedBlock<T, Device>>& blocks) {
  std::vector<std::string> names;
  for (const auto& block : blocks) names.push_back(block.name);
  for (const ParameterGroup& group : groups) {
    if (!(std::isfinite(group.learning_rate_factor) && group.learning_rate_factor >= 0)) {
      throw Error("[ParameterGroups] expected a learning-rate factor of at least 0, got " +
                      std::to_string(group.learning_rate_factor),
                  group.pattern);
    }
    if (std::ranges::any_of(names, [&](const auto& name) { return group.holds(name); })) continue;
    throw Error("[ParameterGroups] expected parts of a tensor's name, got \"" + group.pattern + "\"", "",
                "choose among the parts of " + kinds_of_names(names));
  }
}

/// Throws Error where blocks of one parameter (query, key, value; gate, up) are to be trained differently.
template <class T, class Device>
void require_alike(const ParameterGroups& groups, const std::vector<NamedBlock<T, Device>>& blocks) {
  for (std::size_t i = 0; i + 1 < blocks.size(); ++i) {
    for (std::size_t j = i + 1; j < blocks.size() && blocks[j].parameter == blocks[i].parameter; ++j) {
      if (factor_of(groups, blocks[i].name) == factor_of(groups, blocks[j].name)) continue;
      throw Error("[ParameterGroups] expected one learning-rate factor for " + blocks[i].name + " and " +
                      blocks[j].name + ", which are one product",
                  "", "name both, or the whole layer");
    }
  }
}

}  // namespace detail

/// Freezes what the groups freeze and gives what is left to train. Throws Error for a pattern that no tensor's name
/// fits, and if nothing is left.
template <class T, class Device>
TrainedTensors<T, Device> apply_groups(const ParameterGroups& groups, std::vector<NamedBlock<T, Device>> blocks) {
  detail::require_groups(groups, blocks);
  detail::require_alike(groups, trained_blocks(blocks));
  for (const auto& block : blocks) {
    if (detail::factor_of(groups, block.name) == 0) block.parameter.freeze();
  }
  TrainedTensors<T, Device> trained{trained_blocks(std::move(blocks)), {}, {}};
  require(!trained.blocks.empty(), "[ParameterGroups] expected tensors to train, got only frozen ones");
  trained.parameters = parameters_of(trained.blocks);
  for (const auto& parameter : trained.parameters) {
    const auto block = std::ranges::find(trained.blocks, parameter, &NamedBlock<T, Device>::parameter);
    trained.learning_rate_factors.push_back(detail::factor_of(groups, block->name));
  }
  return trained;
}

}  // namespace caprl
