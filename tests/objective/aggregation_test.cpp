#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "caprl/objective/aggregation.hpp"

using namespace caprl;
using Kind = Aggregation::Kind;

TEST_CASE("worked example: sequences of 1, 2 and 5 tokens") {
  const std::vector<Index> lengths{1, 2, 5};
  const BatchCounts counts = BatchCounts::of(lengths);
  CHECK(counts.sequences == 3);
  CHECK(counts.tokens == 8);
  CHECK(Aggregation{Kind::token_mean}.token_weight(counts, 5) == doctest::Approx(1.0 / 8));
  CHECK(Aggregation{Kind::sequence_mean_of_token_mean}.token_weight(counts, 5) == doctest::Approx(1.0 / 15));
  CHECK(Aggregation{Kind::constant, 10}.token_weight(counts, 5) == doctest::Approx(1.0 / 30));
}

TEST_CASE("any split into micro-batches gives the same sum") {
  const std::vector<Index> lengths{3, 1, 7, 2, 4};
  const std::vector<double> losses{0.5, -1, 2, 0.25, 3};  // of every token of a sequence
  const BatchCounts counts = BatchCounts::of(lengths);
  const auto sum_of = [&](const Aggregation& aggregation, std::size_t begin, std::size_t end) {
    double sum = 0;
    for (std::size_t s = begin; s < end; ++s) {
      sum += aggregation.token_weight(counts, lengths[s]) * static_cast<double>(lengths[s]) * losses[s];
    }
    return sum;
  };
  const std::vector<double> expected{(1.5 - 1 + 14 + 0.5 + 12) / 17, 4.75 / 5, (1.5 - 1 + 14 + 0.5 + 12) / (5 * 8)};
  const std::vector<Aggregation> all{{Kind::token_mean}, {Kind::sequence_mean_of_token_mean}, {Kind::constant, 8}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(sum_of(all[i], 0, 5) == doctest::Approx(expected[i]));
    for (std::size_t split = 0; split <= 5; ++split) {
      CHECK(sum_of(all[i], 0, split) + sum_of(all[i], split, 5) == doctest::Approx(expected[i]));
    }
  }
}

TEST_CASE("counts that are not positive are errors") {
  CHECK_THROWS_WITH_AS(Aggregation{Kind::token_mean}.token_weight({}, 3), doctest::Contains("tokens in the batch"),
                       Error);
  CHECK_THROWS_WITH_AS(Aggregation{}.token_weight({}, 3), doctest::Contains("sequences in the batch"), Error);
  CHECK_THROWS_WITH_AS(Aggregation{}.token_weight({1, 1}, 0), doctest::Contains("tokens in the sequence"), Error);
  CHECK_THROWS_WITH_AS(Aggregation{Kind::constant}.token_weight({1, 1}, 1), doctest::Contains("constant_tokens"),
                       Error);
}
