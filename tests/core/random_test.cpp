#include <doctest/doctest.h>

#include <vector>

#include "caprl/core/random.hpp"

using namespace caprl;

TEST_CASE("philox matches the known answers of Random123") {
  // kat_vectors of Random123: philox4x32 10.
  const PhiloxCounter zeros = philox({{0, 0, 0, 0}}, 0, 0);
  CHECK(zeros.word[0] == 0x6627e8d5u);
  CHECK(zeros.word[1] == 0xe169c58du);
  CHECK(zeros.word[2] == 0xbc57ac4cu);
  CHECK(zeros.word[3] == 0x9b00dbd8u);
  const PhiloxCounter pi = philox({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u);
  CHECK(pi.word[0] == 0xd16cfe09u);
  CHECK(pi.word[1] == 0x94fdccebu);
  CHECK(pi.word[2] == 0x5001e420u);
  CHECK(pi.word[3] == 0x24126ea1u);
}

TEST_CASE("every field of a key changes the draw") {
  const RandomKey base{.seed = 7, .purpose = Purpose::sampling, .step = 1, .item = 2, .sample = 3, .position = 4};
  const auto drawn = random_bits(base);
  auto changed = [&](auto change) {
    RandomKey key = base;
    change(key);
    return random_bits(key) != drawn;
  };
  CHECK(changed([](RandomKey& key) { key.seed = 8; }));
  CHECK(changed([](RandomKey& key) { key.seed += std::uint64_t{1} << 40; }));
  CHECK(changed([](RandomKey& key) { key.purpose = Purpose::bootstrap; }));
  CHECK(changed([](RandomKey& key) { ++key.step; }));
  CHECK(changed([](RandomKey& key) { ++key.item; }));
  CHECK(changed([](RandomKey& key) { ++key.sample; }));
  CHECK(changed([](RandomKey& key) { ++key.position; }));
}

TEST_CASE("random_below stays below its bound and reaches every value") {
  std::vector<int> seen(7, 0);
  RandomStream stream({.seed = 3});
  for (int i = 0; i < 7000; ++i) ++seen.at(stream.below(7));
  for (const int count : seen) {
    CHECK(count > 850);
    CHECK(count < 1150);
  }
}

TEST_CASE("a stream's normal numbers have mean 0 and variance 1") {
  RandomStream stream({.seed = 5});
  double sum = 0, squares = 0;
  const int count = 100000;
  for (int i = 0; i < count; ++i) {
    const double x = stream.normal();
    sum += x;
    squares += x * x;
  }
  CHECK(std::abs(sum / count) < 0.015);
  CHECK(std::abs(squares / count - 1) < 0.02);
}
