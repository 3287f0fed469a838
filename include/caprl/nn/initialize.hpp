#pragma once

#include <cmath>
#include <cstdint>

#include "caprl/core/hash.hpp"
#include "caprl/core/random.hpp"
#include "caprl/nn/module.hpp"

namespace caprl {

/// Fills a block with normal numbers of the given standard deviation, keyed by seed and name: the draws of a tensor do
/// not depend on the tensors before it.
template <class T>
void fill_normal(const NamedBlock<T>& block, double deviation, std::uint64_t seed) {
  const Tensor<T> values = block.of(block.parameter.value());
  RandomStream stream({.seed = seed,
                       .purpose = Purpose::initial_weights,
                       .item = static_cast<std::uint32_t>(Fnv1a().add(block.name).value())});
  for (T& value : values.span()) value = static_cast<T>(deviation * stream.normal());
}

/// Fresh weights for a module: norm gains 1, biases 0, tables and matrices normal with deviation sqrt(1 / (3 in)), which
/// is about GPT-2's 0.02 at its width of 768. As there, the matrices named in `is_branch_end` (which add to the residual
/// stream) are scaled down by 1 / sqrt(2 layers).
template <class T, class Module, class IsBranchEnd>
void initialize(const Module& module, Index layers, std::uint64_t seed, const IsBranchEnd& is_branch_end) {
  for (const auto& block : named_blocks<T>(module)) {
    const Tensor<T> values = block.of(block.parameter.value());
    if (values.shape().rank() == 1) {
      const bool is_bias = block.name.ends_with("bias");
      std::fill_n(values.data(), values.elements(), is_bias ? T{0} : T{1});
      continue;
    }
    double deviation = std::sqrt(1.0 / (3.0 * static_cast<double>(values.shape().columns())));
    if (is_branch_end(block.name)) deviation /= std::sqrt(2.0 * static_cast<double>(layers));
    fill_normal(block, deviation, seed);
  }
}

}  // namespace caprl
