#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "caprl/sampling/filters.hpp"
#include "caprl/sampling/sample.hpp"

using namespace caprl;

namespace {

const float excluded = excluded_logit;

std::vector<Index> kept(const std::vector<float>& logits) {
  std::vector<Index> tokens;
  for (std::size_t t = 0; t < logits.size(); ++t) {
    if (logits[t] != excluded) tokens.push_back(static_cast<Index>(t));
  }
  return tokens;
}

template <class Filter>
std::vector<float> filtered(const Filter& filter, std::vector<float> logits, const std::vector<Token>& history = {}) {
  filter(logits, history);
  return logits;
}

}  // namespace

TEST_CASE("filters keep the tokens that Hugging Face transformers keeps") {
  std::ifstream file(CAPRL_TEST_DATA "/sampling/filters.json");
  const auto cases = nlohmann::json::parse(file);
  REQUIRE(cases.size() == 24);
  for (const auto& one : cases) {
    const auto& settings = one["filters"];
    CAPTURE(settings.dump());
    auto logits = one["logits"].get<std::vector<float>>();
    const auto history = one["history"].get<std::vector<Token>>();
    RepetitionPenalty{settings.value("repetition_penalty", 1.0)}(logits, history);
    Temperature{settings.value("temperature", 1.0)}(logits);
    TopK{static_cast<Index>(settings.value("top_k", 0.0))}(logits);
    TopP{settings.value("top_p", 1.0)}(logits);
    MinP{settings.value("min_p", 0.0)}(logits);
    REQUIRE(kept(logits) == one["kept"].get<std::vector<Index>>());
    const auto after = one["after"].get<std::vector<float>>();
    std::size_t i = 0;
    for (const Index t : kept(logits)) {
      CHECK(logits[static_cast<std::size_t>(t)] == doctest::Approx(after[i++]).epsilon(1e-6));
    }
  }
}

TEST_CASE("top-k keeps those equal to the last") {
  CHECK(kept(filtered(TopK{2}, {1, 3, 2, 2, 0})) == std::vector<Index>{1, 2, 3});
  CHECK(kept(filtered(TopK{9}, {1, 3})) == std::vector<Index>{0, 1});
  CHECK(kept(filtered(TopK{2}, {1, excluded, excluded})) == std::vector<Index>{0});
}

TEST_CASE("top-p takes equal logits from the lowest id") {
  // Probabilities 1/4 each: 0.5 needs two, 0.51 three.
  CHECK(kept(filtered(TopP{0.5}, {7, 7, 7, 7})) == std::vector<Index>{0, 1});
  CHECK(kept(filtered(TopP{0.51}, {7, 7, 7, 7})) == std::vector<Index>{0, 1, 2});
  CHECK(kept(filtered(TopP{0.0}, {1, 7, 7, 2})) == std::vector<Index>{1});
  // Probabilities 0.1, 0.6, 0.3.
  const std::vector<float> logits{std::log(0.1f), std::log(0.6f), std::log(0.3f)};
  CHECK(kept(filtered(TopP{0.59}, logits)) == std::vector<Index>{1});
  CHECK(kept(filtered(TopP{0.61}, logits)) == std::vector<Index>{1, 2});
  CHECK(kept(filtered(TopP{0.91}, logits)) == std::vector<Index>{0, 1, 2});
}

TEST_CASE("min-p keeps tokens within a ratio of the most probable") {
  const std::vector<float> logits{std::log(0.1f), std::log(0.6f), std::log(0.3f)};
  CHECK(kept(filtered(MinP{0.51}, logits)) == std::vector<Index>{1});
  CHECK(kept(filtered(MinP{0.49}, logits)) == std::vector<Index>{1, 2});
  CHECK(kept(filtered(MinP{1.0}, {2, 2, 1})) == std::vector<Index>{0, 1});
}

TEST_CASE("the repetition penalty acts once on each token of the history") {
  const auto after = filtered(RepetitionPenalty{2}, {4, -4, 1, 0, excluded}, {1, 0, 0, 3, 4, 4});
  CHECK(after == std::vector<float>{2, -8, 1, 0, excluded});
}

TEST_CASE("filters act in the order written") {
  // One token holds 0.98 of the mass at temperature 1, and 0.3 at 20, so that two are needed.
  std::vector<float> first{5, 0, 0, 0}, second = first;
  Sample{Temperature{20}, TopP{0.5}}(first, {}, RandomKey{});
  Sample{TopP{0.5}, Temperature{20}}(second, {}, RandomKey{});
  CHECK(kept(first).size() == 2);
  CHECK(kept(second).size() == 1);
}
