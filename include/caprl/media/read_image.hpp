#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/io/input_file.hpp"
#include "caprl/media/image.hpp"
#include "caprl/media/image_structure.hpp"
#include "caprl/media/orientation.hpp"
#include "caprl/media/stb.hpp"

namespace caprl {

/// Bounds on what an image file may ask for before anything is decoded.
struct ReadImageSettings {
  Index maximum_pixels = 100'000'000;
  Index maximum_file_bytes = 1 << 30;
};

namespace detail {

inline std::string first_bytes(Bytes bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes.first(std::min<std::size_t>(bytes.size(), 8))) {
    if (!text.empty()) text += ' ';
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

inline void check_image_size(Bytes bytes, std::string_view where, const ReadImageSettings& settings) {
  int width = 0, height = 0, channels = 0;
  if (stb::caprl_stbi_info_from_memory(bytes.data(), static_cast<int>(bytes.size()), &width, &height, &channels) == 0) {
    throw Error("[read_image] expected a readable header, got: " + std::string(stb::caprl_stbi_failure_reason()),
                std::string(where));
  }
  if (Index{width} * height > settings.maximum_pixels) {
    throw Error("[read_image] expected at most " + std::to_string(settings.maximum_pixels) + " pixels, got " +
                    std::to_string(height) + " x " + std::to_string(width),
                std::string(where), "make the picture smaller, or raise ReadImageSettings::maximum_pixels");
  }
}

inline Image decode_with_stb(Bytes bytes, std::string_view where) {
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stb::stbi_uc, void (*)(void*)> pixels(
      stb::caprl_stbi_load_from_memory(bytes.data(), static_cast<int>(bytes.size()), &width, &height, &channels, 3),
      stb::caprl_stbi_image_free);
  if (!pixels) {
    throw Error("[read_image] expected a picture that decodes, got: " + std::string(stb::caprl_stbi_failure_reason()),
                std::string(where));
  }
  Image image;
  image.height = height;
  image.width = width;
  image.rgb.assign(pixels.get(), pixels.get() + Index{height} * width * 3);
  return image;
}

inline std::vector<std::uint8_t> read_bytes(const std::string& path, Index maximum_bytes) {
  const InputFile file(path);
  if (static_cast<Index>(file.size()) > maximum_bytes) {
    throw Error(
        "[read_image] expected at most " + std::to_string(maximum_bytes) + " bytes, got " + std::to_string(file.size()),
        path, "raise ReadImageSettings::maximum_file_bytes, up to 2^31 - 1");
  }
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(file.size()));
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace detail

/// Decodes a JPEG or PNG held in memory; `where` names it in errors. As Pillow's `ImageOps.exif_transpose` and then
/// `convert("RGB")`: grey becomes three equal channels, palettes are looked up, transparency is dropped (the colour
/// under it stays), the EXIF orientation is applied. Of 16-bit channels the high byte is kept (of grey too, which
/// Pillow clips).
///
/// Throws `Error` on anything else than a whole JPEG or PNG: empty, another format, cut off, damaged (PNG: the check
/// sum of any chunk that is read; JPEG: what breaks its markers or codes), or larger than the settings allow.
inline Image decode_image(std::span<const std::uint8_t> bytes, std::string_view where,
                          const ReadImageSettings& settings = {}) {
  require(!bytes.empty(), "[read_image] expected a JPEG or PNG, got an empty file", where);
  require(bytes.size() <= 0x7FFFFFFF, "[read_image] expected less than 2^31 bytes", where);
  int orientation = 1;
  if (detail::looks_like_jpeg(bytes)) {
    orientation = detail::check_jpeg(bytes, where);
  } else if (detail::looks_like_png(bytes)) {
    orientation = detail::check_png(bytes, where);
  } else {
    throw Error(
        "[read_image] expected a JPEG or PNG, got a file that begins with the bytes " + detail::first_bytes(bytes),
        std::string(where), "convert it to JPEG or PNG");
  }
  detail::check_image_size(bytes, where, settings);
  return oriented(detail::decode_with_stb(bytes, where), orientation);
}

/// Reads a JPEG or PNG file; see `decode_image`.
inline Image read_image(const std::string& path, const ReadImageSettings& settings = {}) {
  return decode_image(detail::read_bytes(path, settings.maximum_file_bytes), path, settings);
}

}  // namespace caprl
