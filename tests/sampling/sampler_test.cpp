#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "caprl/sampling/greedy.hpp"
#include "caprl/sampling/sample.hpp"
#include "sampling/sampler_laws.hpp"

using namespace caprl;
using test::random_logits;

TEST_CASE("every sampler keeps the laws") {
  test::check_sampler_laws(Greedy{});
  test::check_sampler_laws(Sample<>{});
  test::check_sampler_laws(Sample<Temperature>{});
  test::check_sampler_laws(Sample{Temperature{0.3}});
  test::check_sampler_laws(Sample{TopK{.count = 3}});
  test::check_sampler_laws(Sample{TopP{.mass = 0.7}});
  test::check_sampler_laws(Sample{MinP{.ratio = 0.1}});
  test::check_sampler_laws(Sample{RepetitionPenalty{.factor = 1.2}});
  test::check_sampler_laws(Sample{RepetitionPenalty{1.1}, Temperature{0.8}, TopK{4}, TopP{0.9}, MinP{0.05}});
}

TEST_CASE("a fixed-point weight is exp times 2^40, whatever the logit") {
  CHECK(fixed_point_weight(3.25f, 3.25f) == fixed_point_one);
  CHECK(fixed_point_weight(-std::numeric_limits<float>::infinity(), 0.0f) == 0);
  CHECK(fixed_point_weight(-1e30f, 1e30f) == 0);
  std::uint64_t far = 0;  // from where the weight rounds to 0 to beyond the exponents of a double
  for (float logit = -30.0f; logit > -5000.0f; logit -= 1.0f) far += fixed_point_weight(logit, 0.0f);
  CHECK(far == 0);
  double worst = 0;
  for (int i = 0; i <= 20000; ++i) {
    const float logit = -static_cast<float>(i) * 1.5e-3f;
    const double expected = std::exp(static_cast<double>(logit)) * static_cast<double>(fixed_point_one);
    const double error = std::abs(static_cast<double>(fixed_point_weight(logit, 0.0f)) - expected);
    worst = std::max(worst, error / (expected * 3e-10 + 0.5001));
  }
  CHECK(worst <= 1);
  CHECK(worst > 0.5);  // the bound is not idle
}

TEST_CASE("a fixed-point weight has the same bits everywhere") {
  // Written down once; another compiler, instruction set or device that gives other bits would draw other tokens.
  CHECK(fixed_point_weight(-0.5f, 0.0f) == 666887512956);
  CHECK(fixed_point_weight(1.0f, 2.7f) == 200862649343);
  CHECK(fixed_point_weight(-10.3f, 0.125f) == 32634711);
  std::uint64_t sum = 0;
  for (int i = 0; i < 5000; ++i) sum = sum * 31 + fixed_point_weight(-0.0078125f * static_cast<float>(i), 0.0f);
  CHECK(sum == 13334643282451394433u);
}

TEST_CASE("multiply_high is the upper half of the product") {
  CHECK(multiply_high(0xFFFFFFFFFFFFFFFFu, 0xFFFFFFFFFFFFFFFFu) == 0xFFFFFFFFFFFFFFFEu);
  CHECK(multiply_high(std::uint64_t{1} << 63, 10) == 5);
  CHECK(multiply_high(0x123456789ABCDEF0u, 0x0FEDCBA987654321u) == 0x0121FA00AD77D742u);
}

TEST_CASE("tokens are drawn as often as softmax(z / T) says") {
  const std::vector<float> logits{0.0f, 1.0f, -1.0f, 2.0f, 0.5f};
  for (const double temperature : {1.0, 0.5}) {
    const Sample sampler{Temperature{temperature}};
    std::vector<double> counts(logits.size(), 0);
    const int draws = 40000;
    for (int draw = 0; draw < draws; ++draw) {
      std::vector<float> z = logits;
      const RandomKey key{.seed = 1, .purpose = Purpose::sampling, .position = static_cast<std::uint32_t>(draw)};
      ++counts[static_cast<std::size_t>(sampler(z, {}, key))];
    }
    double total = 0, chi_squared = 0;
    for (const float z : logits) total += std::exp(static_cast<double>(z) / temperature);
    for (std::size_t t = 0; t < logits.size(); ++t) {
      const double expected = draws * std::exp(static_cast<double>(logits[t]) / temperature) / total;
      chi_squared += (counts[t] - expected) * (counts[t] - expected) / expected;
    }
    CHECK(chi_squared < 18.5);  // 4 degrees of freedom, p = 0.001
  }
}

