#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/index.hpp"

namespace caprl::detail {

/// A hash of bytes that is the same on every machine of one byte order (multiply and fold, eight bytes at a time).
inline std::uint64_t hash_bytes(std::string_view bytes) {
  constexpr std::uint64_t factor = 0x9E3779B97F4A7C15ull;
  std::uint64_t hash = bytes.size() * factor;
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * factor;
    hash ^= hash >> 29;
  };
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    mix(word);
    bytes.remove_prefix(8);
  }
  std::uint64_t rest = 0;
  for (const char byte : bytes) rest = rest << 8 | static_cast<unsigned char>(byte);
  mix(rest);
  return hash ^ hash >> 32;
}

/// The bytes of every token by id, and the id by the bytes. Ids may have gaps.
class TokenTable {
 public:
  TokenTable() = default;

  /// Room for ids below `size`.
  explicit TokenTable(Index size)
      : entries_(static_cast<std::size_t>(size)), slots_(std::bit_ceil(entries_.size() * 2 + 1)) {}

  Index size() const { return static_cast<Index>(entries_.size()); }
  bool has(Token id) const { return id >= 0 && id < size() && entries_[id].present; }
  std::string_view bytes(Token id) const {
    return std::string_view(bytes_).substr(entries_[id].begin, entries_[id].length);
  }

  /// Gives a free id its bytes. `findable`: `find` shall know it; the first token of equal bytes stays.
  void add(Token id, std::string_view bytes, bool findable) {
    entries_[id] = {bytes_.size(), static_cast<std::uint32_t>(bytes.size()), true};
    bytes_ += bytes;
    if (!findable) return;
    Slot& slot = slots_[locate(bytes)];
    if (slot.id < 0) slot = {id, static_cast<std::uint32_t>(hash_bytes(bytes))};
  }

  std::optional<Token> find(std::string_view bytes) const {
    if (slots_.empty()) return std::nullopt;
    const Slot& slot = slots_[locate(bytes)];
    return slot.id < 0 ? std::nullopt : std::optional<Token>(slot.id);
  }

 private:
  struct Entry {
    std::size_t begin = 0;
    std::uint32_t length = 0;
    bool present = false;
  };
  struct Slot {
    Token id = -1;
    std::uint32_t hash = 0;
  };

  std::size_t locate(std::string_view wanted) const {
    const std::uint64_t hash = hash_bytes(wanted);
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = hash & mask;
    while (slots_[i].id >= 0 && (slots_[i].hash != static_cast<std::uint32_t>(hash) || bytes(slots_[i].id) != wanted)) {
      i = (i + 1) & mask;
    }
    return i;
  }

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
};

}  // namespace caprl::detail
