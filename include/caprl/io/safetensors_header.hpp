#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/io/input_file.hpp"
#include "caprl/io/json_fields.hpp"
#include "caprl/io/stored_type.hpp"
#include "caprl/tensor/shape.hpp"

namespace caprl {

/// Where a tensor lies in a safetensors file. Offsets count from the end of the header.
struct StoredTensor {
  StoredType type = StoredType::F32;
  Shape shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// The header of a safetensors file, checked: every tensor lies within the data, has as many bytes as its type and
/// shape say, and the tensors cover the data without holes or overlaps.
///
/// Format: https://github.com/huggingface/safetensors (eight bytes of length, a JSON object, the data).
struct SafetensorsHeader {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin = 0;  ///< offset of the data in the file
};

namespace detail {

inline constexpr std::uint64_t largest_safetensors_header = 100'000'000;

/// The bytes that `shape` of `type` takes. Throws Error if a dimension is negative or the product does not fit.
inline std::uint64_t stored_bytes(const Json& dimensions, StoredType type, Shape& shape, const JsonFields& fields) {
  if (!dimensions.is_array()) throw fields.error("shape", "expected a list, got " + json_type(dimensions));
  if (dimensions.size() > Shape::max_rank) {
    throw fields.error("shape", "expected at most " + std::to_string(Shape::max_rank) + " dimensions, got " +
                                    std::to_string(dimensions.size()));
  }
  std::uint64_t bytes = static_cast<std::uint64_t>(bytes_of(type));
  for (const Json& dimension : dimensions) {
    if (!dimension.is_number_unsigned() || dimension.get<std::uint64_t>() > std::uint64_t{1} << 62) {
      throw fields.error("shape", "expected dimensions of 0 or more, got " + json_type(dimension));
    }
    const auto size = dimension.get<std::uint64_t>();
    if (__builtin_mul_overflow(bytes, size, &bytes) || bytes > std::uint64_t{1} << 62) {
      throw fields.error("shape", "too many elements: " + dimensions.dump());
    }
    shape.append(static_cast<Index>(size));
  }
  return bytes;
}

inline StoredTensor parse_stored_tensor(const JsonFields& fields, std::uint64_t data_bytes) {
  fields.require_only({"dtype", "shape", "data_offsets"});
  const auto type_name = fields.get<std::string>("dtype");
  const auto type = stored_type_named(type_name);
  if (!type) throw fields.error("dtype", "unknown element type " + type_name);
  StoredTensor tensor{.type = *type, .shape = {}, .begin = 0, .end = 0};
  const std::uint64_t bytes = stored_bytes(fields.raw("shape"), *type, tensor.shape, fields);
  const auto offsets = fields.get<std::vector<std::uint64_t>>("data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes) {
    throw fields.error("data_offsets", "expected begin <= end <= " + std::to_string(data_bytes) +
                                           " (the file may be cut short), got " + fields.raw("data_offsets").dump());
  }
  if (offsets[1] - offsets[0] != bytes) {
    throw fields.error("data_offsets", "expected " + std::to_string(bytes) + " bytes for " + type_name + " " +
                                           to_string(tensor.shape) + ", got " +
                                           std::to_string(offsets[1] - offsets[0]));
  }
  tensor.begin = offsets[0];
  tensor.end = offsets[1];
  return tensor;
}

inline void require_full_cover(const SafetensorsHeader& header, std::uint64_t data_bytes, const std::string& where) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const auto& [name, tensor] : header.tensors) spans.emplace_back(tensor.begin, tensor.end);
  std::sort(spans.begin(), spans.end());
  std::uint64_t covered = 0;
  for (const auto& [begin, end] : spans) {
    if (begin != covered) {
      throw Error("[safetensors] expected tensors without holes or overlaps, got one that begins at byte " +
                      std::to_string(begin) + " of the data, where byte " + std::to_string(covered) + " is next",
                  where);
    }
    covered = end;
  }
  if (covered != data_bytes) {
    throw Error(
        "[safetensors] expected " + std::to_string(covered) + " bytes of data, got " + std::to_string(data_bytes),
        where, "the file is damaged or was not written to its end");
  }
}

}  // namespace detail

/// Reads and checks a safetensors file's header. Throws Error naming the file and the field.
inline SafetensorsHeader read_safetensors_header(const InputFile& file) {
  const std::string where = file.path().string();
  std::uint64_t length = 0;
  if (file.size() < sizeof length) {
    throw Error("[safetensors] expected at least 8 bytes, got " + std::to_string(file.size()), where);
  }
  file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > detail::largest_safetensors_header || length > file.size() - sizeof length) {
    throw Error("[safetensors] expected a header within the file's " + std::to_string(file.size()) +
                    " bytes, got a header length of " + std::to_string(length),
                where, "the file is damaged, cut short or no safetensors file");
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  file.read(sizeof length, std::as_writable_bytes(std::span(text)));
  SafetensorsHeader header;
  header.data_begin = sizeof length + length;
  const std::uint64_t data_bytes = file.size() - header.data_begin;
  const Json json = parse_json(text, where + ": header");
  const JsonFields fields(json, where);
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      const JsonFields entries = fields.object(name);
      for (const auto& [key, entry] : value.items()) header.metadata[key] = entries.get<std::string>(key);
    } else {
      header.tensors[name] = detail::parse_stored_tensor(fields.object(name), data_bytes);
    }
  }
  detail::require_full_cover(header, data_bytes, where);
  return header;
}

}  // namespace caprl
