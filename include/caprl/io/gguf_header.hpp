#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/io/gguf_blocks.hpp"
#include "caprl/io/gguf_metadata.hpp"
#include "caprl/io/input_file.hpp"
#include "caprl/tensor/shape.hpp"

namespace caprl {

/// Where a tensor lies in a GGUF file. Offsets count from the begin of the data.
struct GgufTensor {
  const GgufType* type = nullptr;
  Shape shape;  ///< outermost dimension first, as everywhere in the library; files have it last
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// The header of a GGUF file, checked: every tensor is of a type that is read, lies within the data, has as many bytes
/// as its type and shape say, and shares them with no other.
///
/// Format: docs/gguf.md of https://github.com/ggml-org/ggml, versions 2 and 3, little-endian.
struct GgufHeader {
  GgufMetadata metadata;
  std::map<std::string, GgufTensor> tensors;
  std::uint64_t data_begin = 0;  ///< offset of the data in the file
};

namespace detail {

/// Metadata and descriptions of tensors: vocabularies of a few hundred thousand tokens are some 10 MB.
inline constexpr std::uint64_t largest_gguf_header = std::uint64_t{1} << 28;

/// Reads a file from its beginning on, a block at a time; every step is checked against the end of the file.
class GgufCursor {
 public:
  explicit GgufCursor(const InputFile& file) : file_(file) {}

  /// What is read next, for messages.
  void expect(std::string what) { expected_ = std::move(what); }

  std::uint64_t offset() const { return block_begin_ + at_; }
  std::uint64_t bytes_left() const { return std::min(file_.size(), largest_gguf_header) - offset(); }

  template <class T>
  T number() {
    require_left(sizeof(T));
    T number;
    take(std::as_writable_bytes(std::span(&number, 1)));
    return number;
  }

  std::string string() {
    const auto length = number<std::uint64_t>();
    require_left(length);
    std::string text(static_cast<std::size_t>(length), '\0');
    take(std::as_writable_bytes(std::span(text)));
    return text;
  }

  /// How many of something follow, each of which takes at least `bytes`.
  std::uint64_t count(std::uint64_t bytes) {
    const auto count = number<std::uint64_t>();
    if (count > bytes_left() / bytes) {
      throw error("a count of at most " + std::to_string(bytes_left() / bytes) + ", as bytes are left for",
                  std::to_string(count));
    }
    return count;
  }

  Error error(const std::string& expected, const std::string& got) const {
    return Error("[gguf] expected " + expected + " for " + expected_ + ", got " + got, file_.path().string(),
                 "the file is damaged, cut short or of another kind");
  }

 private:
  static constexpr std::uint64_t block_bytes = std::uint64_t{1} << 16;

  void require_left(std::uint64_t bytes) const {
    if (bytes <= bytes_left()) return;
    const bool too_long = file_.size() > largest_gguf_header;
    throw error(std::to_string(bytes) + " bytes",
                too_long ? "a header of more than " + std::to_string(largest_gguf_header) + " bytes"
                         : "the end of the file after " + std::to_string(bytes_left()));
  }

  void take(std::span<std::byte> target) {
    while (!target.empty()) {
      if (at_ == block_.size()) read_block();
      const std::size_t some = std::min(target.size(), block_.size() - at_);
      std::memcpy(target.data(), block_.data() + at_, some);
      target = target.subspan(some);
      at_ += some;
    }
  }

  void read_block() {
    block_begin_ += block_.size();
    at_ = 0;
    block_.resize(static_cast<std::size_t>(std::min(block_bytes, file_.size() - block_begin_)));
    file_.read(block_begin_, block_);
  }

