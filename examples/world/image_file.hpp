#pragma once

#include <fstream>
#include <string>

#include "caprl/core/error.hpp"
#include "world/pixels.hpp"

#ifndef STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#endif
#include <stb_image_write.h>

namespace world {

namespace detail {

inline void append_bytes(void* context, void* data, int size) {
  auto& bytes = *static_cast<std::string*>(context);
  const char* begin = static_cast<const char*>(data);
  bytes.append(begin, static_cast<std::size_t>(size));
}

}  // namespace detail

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.flush();
  if (!file)
    throw caprl::Error("[write_bytes] expected to write a file, got a failure", path, "check space and rights");
}

inline void write_png(const std::string& path, const Picture& picture) {
  std::string bytes;
  const int encoded = stbi_write_png_to_func(detail::append_bytes, &bytes, picture.width, picture.height, 3,
                                             picture.rgb.data(), picture.width * 3);
  caprl::require(encoded != 0, "[write_png] expected to encode a picture, got a failure", path);
  write_bytes(path, bytes);
}

/// `quality` from 1 to 100.
inline void write_jpeg(const std::string& path, const Picture& picture, int quality) {
  std::string bytes;
  const int encoded = stbi_write_jpg_to_func(detail::append_bytes, &bytes, picture.width, picture.height, 3,
                                             picture.rgb.data(), quality);
  caprl::require(encoded != 0, "[write_jpeg] expected to encode a picture, got a failure", path);
  write_bytes(path, bytes);
}

}  // namespace world
