#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/io/atomic_file.hpp"
#include "caprl/io/stored_type.hpp"
#include "caprl/tensor/tensor.hpp"

namespace caprl {

/// A tensor to be written. Keeps its elements alive; they are read when the file is written.
struct NamedTensor {
  std::string name;
  StoredType type = StoredType::F32;
  Shape shape;
  std::function<void(AtomicFile&)> write;  ///< writes `bytes()` bytes

  std::uint64_t bytes() const { return static_cast<std::uint64_t>(shape.elements() * bytes_of(type)); }
};

template <class T>
NamedTensor named_tensor(std::string name, const Tensor<T>& tensor) {
  return {std::move(name), stored_type_of<T>(), tensor.shape(),
          [tensor](AtomicFile& file) { file.write(std::as_bytes(tensor.span())); }};
}

/// The tensor rounded to bf16: block by block as it is written, so that a large model is never held twice.
template <class T>
NamedTensor named_tensor_bf16(std::string name, const Tensor<T>& tensor) {
  return {std::move(name), StoredType::BF16, tensor.shape(), [tensor](AtomicFile& file) {
            std::span<const T> left = tensor.span();
            std::vector<bf16> block;
            while (!left.empty()) {
              block.resize(std::min(left.size(), std::size_t{1} << 19));
              std::ranges::transform(left.first(block.size()), block.begin(),
                                     [](T x) { return bf16(static_cast<float>(x)); });
              file.write(std::as_bytes(std::span(block)));
              left = left.subspan(block.size());
            }
          }};
}

namespace detail {

/// Eight bytes of length and the JSON header, padded with blanks to a multiple of 8.
inline std::string safetensors_header_bytes(const std::vector<NamedTensor>& tensors,
                                            const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    nlohmann::ordered_json shape = nlohmann::ordered_json::array();
    for (int axis = 0; axis < tensor.shape.rank(); ++axis) shape.push_back(tensor.shape[axis]);
    header[tensor.name] = {{"dtype", name_of(tensor.type)},
                           {"shape", std::move(shape)},
                           {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

inline void require_distinct_names(const std::vector<NamedTensor>& sorted, const std::filesystem::path& path) {
  std::vector<std::string> names;
  for (const NamedTensor& tensor : sorted) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) {
    throw Error("[write safetensors] expected different names, got " + *twice + " twice", path.string());
  }
  if (std::binary_search(names.begin(), names.end(), "__metadata__")) {
    throw Error("[write safetensors] a tensor may not be named __metadata__", path.string());
  }
}

}  // namespace detail

/// Writes a safetensors file in one step (see `AtomicFile`). The order is that of the reference implementation: by
/// element type, wider ones first, then by name; so the same tensors give the same bytes, whatever order they come in.
inline void write_safetensors(const std::filesystem::path& path, std::vector<NamedTensor> tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  std::sort(tensors.begin(), tensors.end(), [](const NamedTensor& a, const NamedTensor& b) {
    return a.type != b.type ? a.type > b.type : a.name < b.name;
  });
  detail::require_distinct_names(tensors, path);
  AtomicFile file(path);
  file.write(detail::safetensors_header_bytes(tensors, metadata));
  for (const NamedTensor& tensor : tensors) tensor.write(file);
  file.commit();
}

}  // namespace caprl