  const InputFile& file_;
  std::string expected_ = "the file's first bytes";
  std::vector<std::byte> block_;
  std::uint64_t block_begin_ = 0;
  std::size_t at_ = 0;  // within the block
};

/// The numbers of metadata types in files, in their order.
enum class GgufValueType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, list, u64, i64, f64 };

template <std::integral T>
Index gguf_integer(GgufCursor& cursor) {
  const T number = cursor.number<T>();
  if (!std::in_range<Index>(number)) {
    throw cursor.error("an integer up to " + std::to_string(std::numeric_limits<Index>::max()), std::to_string(number));
  }
  return static_cast<Index>(number);
}

inline bool gguf_boolean(GgufCursor& cursor) {
  const auto byte = cursor.number<std::uint8_t>();
  if (byte > 1) throw cursor.error("true or false (1 or 0)", std::to_string(byte));
  return byte == 1;
}

/// Calls use(read, bytes): `read` reads one scalar of that type, which takes at least so many bytes.
template <class Use>
auto with_gguf_scalar(GgufValueType type, const GgufCursor& cursor, const Use& use) {
  switch (type) {
    case GgufValueType::u8:
      return use(gguf_integer<std::uint8_t>, 1);
    case GgufValueType::i8:
      return use(gguf_integer<std::int8_t>, 1);
    case GgufValueType::u16:
      return use(gguf_integer<std::uint16_t>, 2);
    case GgufValueType::i16:
      return use(gguf_integer<std::int16_t>, 2);
    case GgufValueType::u32:
      return use(gguf_integer<std::uint32_t>, 4);
    case GgufValueType::i32:
      return use(gguf_integer<std::int32_t>, 4);
    case GgufValueType::u64:
      return use(gguf_integer<std::uint64_t>, 8);
    case GgufValueType::i64:
      return use(gguf_integer<std::int64_t>, 8);
    case GgufValueType::f32:
      return use([](GgufCursor& at) { return static_cast<double>(at.number<float>()); }, 4);
    case GgufValueType::f64:
      return use([](GgufCursor& at) { return at.number<double>(); }, 8);
    case GgufValueType::boolean:
      return use(gguf_boolean, 1);
    case GgufValueType::string:
      return use([](GgufCursor& at) { return at.string(); }, 8);
    case GgufValueType::list:
      throw cursor.error("a list of numbers or strings", "a list of lists");
  }
  throw cursor.error("a type of values from 0 to 12", std::to_string(static_cast<std::uint32_t>(type)));
}

inline GgufValue read_gguf_list(GgufCursor& cursor) {
  const auto type = static_cast<GgufValueType>(cursor.number<std::uint32_t>());
  return with_gguf_scalar(type, cursor, [&](const auto& read, std::uint64_t bytes) {
    const std::uint64_t count = cursor.count(bytes);
    std::vector<decltype(read(cursor))> values;
    for (std::uint64_t i = 0; i < count; ++i) values.push_back(read(cursor));
    return GgufValue(std::move(values));
  });
}

inline GgufValue read_gguf_value(GgufCursor& cursor) {
  const auto type = static_cast<GgufValueType>(cursor.number<std::uint32_t>());
  if (type == GgufValueType::list) return read_gguf_list(cursor);
  return with_gguf_scalar(type, cursor, [&](const auto& read, std::uint64_t) { return GgufValue(read(cursor)); });
}

inline GgufMetadata read_gguf_metadata(GgufCursor& cursor, std::uint64_t count, const std::string& where) {
  std::map<std::string, GgufValue> values;
  for (std::uint64_t i = 0; i < count; ++i) {
    cursor.expect("the name of key " + std::to_string(i) + " of " + std::to_string(count));
    const std::string key = cursor.string();
    cursor.expect("key " + key);
    if (!values.emplace(key, read_gguf_value(cursor)).second) throw cursor.error("one value", "a second one");
  }
  return {std::move(values), where};
}

/// The dimensions, outermost first, and the bytes that they take.
inline std::uint64_t read_gguf_shape(GgufCursor& cursor, std::vector<Index>& dimensions) {
  const auto rank = cursor.number<std::uint32_t>();
  if (rank < 1 || rank > 4) throw cursor.error("1 to 4 dimensions", std::to_string(rank));
  std::uint64_t elements = 1;
  for (std::uint32_t axis = 0; axis < rank; ++axis) {
    const auto size = cursor.number<std::uint64_t>();
    if (size < 1 || __builtin_mul_overflow(elements, size, &elements) || elements > std::uint64_t{1} << 48) {
      throw cursor.error("dimensions of at least 1, and at most 2^48 elements",
                         "a dimension of " + std::to_string(size));
    }
    dimensions.insert(dimensions.begin(), static_cast<Index>(size));
  }
  return elements;
}

inline const GgufType& read_gguf_type(GgufCursor& cursor) {
  const auto number = cursor.number<std::uint32_t>();
  if (const GgufType* type = gguf_type_of(number)) return *type;
  std::string known;
  for (const GgufType& type : gguf_types) known += (known.empty() ? "" : ", ") + std::string(type.name);
  throw cursor.error("one of the types " + known, other_gguf_type(number));
}

inline GgufTensor read_gguf_tensor(GgufCursor& cursor, std::uint64_t alignment) {
  GgufTensor tensor;
  std::vector<Index> dimensions;
  const std::uint64_t elements = read_gguf_shape(cursor, dimensions);
  for (const Index dimension : dimensions) tensor.shape.append(dimension);
  tensor.type = &read_gguf_type(cursor);
  if (tensor.shape.columns() % tensor.type->elements != 0) {
    throw cursor.error("rows of a multiple of " + std::to_string(tensor.type->elements) + " elements (" +
                           std::string(tensor.type->name) + ")",
                       to_string(tensor.shape));
  }
  const std::uint64_t bytes =
      elements / static_cast<std::uint64_t>(tensor.type->elements) * static_cast<std::uint64_t>(tensor.type->bytes);
  tensor.begin = cursor.number<std::uint64_t>();
  if (tensor.begin % alignment != 0 || __builtin_add_overflow(tensor.begin, bytes, &tensor.end)) {
    throw cursor.error("an offset that is a multiple of " + std::to_string(alignment), std::to_string(tensor.begin));
  }
  return tensor;
}

inline std::uint64_t gguf_alignment(const GgufMetadata& metadata) {
  const Index alignment = metadata.get_or<Index>("general.alignment", 32);
  if (alignment < 1 || alignment > 65536 || !std::has_single_bit(static_cast<std::uint64_t>(alignment))) {
    throw metadata.error("general.alignment", "expected a power of 2 up to 65536, got " + std::to_string(alignment));
  }
  return static_cast<std::uint64_t>(alignment);
}

/// Throws Error where a tensor ends beyond the data, or two share bytes.
inline void require_apart(const GgufHeader& header, std::uint64_t data_bytes, const std::string& where) {
  struct Span {
    std::uint64_t begin, end;
    const std::string* name;
    auto operator<=>(const Span&) const = default;
  };
  std::vector<Span> spans;
  for (const auto& [name, tensor] : header.tensors) spans.push_back({tensor.begin, tensor.end, &name});
  std::sort(spans.begin(), spans.end());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (spans[i].end > data_bytes) {
      throw Error("[gguf] expected tensors within the " + std::to_string(data_bytes) + " bytes of data, got " +
                      *spans[i].name + ", which ends at byte " + std::to_string(spans[i].end),
                  where, "the file is damaged or was not written to its end");
    }
    if (i > 0 && spans[i].begin < spans[i - 1].end) {
      throw Error("[gguf] expected tensors without overlaps, got " + *spans[i - 1].name + " up to byte " +
                      std::to_string(spans[i - 1].end) + " and " + *spans[i].name + " from byte " +
                      std::to_string(spans[i].begin) + " on",
                  where, "the file is damaged");
    }
  }
}

inline void require_gguf(GgufCursor& cursor, const std::string& where) {
  constexpr std::uint32_t magic = 0x46554747;  // "GGUF"
  if (const auto first = cursor.number<std::uint32_t>(); first != magic) {
    throw Error("[gguf] expected a file that begins with \"GGUF\", got another", where);
  }
  cursor.expect("the version");
  if (const auto version = cursor.number<std::uint32_t>(); version != 2 && version != 3) {
    throw cursor.error("2 or 3, little-endian", std::to_string(version));
  }
}

}  // namespace detail

