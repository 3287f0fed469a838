#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "caprl/core/random.hpp"
#include "caprl/objective/policy_loss.hpp"

using namespace caprl;

namespace {

/// The central difference of loss(x), a function of the log-probability.
template <class Loss>
double slope(const Loss& loss, double x) {
  const double step = 1e-5;
  return (loss(x + step) - loss(x - step)) / (2 * step);
}

}  // namespace

TEST_CASE("worked example: the clipped surrogate") {
  const ClippedSurrogate surrogate{.clip_low = 0.2, .clip_high = 0.3};
  const double recorded = -1.5;
  const auto at = [&](double ratio, double advantage) {
    return surrogate(recorded + std::log(ratio), recorded, advantage);
  };
  struct Case {
    double ratio, advantage, loss, derivative;
    bool clipped;
  };
  for (const Case& one : {Case{1.0, 2, -2, -2, false},       // on policy: the derivative is -A
                          Case{1.0, -2, 2, 2, false},        //
                          Case{1.25, 2, -2.5, -2.5, false},  // above 1 + clip_low, below 1 + clip_high
                          Case{1.5, 2, -2.6, 0, true},       // good enough: no more push
                          Case{0.5, 2, -1, -1, false},       // good but less likely: push
                          Case{0.5, -2, 1.6, 0, true},       // bad and unlikely enough
                          Case{1.5, -2, 3, 3, false},        // bad and more likely: push down
                          Case{0.9, -2, 1.8, 1.8, false}}) {
    CAPTURE(one.ratio);
    const TokenLoss token = at(one.ratio, one.advantage);
    CHECK(token.loss == doctest::Approx(one.loss));
    CHECK(token.derivative == doctest::Approx(one.derivative));
    CHECK(token.clipped == one.clipped);
  }
  // Dual clip: -A is at most 3 times as large.
  const ClippedSurrogate dual{.clip_low = 0.2, .clip_high = 0.2, .dual_clip = 3};
  const TokenLoss far = dual(recorded + std::log(5.0), recorded, -2);
  CHECK(far.loss == doctest::Approx(6));
  CHECK(far.derivative == 0);
  CHECK(far.clipped);
  CHECK_FALSE(dual(recorded + std::log(2.9), recorded, -2).clipped);
}

TEST_CASE("an advantage of 0 gives exactly no gradient") {
  for (const double x : {-9.0, -1.0, -0.1}) {
    const TokenLoss token = ClippedSurrogate{}(x, -1, 0);
    CHECK(token.loss == 0);
    CHECK(token.derivative == 0);
    CHECK_FALSE(token.clipped);
  }
}

TEST_CASE("a ratio that overflows stays finite, and NaN stays NaN") {
  const TokenLoss token = ClippedSurrogate{}(0, -2000, -1);
  CHECK(std::isfinite(token.loss));
  CHECK(token.derivative == 0);
  CHECK(token.clipped);
  CHECK(ClippedSurrogate{}(0, -2000, 1).loss == doctest::Approx(-1.2));
  CHECK(std::isfinite(ClippedSurrogate{}(-2000, 0, 1).loss));
  CHECK(std::isnan(ClippedSurrogate{}(std::nan(""), -1, 1).loss));
}

TEST_CASE("worked example: KL estimators") {
  // d = log 2: k1 = log 2, k2 = log(2)^2 / 2, k3 = 1/2 - 1 + log 2.
  const double reference = -2, x = reference + std::log(2.0);
  CHECK(kl_k1(x, reference).value == doctest::Approx(0.6931471805599453));
  CHECK(kl_k2(x, reference).value == doctest::Approx(0.2402265069591007));
  CHECK(kl_k3(x, reference).value == doctest::Approx(0.1931471805599453));
  CHECK(kl_k3(x, reference).derivative == doctest::Approx(0.5));
  CHECK(kl_k3(-1, -1).value == 0);
  CHECK(kl_term(KlInLoss::none, x, reference).value == 0);
  const std::vector<float> own{-1.0f, -2.0f}, other{-1.5f, -1.75f};
  CHECK(kl_of_rollout<float>(own, other) == doctest::Approx(0.25));
  CHECK_THROWS_WITH(kl_of_rollout<float>(own, {}),
                    "[kl_of_rollout] expected as many reference log-probabilities as tokens");
}

TEST_CASE("the mean of k1 and of k3 over the policy is the KL divergence") {
  const std::vector<double> policy{0.5, 0.3, 0.2}, reference{0.25, 0.25, 0.5};
  double exact = 0, k1 = 0, k3 = 0;
  for (std::size_t t = 0; t < policy.size(); ++t) {
    exact += policy[t] * std::log(policy[t] / reference[t]);
    k1 += policy[t] * kl_k1(std::log(policy[t]), std::log(reference[t])).value;
    k3 += policy[t] * kl_k3(std::log(policy[t]), std::log(reference[t])).value;
  }
  CHECK(k1 == doctest::Approx(exact));
  CHECK(k3 == doctest::Approx(exact));
}

TEST_CASE("derivatives agree with finite differences") {
  RandomStream stream({.seed = 3});
  int clipped = 0;
  for (int draw = 0; draw < 500; ++draw) {
    PolicyLoss loss{.surrogate = {.clip_low = 0.2, .clip_high = 0.28, .dual_clip = draw % 2 == 0 ? 0.0 : 1.8},
                    .kl = static_cast<KlInLoss>(draw % 3),
                    .kl_coefficient = 0.3};
    TokenRecord token{.log_probability = -stream.uniform(0.1, 3),
                      .recorded = 0,
                      .reference = -stream.uniform(0.1, 3),
                      .advantage = stream.normal(),
                      .weight = stream.uniform()};
    token.recorded = token.log_probability + stream.uniform(-1, 1);
    const double ratio = std::exp(token.log_probability - token.recorded);
    bool corner = false;
    for (const double at : {0.8, 1.28, 1.8}) corner |= std::abs(ratio - at) < 1e-3;
    if (corner) continue;
    const TokenLoss result = loss(token);
    clipped += result.clipped;
    const auto value = [&](double x) {
      TokenRecord moved = token;
      moved.log_probability = x;
      return loss(moved).loss;
    };
    CHECK(std::abs(result.derivative - slope(value, token.log_probability)) < 1e-8);
  }
  CHECK(clipped > 50);
}

TEST_CASE("losses and derivatives agree with torch's autograd") {
  std::ifstream file(CAPRL_TEST_DATA "/objective/policy_gradient.json");
  const auto cases = nlohmann::json::parse(file)["token_losses"];
  REQUIRE(cases.size() == 4);
  for (const auto& one : cases) {
    const std::string kl = one["kl"];
    const PolicyLoss loss{.surrogate = {one["clip_low"], one["clip_high"], one["dual_clip"]},
                          .kl = kl == "k2"   ? KlInLoss::k2
                                : kl == "k3" ? KlInLoss::k3
                                             : KlInLoss::none,
                          .kl_coefficient = one["kl_coefficient"]};
    CHECK(loss.needs_reference() == (kl != "none"));
    for (std::size_t t = 0; t < one["loss"].size(); ++t) {
      const TokenLoss result = loss(
          {one["log_probability"][t], one["recorded"][t], one["reference"][t], one["advantage"][t], one["weight"][t]});
      CHECK(std::abs(result.loss - one["loss"][t].get<double>()) < 1e-12);
      CHECK(std::abs(result.derivative - one["derivative"][t].get<double>()) < 1e-12);
    }
  }
}
