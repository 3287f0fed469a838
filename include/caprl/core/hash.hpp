#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace caprl {

/// 64-bit FNV-1a: stable between runs and machines. For telling contents apart, not against an adversary.
class Fnv1a {
 public:
  Fnv1a& add(std::span<const std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes) value_ = (value_ ^ byte) * 0x100000001B3u;
    return *this;
  }
  Fnv1a& add(std::string_view text) {
    for (const char c : text) value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    return *this;
  }
  Fnv1a& add(std::uint64_t number) {
    for (int byte = 0; byte < 8; ++byte) value_ = (value_ ^ (number >> (8 * byte) & 0xFFu)) * 0x100000001B3u;
    return *this;
  }

  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325u;
};

}  // namespace caprl