/// Reads and checks a GGUF file's header. Throws Error naming the file and the key or tensor.
inline GgufHeader read_gguf_header(const InputFile& file) {
  const std::string where = file.path().string();
  detail::GgufCursor cursor(file);
  detail::require_gguf(cursor, where);
  cursor.expect("the number of tensors");
  const std::uint64_t tensors = cursor.count(32);  // each has at least a length, a rank, a dimension, a type, an offset
  cursor.expect("the number of keys");
  const std::uint64_t keys = cursor.count(13);  // each has at least a length, a type and a byte
  GgufHeader header{.metadata = detail::read_gguf_metadata(cursor, keys, where), .tensors = {}};
  const std::uint64_t alignment = detail::gguf_alignment(header.metadata);
  for (std::uint64_t i = 0; i < tensors; ++i) {
    cursor.expect("the name of tensor " + std::to_string(i) + " of " + std::to_string(tensors));
    const std::string name = cursor.string();
    cursor.expect("tensor " + name);
    if (!header.tensors.emplace(name, detail::read_gguf_tensor(cursor, alignment)).second) {
      throw cursor.error("one description", "a second one");
    }
  }
  header.data_begin = (cursor.offset() + alignment - 1) / alignment * alignment;
  detail::require_apart(header, file.size() - std::min(file.size(), header.data_begin), where);
  return header;
}

}  // namespace caprl
