#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/io/finite.hpp"
#include "caprl/io/gguf_header.hpp"
#include "caprl/io/input_file.hpp"
#include "caprl/tensor/tensor.hpp"

namespace caprl {

/// A GGUF file, as llama.cpp writes them: metadata and tensors. Its header is checked when it is opened; tensors are
/// expanded on request, block by block, into aligned storage.
class GgufFile {
 public:
  /// Throws Error naming the file for anything that the format does not allow, and for tensors of a type that is not
  /// read.
  explicit GgufFile(std::filesystem::path path) : file_(std::move(path)), header_(read_gguf_header(file_)) {}

  const std::filesystem::path& path() const { return file_.path(); }
  const GgufMetadata& metadata() const { return header_.metadata; }
  const std::map<std::string, GgufTensor>& tensors() const { return header_.tensors; }
  bool contains(const std::string& name) const { return header_.tensors.count(name) != 0; }

  const GgufTensor& info(const std::string& name) const {
    const auto found = header_.tensors.find(name);
    if (found == header_.tensors.end()) throw Error("[gguf] no tensor named " + name, path().string());
    return found->second;
  }

  /// A copy as float, double or bf16. Throws Error for a number that is not finite unless that is allowed, or a file
  /// that was cut short since it was opened.
  template <class T>
  Tensor<T> read(const std::string& name, Finite finite = Finite::required) const {
    static_assert(std::is_floating_point_v<T> || std::is_same_v<T, bf16>, "expected float, double or bf16");
    const GgufTensor& stored = info(name);
    Tensor<T> tensor(stored.shape);
    read_elements(stored, tensor);
    if (finite == Finite::required) require_finite(tensor, "gguf", name, path());
    return tensor;
  }

  /// The same, and the shape must be `expected`.
  template <class T>
  Tensor<T> read(const std::string& name, const Shape& expected, Finite finite = Finite::required) const {
    if (info(name).shape != expected) {
      throw Error("[gguf] expected shape " + to_string(expected) + " for tensor " + name + ", got " +
                      to_string(info(name).shape),
                  path().string(), "the tensors do not fit the file's own metadata");
    }
    return read<T>(name, finite);
  }

 private:
  static constexpr Index elements_at_once = Index{1} << 18;  // a multiple of every type's

  template <class T>
  void read_elements(const GgufTensor& stored, const Tensor<T>& tensor) const {
    const GgufType& type = *stored.type;
    std::vector<std::byte> blocks;
    std::vector<float> numbers;
    for (Index done = 0; done < tensor.elements(); done += elements_at_once) {
      const Index some = std::min(elements_at_once, tensor.elements() - done);
      blocks.resize(static_cast<std::size_t>(some / type.elements * type.bytes));
      file_.read(header_.data_begin + stored.begin + static_cast<std::uint64_t>(done / type.elements * type.bytes),
                 blocks);
      if constexpr (std::is_same_v<T, float>) {
        type.expand(blocks, tensor.data() + done);
      } else {
        numbers.resize(static_cast<std::size_t>(some));
        type.expand(blocks, numbers.data());
        std::ranges::transform(numbers, tensor.data() + done, [](float number) { return static_cast<T>(number); });
      }
    }
  }

  InputFile file_;
  GgufHeader header_;
};

}  // namespace caprl
