#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/media/orientation.hpp"

namespace caprl::detail {

using Bytes = std::span<const std::uint8_t>;

inline bool starts_with(Bytes bytes, std::string_view prefix) {
  return bytes.size() >= prefix.size() && std::memcmp(bytes.data(), prefix.data(), prefix.size()) == 0;
}
inline bool looks_like_jpeg(Bytes bytes) { return starts_with(bytes, "\xFF\xD8\xFF"); }
inline bool looks_like_png(Bytes bytes) { return starts_with(bytes, "\x89PNG\r\n\x1A\n"); }

[[noreturn]] inline void cut_off(std::string_view kind, std::string_view missing, std::string_view where) {
  throw Error("[read_image] expected a whole " + std::string(kind) + " file, got one cut off before its " +
                  std::string(missing),
              std::string(where), "write the file again, or leave it out");
}

/// The position of the marker that ends a JPEG scan's data, which begin at `at`; the size where there is none.
inline std::size_t end_of_scan(Bytes bytes, std::size_t at) {
  for (; at + 1 < bytes.size(); ++at) {
    const std::uint8_t code = bytes[at + 1];
    const bool is_data = code == 0x00 || code == 0xFF || (code >= 0xD0 && code <= 0xD7);
    if (bytes[at] == 0xFF && !is_data) return at;
  }
  return bytes.size();
}

/// Throws unless each of a segment's Huffman tables has at most 256 codes and the segment holds it: stb_image (before
/// 2.28) writes past its tables otherwise.
inline void check_huffman_tables(Bytes body, std::string_view where) {
  while (!body.empty()) {
    std::size_t codes = 0;
    for (std::size_t i = 1; i <= 16 && i < body.size(); ++i) codes += body[i];
    if (codes > 256 || body.size() < 17 + codes) {
      throw Error("[read_image] expected JPEG code tables of at most 256 codes, got a damaged one", std::string(where));
    }
    body = body.subspan(17 + codes);
  }
}

/// Walks the markers of a JPEG (ITU T.81, annex B) to its end marker and gives its EXIF orientation. A decoder alone
/// fills what is missing of a file that is cut off with grey.
inline int check_jpeg(Bytes bytes, std::string_view where) {
  constexpr int most_scans = 1000;  // a bound on work: a few hundred bytes can ask for one more pass over all pixels
  int orientation = 0, scans = 0;
  std::size_t at = 2;
  while (true) {
    while (at < bytes.size() && bytes[at] != 0xFF) ++at;
    while (at < bytes.size() && bytes[at] == 0xFF) ++at;
    if (at >= bytes.size()) cut_off("JPEG", "end marker", where);
    const std::uint8_t marker = bytes[at++];
    if (marker == 0xD9) break;
    if (marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) continue;
    if (bytes.size() - at < 2) cut_off("JPEG", "end marker", where);
    const std::size_t length = static_cast<std::size_t>(bytes[at] << 8 | bytes[at + 1]);
    if (length < 2 || bytes.size() - at < length) cut_off("JPEG", "end marker", where);
    const Bytes body = bytes.subspan(at + 2, length - 2);
    if (marker == 0xE1 && orientation == 0 && starts_with(body, std::string_view("Exif\0\0", 6))) {
      orientation = exif_orientation(body.subspan(6));
    }
    if (marker == 0xC4) check_huffman_tables(body, where);
    at += length;
    if (marker != 0xDA) continue;
    if (++scans > most_scans)
      throw Error("[read_image] expected at most 1000 scans in a JPEG, got more", std::string(where));
    at = end_of_scan(bytes, at);
  }
  if (scans == 0) throw Error("[read_image] expected a JPEG with a picture in it, got none", std::string(where));
  return orientation == 0 ? 1 : orientation;
}

inline std::uint32_t big_endian(Bytes bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes[at]) << 24 | static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
         static_cast<std::uint32_t>(bytes[at + 2]) << 8 | bytes[at + 3];
}

/// CRC-32 of PNG (ISO 15948, annex D).
inline std::uint32_t png_crc(Bytes bytes) {
  static constexpr auto table = [] {
    std::array<std::uint32_t, 256> values{};
    for (std::uint32_t n = 0; n < 256; ++n) {
      std::uint32_t value = n;
      for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? 0xEDB88320u ^ (value >> 1) : value >> 1;
      values[n] = value;
    }
    return values;
  }();
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::uint8_t byte : bytes) crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

/// How many bytes of pixel data a PNG with this header can need, filter bytes and interlacing included.
inline std::uint64_t png_raw_bytes(Bytes header) {
  const std::uint64_t bits_per_pixel = std::uint64_t{header[8]} * (header[9] == 2   ? 3
                                                                   : header[9] == 6 ? 4
                                                                   : header[9] == 4 ? 2
                                                                                    : 1);
  return big_endian(header, 4) * (big_endian(header, 0) * bits_per_pixel / 8 + 16) * 2;
}

/// Walks the chunks of a PNG to its end chunk, checks the sums of those that are read, and gives its EXIF orientation.
/// The compressed data may not be larger than the pixels call for, so that they cannot unfold without bound.
inline int check_png(Bytes bytes, std::string_view where) {
  int orientation = 1;
  std::uint64_t compressed = 0, raw = 0;
  for (std::size_t at = 8;;) {
    if (bytes.size() - at < 12) cut_off("PNG", "end chunk", where);
    const std::size_t length = big_endian(bytes, at);
    if (bytes.size() - at - 12 < length) cut_off("PNG", "end chunk", where);
    const Bytes type = bytes.subspan(at + 4, 4), body = bytes.subspan(at + 8, length);
    const bool critical = (type[0] & 0x20) == 0, exif = starts_with(type, "eXIf");
    if ((critical || exif) && png_crc(bytes.subspan(at + 4, length + 4)) != big_endian(bytes, at + 8 + length)) {
      throw Error(
          "[read_image] expected a PNG whose check sums hold, got a damaged chunk at byte " + std::to_string(at),
          std::string(where), "write the file again, or leave it out");
    }
    if (starts_with(type, "IHDR") && length >= 13) raw = png_raw_bytes(body);
    if (starts_with(type, "IDAT")) compressed += length;
    if (exif) orientation = exif_orientation(body);
    at += length + 12;
    if (starts_with(type, "IEND")) break;
  }
  if (compressed > raw + 65536) {
    throw Error("[read_image] expected at most " + std::to_string(raw) + " bytes of pixel data, got " +
                    std::to_string(compressed),
                std::string(where));
  }
  return orientation;
}

}  // namespace caprl::detail
