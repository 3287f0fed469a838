#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/hash.hpp"
#include "caprl/core/index.hpp"
#include "caprl/core/random.hpp"
#include "caprl/core/recorded_numbers.hpp"
#include "caprl/data/item.hpp"

namespace caprl {

/// In which order options are shown: order[position] is the index of the option at that position. The abstain option is
/// not in it: it always comes last.
using OptionOrder = std::vector<Index>;

/// The orders in which a question is asked. They depend on the seed and the question alone, so that every caption of an
/// item is asked the same.
struct OptionOrders {
  enum class Kind {
    cyclic,  ///< rotations of the order as written: every option stands once at every position
    all,     ///< every permutation; for at most 6 options
    random,  ///< different permutations, drawn at random
  };
  Kind kind = Kind::cyclic;
  Index count = 0;  ///< how many: for `cyclic` 0 is all k of them, fewer are spread evenly from a random one on;
                    ///< for `random` at least 1, more than there are permutations gives each once; `all` ignores it
  std::uint64_t seed = 0;

  RecordedNumbers recorded() const {
    return {{"orders.kind", static_cast<double>(kind)}, {"orders.count", count}, {"orders.seed", seed}};
  }
};

/// A number made of a question's text and options, stable between runs and machines (64-bit FNV-1a).
inline std::uint64_t question_fingerprint(const Question& question) {
  constexpr std::string_view end = "\xFF";  // no UTF-8 text holds this byte
  Fnv1a hash;
  hash.add(question.text).add(end);
  for (const std::string& option : question.options) hash.add(option).add(end);
  return hash.value();
}

namespace detail {

inline OptionOrder rotated(Index options, Index by) {
  OptionOrder order(static_cast<std::size_t>(options));
  for (Index position = 0; position < options; ++position) {
    order[static_cast<std::size_t>(position)] = (position + by) % options;
  }
  return order;
}

inline std::vector<OptionOrder> cyclic_orders(Index options, Index count, RandomStream stream) {
  const bool some = count > 0 && count < options;
  const Index first = some ? static_cast<Index>(stream.below(static_cast<std::uint32_t>(options))) : 0;
  const Index rotations = some ? count : options;
  std::vector<OptionOrder> orders;
  for (Index r = 0; r < rotations; ++r) orders.push_back(rotated(options, first + r * options / rotations));
  return orders;
}

inline std::vector<OptionOrder> all_orders(Index options) {
  require(options <= 6, "[option_orders] expected at most 6 options for all orders", "",
          "Use OptionOrders::Kind::cyclic or random.");
  std::vector<OptionOrder> orders;
  OptionOrder order = rotated(options, 0);
  do orders.push_back(order);
  while (std::ranges::next_permutation(order).found);
  return orders;
}

inline std::vector<OptionOrder> random_orders(Index options, Index count, RandomStream stream) {
  require(count >= 1, "[option_orders] expected a count of at least 1 for random orders");
  Index permutations = 1;
  for (Index factor = 2; factor <= options && permutations < count; ++factor) permutations *= factor;
  std::vector<OptionOrder> orders;
  while (static_cast<Index>(orders.size()) < std::min(count, permutations)) {
    OptionOrder order = rotated(options, 0);
    stream.shuffle(order);
    if (std::ranges::find(orders, order) == orders.end()) orders.push_back(order);
  }
  return orders;
}

}  // namespace detail

/// The orders in which `question` is asked: at least one, no two alike. Throws Error for fewer than 2 options, and for
/// settings that cannot be.
inline std::vector<OptionOrder> option_orders(const OptionOrders& settings, const Question& question) {
  const auto options = static_cast<Index>(question.options.size());
  require(options >= 2, "[option_orders] expected a question with at least 2 options");
  require(settings.count >= 0, "[option_orders] expected a count of at least 0");
  const std::uint64_t fingerprint = question_fingerprint(question);
  const RandomStream stream({.seed = settings.seed,
                             .purpose = Purpose::option_order,
                             .item = static_cast<std::uint32_t>(fingerprint),
                             .sample = static_cast<std::uint32_t>(fingerprint >> 32)});
  switch (settings.kind) {
    case OptionOrders::Kind::cyclic:
      return detail::cyclic_orders(options, settings.count, stream);
    case OptionOrders::Kind::all:
      return detail::all_orders(options);
    case OptionOrders::Kind::random:
      break;
  }
  return detail::random_orders(options, settings.count, stream);
}

}  // namespace caprl
