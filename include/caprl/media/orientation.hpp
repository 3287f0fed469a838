#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "caprl/core/error.hpp"
#include "caprl/media/image.hpp"

namespace caprl {

/// The picture as it is to be shown, by the eight codes of EXIF's Orientation tag (0x0112): 1 as stored, 2 mirrored,
/// 3 turned by 180 degrees, 4 upside down mirrored, 5 transposed, 6 turned clockwise, 7 transposed along the other
/// diagonal, 8 turned counter-clockwise. Throws on other codes.
inline Image oriented(Image image, int orientation) {
  if (orientation < 1 || orientation > 8) {
    throw Error("[oriented] expected an EXIF orientation from 1 to 8, got " + std::to_string(orientation));
  }
  if (orientation == 1) return image;
  const bool transposed = orientation >= 5;
  const bool flip_rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool flip_columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Image shown(transposed ? image.width : image.height, transposed ? image.height : image.width);
  for (Index y = 0; y < shown.height; ++y) {
    for (Index x = 0; x < shown.width; ++x) {
      const Index row = transposed ? x : y;
      const Index column = transposed ? y : x;
      std::copy_n(
          image.pixel(flip_rows ? image.height - 1 - row : row, flip_columns ? image.width - 1 - column : column), 3,
          shown.pixel(y, x));
    }
  }
  return shown;
}

namespace detail {

/// Bounds-checked numbers of a TIFF block, in its own byte order. Reads past the end give 0.
class TiffBytes {
 public:
  explicit TiffBytes(std::span<const std::uint8_t> bytes)
      : bytes_(bytes), little_(bytes.size() >= 2 && bytes[0] == 'I' && bytes[1] == 'I') {}

  std::uint32_t u16(std::size_t at) const { return number(at, 2); }
  std::uint32_t u32(std::size_t at) const { return number(at, 4); }
  bool valid() const {
    return bytes_.size() >= 8 && (little_ || (bytes_[0] == 'M' && bytes_[1] == 'M')) && u16(2) == 42;
  }

 private:
  std::uint32_t number(std::size_t at, std::size_t count) const {
    if (at > bytes_.size() || bytes_.size() - at < count) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes_[at + (little_ ? count - 1 - i : i)];
    return value;
  }

  std::span<const std::uint8_t> bytes_;
  bool little_;
};

}  // namespace detail

/// The Orientation tag of an EXIF block that begins with its TIFF header; 1 where it is absent or damaged.
inline int exif_orientation(std::span<const std::uint8_t> tiff) {
  constexpr std::uint32_t orientation_tag = 0x0112, short_type = 3;
  const detail::TiffBytes bytes(tiff);
  if (!bytes.valid()) return 1;
  const std::size_t directory = bytes.u32(4);
  const std::uint32_t entries = bytes.u16(directory);
  for (std::size_t entry = 0; entry < entries; ++entry) {
    const std::size_t at = directory + 2 + entry * 12;
    if (at >= tiff.size()) return 1;
    if (bytes.u16(at) != orientation_tag) continue;
    const int orientation = static_cast<int>(bytes.u16(at + 8));
    return bytes.u16(at + 2) == short_type && orientation >= 1 && orientation <= 8 ? orientation : 1;
  }
  return 1;
}

}  // namespace caprl
