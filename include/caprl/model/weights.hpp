#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/io/safetensors.hpp"
#include "caprl/io/safetensors_writer.hpp"
#include "caprl/nn/module.hpp"
#include "caprl/tensor/weight_format.hpp"

namespace caprl {

/// Reads a module's tensors, by the names that it gives them, from a safetensors file. Throws Error where a tensor is
/// missing, unknown, of another shape or not finite.
template <class T, class Module>
void load_weights(const Module& module, const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const auto blocks = named_blocks<T>(module);
  std::vector<std::string> names;
  for (const auto& block : blocks) names.push_back(block.name);
  require_names(file, names);
  for (const auto& block : blocks) {
    const Tensor<T> target = block.of(block.parameter.value());
    const Tensor<T> read = file.read<T>(block.name, target.shape());
    std::copy_n(read.data(), read.elements(), target.data());
  }
}

/// Writes a module's tensors to a safetensors file, at once or not at all.
template <class T, class Module>
void save_weights(const Module& module, const std::filesystem::path& path, WeightFormat format) {
  std::vector<NamedTensor> tensors;
  for (const auto& block : named_blocks<T>(module)) {
    const Tensor<T> values = block.of(block.parameter.value());
    tensors.push_back(format == WeightFormat::bf16 ? named_tensor_bf16(block.name, values)
                                                   : named_tensor(block.name, values));
  }
  write_safetensors(path, std::move(tensors), {{"format", "pt"}});
}

}  // namespace caprl
