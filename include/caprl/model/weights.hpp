#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/io/safetensors.hpp"
#include "caprl/io/safetensors_writer.hpp"
#include "caprl/io/weight_files.hpp"
#include "caprl/nn/linear.hpp"
#include "caprl/nn/module.hpp"
#include "caprl/tensor/weight_format.hpp"

namespace caprl {

/// Puts a file's tensor in the place of `target`, whose shape it must have.
template <class T, class Device, class File>
void read_into(const File& file, const std::string& name, const Tensor<T, Device>& target) {
  const Tensor<T> read = file.template read<T>(name, target.shape());
  std::copy_n(read.data(), read.elements(), target.data());
}

/// Throws Error where one of the blocks is missing in a `SafetensorsFile` or `WeightFiles` or has another shape there,
/// or the file has a tensor that is none of them.
template <class T, class Device, class File>
void require_blocks(const std::vector<NamedBlock<T, Device>>& blocks, const File& file) {
  std::vector<std::string> names;
  for (const auto& block : blocks) names.push_back(block.name);
  require_names(file, names);
  for (const auto& block : blocks) file.require_shape(block.name, block.file_shape());
}

/// Reads blocks, by their names, from a `SafetensorsFile` or `WeightFiles`. Throws Error where a tensor is missing,
/// unknown, of another shape or not finite.
template <class T, class Device, class File>
void load_weights(const std::vector<NamedBlock<T, Device>>& blocks, const File& file) {
  require_blocks(blocks, file);
  for (const auto& block : blocks) {
    read_into(file, block.name, block.of(block.parameter.value()).reshape(block.file_shape()));
  }
}

/// The same for all blocks of a module.
template <class T, class Module>
void load_weights(const Module& module, const WeightFiles& files) {
  load_weights(named_blocks<T>(module), files);
}

/// All blocks of a model on any device, by their own names.
struct OwnBlocks {
  template <template <class, class> class Model, class T, class Device>
  std::vector<NamedBlock<T, Device>> operator()(const Model<T, Device>& model) const {
    return named_blocks<T, Device>(model);
  }
};

/// Folders of models with tied embeddings may hold the head once more, as those of small Qwen3 do: leaves it out where
/// it is the embedding's copy. Throws Error where it is not.
template <class T, class Device>
void leave_out_tied_head(const std::vector<NamedBlock<T, Device>>& blocks, WeightFiles& files) {
  const std::string head = "lm_head.weight";
  const auto is_head = [&](const auto& block) { return block.name == head; };
  const auto is_embedding = [](const auto& block) { return block.name.ends_with("embed_tokens.weight"); };
  if (!files.contains(head) || std::ranges::any_of(blocks, is_head)) return;
  const auto embedding = std::ranges::find_if(blocks, is_embedding);
  if (embedding == blocks.end() || !files.contains(embedding->name)) return;
  if (!files.equal(head, embedding->name)) {
    throw Error("[weights] expected " + head + " to be the same as " + embedding->name +
                    ", since config.json ties them, got another tensor",
                files.path().string(), "a head of its own needs \"tie_word_embeddings\": false");
  }
  files.leave_out(head);
}

/// A model of these settings with the weights of a folder, by the names that `blocks_of(model)` gives them. The files
/// must hold exactly its tensors; that is known before memory is taken for any, so that wrong settings cannot ask for
/// more numbers than the files have. Throws Error as `load_weights`.
template <template <class, class> class Model, class T, class Settings, class BlocksOf = OwnBlocks>
Model<T, Cpu> load_model(const Settings& settings, WeightFiles files, const BlocksOf& blocks_of = {}) {
  const auto blocks = blocks_of(Model<T, ShapesOnly>(settings));
  leave_out_tied_head(blocks, files);
  require_blocks(blocks, files);
  Model<T, Cpu> model(settings);
  load_weights(blocks_of(model), files);
  return model;
}

/// What a weight file holds of blocks.
template <class T, class Device>
std::vector<NamedTensor> weight_tensors(const std::vector<NamedBlock<T, Device>>& blocks,
                                        WeightFormat format = WeightFormat::float32) {
  std::vector<NamedTensor> tensors;
  for (const auto& block : blocks) {
    const Tensor<T> values = block.of(block.parameter.value()).reshape(block.file_shape());
    tensors.push_back(format == WeightFormat::bf16 ? named_tensor_bf16(block.name, values)
                                                   : named_tensor(block.name, values));
  }
  return tensors;
}

/// Writes a module's tensors to a safetensors file, at once or not at all. Throws Error where a LoRA adapter is not
/// merged: the file has no place for it.
template <class T, class Module>
void save_weights(const Module& module, const std::filesystem::path& path, WeightFormat format) {
  require_merged<T>(module, "save_weights");
  write_safetensors(path, weight_tensors(named_blocks<T>(module), format), {{"format", "pt"}});
}

}  // namespace caprl
