#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "caprl/io/finite.hpp"
#include "caprl/io/input_file.hpp"
#include "caprl/io/safetensors_header.hpp"
#include "caprl/tensor/tensor.hpp"

namespace caprl {

namespace detail {

template <class T>
inline constexpr bool is_float_type = std::is_floating_point_v<T> || std::is_same_v<T, bf16>;

/// True if elements of `type` may be read as T: floating types into one another, integers into themselves.
template <class T>
constexpr bool converts_to(StoredType type) {
  if constexpr (is_float_type<T>) {
    return type == StoredType::F32 || type == StoredType::F16 || type == StoredType::BF16 || type == StoredType::F64;
  } else {
    return type == stored_type_of<T>() || (std::is_same_v<T, std::int64_t> && type == StoredType::I32) ||
           (std::is_same_v<T, std::uint8_t> && type == StoredType::BOOL);
  }
}

/// Copies `count` elements of type Source from bytes of any alignment.
template <class Source, class T, class Convert>
void copy_elements(std::span<const std::byte> bytes, T* target, const Convert& convert) {
  const std::size_t count = bytes.size() / sizeof(Source);
  for (std::size_t i = 0; i < count; ++i) {
    Source element;
    std::memcpy(&element, bytes.data() + i * sizeof(Source), sizeof(Source));
    target[i] = convert(element);
  }
}

/// True if elements of `type` are T's own bytes.
template <class T>
constexpr bool is_stored_as(StoredType type) {
  return type == stored_type_of<T>() || (type == StoredType::BOOL && sizeof(T) == 1);
}

/// Converts elements of another type than T.
template <class T>
void convert_stored(StoredType type, std::span<const std::byte> bytes, T* target) {
  if constexpr (is_float_type<T>) {
    // A double goes to bf16 by way of float, as everywhere in the library.
    const auto from_float = [](float value) { return static_cast<T>(value); };
    if (type == StoredType::F32) copy_elements<float>(bytes, target, from_float);
    if (type == StoredType::F16) {
      copy_elements<std::uint16_t>(bytes, target, [&](std::uint16_t half) { return from_float(half_to_float(half)); });
    }
    if (type == StoredType::BF16) {
      copy_elements<bf16>(bytes, target, [&](bf16 value) { return from_float(static_cast<float>(value)); });
    }
    if (type == StoredType::F64) {
      copy_elements<double>(bytes, target, [&](double value) { return from_float(static_cast<float>(value)); });
    }
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    copy_elements<std::int32_t>(bytes, target, [](std::int32_t value) { return std::int64_t{value}; });
  }
}

}  // namespace detail

/// A safetensors file. Its header is checked when it is opened; tensors are read on request into aligned storage, so
/// that results do not depend on where the file put them.
class SafetensorsFile {
 public:
  /// Throws Error naming the file for anything that the format does not allow.
  explicit SafetensorsFile(std::filesystem::path path)
      : file_(std::move(path)), header_(read_safetensors_header(file_)) {}