TEST_CASE("a draw walks the cumulated weights from the lowest id") {
  const std::vector<float> equal(8, 1.0f);
  for (std::uint64_t t = 0; t < 8; ++t) {
    CHECK(draw_token(equal, t << 61) == static_cast<Token>(t));
    CHECK(draw_token(equal, (t << 61) + ((std::uint64_t{1} << 61) - 1)) == static_cast<Token>(t));
  }
  std::vector<float> one(1000, excluded_logit);
  one[777] = -40.0f;
  CHECK(draw_token(one, 0) == 777);
  CHECK(draw_token(one, ~std::uint64_t{0}) == 777);
}

TEST_CASE("a constant added to all logits changes no draw") {
  const Sample<> sampler;
  for (std::uint32_t draw = 0; draw < 100; ++draw) {
    std::vector<float> z = random_logits(300, draw);
    for (float& logit : z) logit = std::round(logit * 256) / 256;
    std::vector<float> shifted = z;
    for (float& logit : shifted) logit += 16.0f;
    const RandomKey key{.seed = 2, .step = draw};
    CHECK(sampler(z, {}, key) == sampler(shifted, {}, key));
  }
}

TEST_CASE("greedy takes the largest logit, the lowest id among equal ones") {
  std::vector<float> logits{1.0f, 4.0f, 4.0f, -2.0f, 4.0f};
  CHECK(Greedy{}(logits, {}, RandomKey{}) == 1);
  CHECK(Greedy{}.temperature() == 0);
  CHECK(Greedy{}.filters());
}

TEST_CASE("a sampler knows its temperature and whether it filters") {
  CHECK(Sample<>{}.temperature() == 1);
  CHECK_FALSE(Sample<>{}.filters());
  CHECK(Sample{Temperature{0.6}}.temperature() == 0.6);
  CHECK_FALSE(Sample{Temperature{0.6}}.filters());
  CHECK_FALSE(Sample{Temperature{0.6}, TopK{0}, TopP{1.0}, MinP{0}, RepetitionPenalty{1}}.filters());
  CHECK(Sample{Temperature{0.6}, TopK{5}}.filters());
  CHECK(Sample{TopP{0.99}}.filters());
  CHECK(Sample{MinP{0.01}}.filters());
  CHECK(Sample{RepetitionPenalty{1.01}}.filters());
}

TEST_CASE("errors name the sampler and what to do") {
  const auto message = [](const auto& sampler, std::vector<float> logits, std::vector<Token> history = {}) {
    try {
      sampler(logits, history, RandomKey{});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  CHECK(message(Greedy{}, {1, 2, nan}).find("[Greedy] expected finite logits, got NaN for token 2 of 3") == 0);
  CHECK(message(Sample<>{}, {1, infinity, nan}).find("[Sample] expected finite logits, got infinity for token 1") == 0);
  CHECK(message(Sample<>{}, {-infinity}).find("at least one finite logit") != std::string::npos);
  CHECK(message(Sample{Temperature{0}}, {1, 2}).find("Use Greedy") != std::string::npos);
  CHECK(message(Sample{Temperature{-1}}, {1, 2}).find("[Temperature]") == 0);
  CHECK(message(Sample{Temperature{1e-45}}, {1, 2}).find("[Sample") == 0);
  CHECK(message(Sample{TopK{-1}}, {1, 2}).find("[TopK]") == 0);
  CHECK(message(Sample{TopP{1.5}}, {1, 2}).find("[TopP]") == 0);
  CHECK(message(Sample{TopP{nan}}, {1, 2}).find("[TopP]") == 0);
  CHECK(message(Sample{MinP{-0.1}}, {1, 2}).find("[MinP]") == 0);
  CHECK(message(Sample{RepetitionPenalty{0}}, {1, 2}).find("[RepetitionPenalty]") == 0);
  CHECK(message(Sample{RepetitionPenalty{2}}, {1, 2}, {0, 2}).find("[RepetitionPenalty] expected tokens") == 0);
}
