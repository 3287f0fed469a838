#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caprl/autograd/var.hpp"

namespace caprl {

/// A tensor as a weight file names it: rows [row_begin, row_end) of a parameter. Fused parameters (query, key, value;
/// gate, up) hold several.
///
/// A module is a plain aggregate of parameters and other modules with a member
///     template <class Visit> void visit(const std::string& prefix, const Visit& visit) const;
/// that calls visit(NamedBlock) for each tensor of its weight file, in a fixed order.
template <class T, class Device = Cpu>
struct NamedBlock {
  std::string name;
  Parameter<T, Device> parameter;
  Index row_begin = 0;
  Index row_end = 0;
  Shape stored{};  ///< the shape in files, if it has other axes than the parameter (a convolution's kernel); else empty

  /// The block's elements in a tensor that is shaped as the parameter (its value, gradient or optimizer state).
  template <class U>
  Tensor<U, Device> of(const Tensor<U, Device>& whole) const {
    return whole.slice(row_begin, row_end);
  }

  /// The block's shape in files.
  Shape file_shape() const { return stored.rank() > 0 ? stored : parameter.shape().with_first(row_end - row_begin); }
};

template <class T, class Device>
NamedBlock<T, Device> whole_block(std::string name, const Parameter<T, Device>& parameter) {
  return {std::move(name), parameter, 0, parameter.shape()[0], {}};
}

/// All tensors of a module, in the order of `visit`.
template <class T, class Device = Cpu, class Module>
std::vector<NamedBlock<T, Device>> named_blocks(const Module& module, const std::string& prefix = "") {
  std::vector<NamedBlock<T, Device>> blocks;
  module.visit(prefix, [&](NamedBlock<T, Device> block) { blocks.push_back(std::move(block)); });
  return blocks;
}

/// The blocks whose parameters are not frozen.
template <class T, class Device>
std::vector<NamedBlock<T, Device>> trained_blocks(std::vector<NamedBlock<T, Device>> blocks) {
  std::erase_if(blocks, [](const auto& block) { return !block.parameter.needs_gradient(); });
  return blocks;
}

/// The names of blocks for a message: layers' numbers become `*`, so that each kind is there once.
inline std::string kinds_of_names(const std::vector<std::string>& names) {
  std::set<std::string> kinds;
  for (const std::string& name : names) {
    std::string kind;
    for (const char c : name) {
      const bool digit = c >= '0' && c <= '9';
      if (digit && kind.ends_with('*')) continue;
      kind += digit && kind.ends_with('.') ? '*' : c;
    }
    kinds.insert(kind);
  }
  std::string listed;
  for (const std::string& kind : kinds) listed += (listed.empty() ? "" : ", ") + kind;
  return listed;
}

/// The distinct parameters of blocks, in their order; tied weights count once.
template <class T, class Device>
std::vector<Parameter<T, Device>> parameters_of(const std::vector<NamedBlock<T, Device>>& blocks) {
  std::vector<Parameter<T, Device>> parameters;
  for (const auto& block : blocks) {
    if (std::ranges::find(parameters, block.parameter) == parameters.end()) parameters.push_back(block.parameter);
  }
  return parameters;
}

/// How many numbers the parameters of blocks hold; tied weights count once.
template <class T, class Device>
Index numbers_in(const std::vector<NamedBlock<T, Device>>& blocks) {
  Index count = 0;
  for (const auto& parameter : parameters_of(blocks)) count += parameter.shape().elements();
  return count;
}

/// The distinct parameters of a module.
template <class T, class Device = Cpu, class Module>
std::vector<Parameter<T, Device>> parameters_of(const Module& module) {
  return parameters_of(named_blocks<T, Device>(module));
}

}  // namespace caprl
