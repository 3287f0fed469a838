#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <queue>
#include <string_view>
#include <tuple>
#include <vector>

#include "caprl/core/index.hpp"

namespace caprl {

/// One rule of byte-pair encoding: `left` followed by `right` becomes `result`.
struct MergeRule {
  Token left = 0;
  Token right = 0;
  Token result = 0;
};

/// Byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909) over the 256 bytes: while any rule applies, the rule
/// that comes first in the list is applied at its leftmost place.
class BytePairEncoder {
 public:
  BytePairEncoder() : BytePairEncoder({}, {}) {}

  /// `byte_tokens[b]` is the token of byte b. Where a pair occurs in two rules, the later counts.
  BytePairEncoder(const std::array<Token, 256>& byte_tokens, const std::vector<MergeRule>& rules)
      : byte_tokens_(byte_tokens),
        slots_(std::bit_ceil(rules.size() * 2 + 2)),
        shift_(64 - std::countr_zero(slots_.size())) {
    for (std::size_t rank = 0; rank < rules.size(); ++rank) {
      Slot& slot = slots_[locate(pair_key(rules[rank].left, rules[rank].right))];
      slot = {pair_key(rules[rank].left, rules[rank].right), static_cast<std::uint32_t>(rank), rules[rank].result};
    }
  }

  /// Appends the tokens of `bytes` (one pre-tokenized piece, below 2 GiB).
  void encode(std::string_view bytes, std::vector<Token>& tokens) const {
    if (bytes.size() <= short_piece) {
      encode_short(bytes, tokens);
    } else {
      encode_long(bytes, tokens);
    }
  }

 private:
  static constexpr std::size_t short_piece = 48;  // up to here a scan for the best pair beats a heap
  static constexpr std::uint32_t no_rank = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint64_t no_pair = ~std::uint64_t{0};

  struct Slot {
    std::uint64_t pair = no_pair;
    std::uint32_t rank = no_rank;
    Token result = 0;
  };

  static std::uint64_t pair_key(Token left, Token right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  }

  /// The slot that holds `pair`, or the empty one where it would be put (Fibonacci hashing, linear probing).
  std::size_t locate(std::uint64_t pair) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = (pair * 0x9E3779B97F4A7C15ull) >> shift_;
    while (slots_[i].pair != pair && slots_[i].pair != no_pair) i = (i + 1) & mask;
    return i;
  }

  const Slot& rule(Token left, Token right) const { return slots_[locate(pair_key(left, right))]; }

  void encode_short(std::string_view bytes, std::vector<Token>& tokens) const {
    std::array<Token, short_piece> symbol;
    std::array<std::uint32_t, short_piece> rank;  // of the pair that begins here
    std::size_t count = bytes.size();
    for (std::size_t i = 0; i < count; ++i) symbol[i] = byte_tokens_[static_cast<unsigned char>(bytes[i])];
    for (std::size_t i = 0; i + 1 < count; ++i) rank[i] = rule(symbol[i], symbol[i + 1]).rank;
    while (count > 1) {
      const auto best =
          static_cast<std::size_t>(std::min_element(rank.begin(), rank.begin() + (count - 1)) - rank.begin());
      if (rank[best] == no_rank) break;
      symbol[best] = rule(symbol[best], symbol[best + 1]).result;
      std::copy(symbol.begin() + (best + 2), symbol.begin() + count, symbol.begin() + (best + 1));
      std::copy(rank.begin() + (best + 1), rank.begin() + (count - 1), rank.begin() + best);
      --count;
      if (best > 0) rank[best - 1] = rule(symbol[best - 1], symbol[best]).rank;
      if (best + 1 < count) rank[best] = rule(symbol[best], symbol[best + 1]).rank;
    }
    tokens.insert(tokens.end(), symbol.begin(), symbol.begin() + count);
  }

  /// The same with a heap of candidate pairs over a linked list: n log n for a piece of n bytes.
  void encode_long(std::string_view bytes, std::vector<Token>& tokens) const;

  std::array<Token, 256> byte_tokens_;
  std::vector<Slot> slots_;
  int shift_;
};

inline void BytePairEncoder::encode_long(std::string_view bytes, std::vector<Token>& tokens) const {
  constexpr std::int32_t none = -1;
  struct Node {
    Token symbol;
    std::int32_t previous;
    std::int32_t next;
  };
  using Candidate = std::tuple<std::uint32_t, std::int32_t, Token, Token>;  // rank, left node, left and right symbol
  const auto count = static_cast<std::int32_t>(bytes.size());
  std::vector<Node> nodes(bytes.size());
  for (std::int32_t i = 0; i < count; ++i) {
    nodes[i] = {byte_tokens_[static_cast<unsigned char>(bytes[i])], i - 1, i + 1 < count ? i + 1 : none};
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
  const auto offer = [&](std::int32_t left) {
    if (left == none || nodes[left].next == none) return;
    const Token a = nodes[left].symbol;
    const Token b = nodes[nodes[left].next].symbol;
    if (const Slot& found = rule(a, b); found.rank != no_rank) heap.emplace(found.rank, left, a, b);
  };
  for (std::int32_t i = 0; i < count; ++i) offer(i);
  while (!heap.empty()) {
    const auto [rank, left, a, b] = heap.top();
    heap.pop();
    Node& node = nodes[left];
    if (node.symbol != a || node.next == none || nodes[node.next].symbol != b) continue;  // merged meanwhile
    Node& eaten = nodes[node.next];
    node.symbol = rule(a, b).result;
    node.next = eaten.next;
    eaten = {-1, none, none};
    if (node.next != none) nodes[node.next].previous = left;
    offer(node.previous);
    offer(left);
  }
  for (std::int32_t i = 0; i != none; i = nodes[i].next) tokens.push_back(nodes[i].symbol);
}

}  // namespace caprl
