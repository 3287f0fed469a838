#pragma once

#include <cmath>
#include <cstdint>
#include <utility>

#include "caprl/core/host_device.hpp"

namespace caprl {

/// What a random number is drawn for. Part of the key, so that two uses never share a stream.
enum class Purpose : std::uint32_t {
  initial_weights = 1,
  data_order = 2,
  sampling = 3,
  option_order = 4,
  question_draw = 5,
  judge_sampling = 6,
  bootstrap = 7,
  dropout = 8,
  example = 9,
};

/// Names one random draw: randomness here is counted, not carried. The same key gives the same number whatever the
/// batch, the order of evaluation or the number of threads.
struct RandomKey {
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::example;
  std::uint32_t step = 0;
  std::uint32_t item = 0;
  std::uint32_t sample = 0;
  std::uint32_t position = 0;
};

namespace detail {

CAPRL_HD inline std::uint64_t multiply_wide(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint64_t>(a) * b;
}

}  // namespace detail

struct PhiloxCounter {
  std::uint32_t word[4];
};

/// Philox4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
CAPRL_HD inline PhiloxCounter philox(PhiloxCounter counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = detail::multiply_wide(0xD2511F53u, counter.word[0]);
    const std::uint64_t product1 = detail::multiply_wide(0xCD9E8D57u, counter.word[2]);
    counter = {
        {static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(product1),
         static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// Four random words for a key. The purpose is mixed into the cipher key with the seed; the other fields are the
/// counter.
CAPRL_HD inline PhiloxCounter random_words(const RandomKey& key) {
  const auto low = static_cast<std::uint32_t>(key.seed);
  const auto high = static_cast<std::uint32_t>(key.seed >> 32);
  return philox({{key.step, key.item, key.sample, key.position}}, low,
                high ^ (static_cast<std::uint32_t>(key.purpose) * 0x9E3779B1u));
}

/// 64 random bits.
CAPRL_HD inline std::uint64_t random_bits(const RandomKey& key) {
  const PhiloxCounter words = random_words(key);
  return static_cast<std::uint64_t>(words.word[0]) << 32 | words.word[1];
}

/// Uniform in [0, 1), 53 bits.
CAPRL_HD inline double random_uniform(const RandomKey& key) {
  return static_cast<double>(random_bits(key) >> 11) * 0x1.0p-53;
}

/// Uniform in [0, bound), bound > 0. The bias, below bound / 2^64, is negligible.
CAPRL_HD inline std::uint32_t random_below(const RandomKey& key, std::uint32_t bound) {
  const std::uint64_t bits = random_bits(key);
  const std::uint64_t low = (bits & 0xFFFFFFFFu) * bound;
  const std::uint64_t high = (bits >> 32) * bound;
  return static_cast<std::uint32_t>((high + (low >> 32)) >> 32);
}

/// A generator over the positions of one key, for code that draws many numbers in a row (shuffles, scene makers).
/// Satisfies std::uniform_random_bit_generator.
class RandomStream {
 public:
  using result_type = std::uint64_t;
  explicit RandomStream(RandomKey key) : key_(key) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() { return random_bits(advance()); }

  double uniform() { return random_uniform(advance()); }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  std::uint32_t below(std::uint32_t bound) { return random_below(advance(), bound); }

  /// Standard normal, by the cosine branch of the Box-Muller transform.
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

  /// Fisher-Yates, from the last element down. The same key gives the same order with every standard library.
  template <class Range>
  void shuffle(Range& range) {
    for (auto remaining = range.size(); remaining > 1; --remaining) {
      using std::swap;
      swap(range[remaining - 1], range[below(static_cast<std::uint32_t>(remaining))]);
    }
  }

 private:
  RandomKey advance() {
    RandomKey key = key_;
    ++key_.position;
    return key;
  }

  RandomKey key_;
};

}  // namespace caprl