  const std::filesystem::path& path() const { return file_.path(); }
  const std::map<std::string, StoredTensor>& tensors() const { return header_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  bool contains(const std::string& name) const { return header_.tensors.count(name) != 0; }

  const StoredTensor& info(const std::string& name) const {
    const auto found = header_.tensors.find(name);
    if (found == header_.tensors.end()) throw Error("[safetensors] no tensor named " + name, path().string());
    return found->second;
  }

  /// A copy, converted to T: F32, F16, BF16 and F64 to float, double or bf16; integers to the same type (I32 also to
  /// int64, BOOL to uint8). Throws Error for another type, a number that is not finite unless that is allowed, or a
  /// file that was cut short since it was opened.
  template <class T>
  Tensor<T> read(const std::string& name, Finite finite = Finite::required) const {
    const StoredTensor& stored = info(name);
    if (!detail::converts_to<T>(stored.type)) {
      throw Error("[safetensors] expected " + std::string(name_of(stored_type_of<T>())) + " for tensor " + name +
                      ", got " + std::string(name_of(stored.type)),
                  path().string());
    }
    Tensor<T> tensor(stored.shape);
    read_elements(stored, tensor);
    if constexpr (detail::is_float_type<T>) {
      if (finite == Finite::required) require_finite(tensor, "safetensors", name, path());
    }
    return tensor;
  }

  /// The same, and the shape must be `expected`.
  template <class T>
  Tensor<T> read(const std::string& name, const Shape& expected, Finite finite = Finite::required) const {
    require_shape(name, expected);
    return read<T>(name, finite);
  }

  /// Throws Error unless there is such a tensor and its shape is `expected`.
  void require_shape(const std::string& name, const Shape& expected) const {
    if (info(name).shape == expected) return;
    throw Error("[safetensors] expected shape " + to_string(expected) + " for tensor " + name + ", got " +
                    to_string(info(name).shape),
                path().string(), "the file does not fit the model's config.json");
  }

  /// True if a tensor has the type, shape and bytes of one of the same or another file.
  bool equals(const std::string& name, const SafetensorsFile& other, const std::string& other_name) const {
    const StoredTensor &one = info(name), &two = other.info(other_name);
    if (one.type != two.type || one.shape != two.shape) return false;
    std::vector<std::byte> bytes, others;
    for (std::uint64_t at = 0; at < one.end - one.begin; at += block_bytes) {
      bytes.resize(static_cast<std::size_t>(std::min(block_bytes, one.end - one.begin - at)));
      others.resize(bytes.size());
      file_.read(header_.data_begin + one.begin + at, bytes);
      other.file_.read(other.header_.data_begin + two.begin + at, others);
      if (bytes != others) return false;
    }
    return true;
  }

 private:
  static constexpr std::uint64_t block_bytes = std::uint64_t{1} << 20;

  template <class T>
  void read_elements(const StoredTensor& stored, const Tensor<T>& tensor) const {
    const std::uint64_t begin = header_.data_begin + stored.begin, end = header_.data_begin + stored.end;
    if (detail::is_stored_as<T>(stored.type)) {
      return file_.read(begin, std::as_writable_bytes(tensor.span()));
    }
    std::vector<std::byte> block(static_cast<std::size_t>(std::min(block_bytes, end - begin)));
    T* target = tensor.data();
    for (std::uint64_t at = begin; at < end; at += block.size()) {
      block.resize(static_cast<std::size_t>(std::min(block_bytes, end - at)));
      file_.read(at, block);
      detail::convert_stored(stored.type, std::span<const std::byte>(block), target);
      target += block.size() / static_cast<std::size_t>(bytes_of(stored.type));
    }
  }

  InputFile file_;
  SafetensorsHeader header_;
};

/// How a file's tensors differ from those that are wanted.
struct TensorNameDifference {
  std::vector<std::string> missing;  ///< wanted, not in the file
  std::vector<std::string> extra;    ///< in the file, not wanted
};

/// `file`: a `SafetensorsFile`, or `WeightFiles`.
template <class File>
TensorNameDifference compare_names(const File& file, const std::vector<std::string>& wanted) {
  TensorNameDifference difference;
  std::map<std::string, bool> is_wanted;
  for (const std::string& name : wanted) {
    is_wanted[name] = true;
    if (!file.contains(name)) difference.missing.push_back(name);
  }
  for (const auto& [name, tensor] : file.tensors()) {
    if (is_wanted.count(name) == 0) difference.extra.push_back(name);
  }
  return difference;
}

/// Throws Error with the lists unless the file holds exactly the wanted tensors.
template <class File>
void require_names(const File& file, const std::vector<std::string>& wanted) {
  const TensorNameDifference difference = compare_names(file, wanted);
  if (difference.missing.empty() && difference.extra.empty()) return;
  const auto listed = [](const std::vector<std::string>& names) {
    std::string text = std::to_string(names.size());
    for (std::size_t i = 0; i < names.size() && i < 5; ++i) text += (i == 0 ? " (" : ", ") + names[i];
    if (names.size() > 5) text += ", ...";
    return names.empty() ? text : text + ")";
  };
  throw Error("[safetensors] expected the model's tensors, got a file with missing: " + listed(difference.missing) +
                  "; extra: " + listed(difference.extra),
              file.path().string(), "the file does not fit the model's config.json");
}

}  // namespace caprl
