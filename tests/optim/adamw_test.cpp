#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "caprl/io/json_file.hpp"
#include "caprl/optim/adamw.hpp"
#include "caprl/optim/schedule.hpp"
#include "support/larger.hpp"

using namespace caprl;

namespace {

void set(const Tensor<double>& tensor, const std::vector<double>& values) {
  REQUIRE(tensor.elements() == static_cast<Index>(values.size()));
  std::ranges::copy(values, tensor.data());
}

double largest_difference(const Tensor<double>& tensor, const std::vector<double>& values) {
  double largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    largest = testing::larger(largest, std::abs(tensor.data()[i] - values[i]));
  return largest;
}

}  // namespace

TEST_CASE("steps are those of torch's AdamW: clipping, decay of matrices alone, warm-up and cosine") {
  const Json json = load_json(std::string(CAPRL_TEST_DATA) + "/optim/adamw.json");
  const Parameter<double> matrix({3, 4}), vector({4});
  set(matrix.value(), json.at("start").at("matrix"));
  set(vector.value(), json.at("start").at("vector"));
  AdamWOptimizer<double> optimizer({matrix, vector}, {.beta2 = 0.95, .weight_decay = 0.1});
  const LearningRate rate{.peak = 0.05, .warmup_steps = 2, .decay_steps = 4, .final_share = 0.1};
  Index number = 0;
  bool clipped = false, whole = false;
  for (const Json& step : json.at("steps")) {
    CHECK(rate(number) == doctest::Approx(step.at("learning_rate").get<double>()).epsilon(1e-14));
    set(matrix.gradient(), step.at("gradient").at("matrix"));
    set(vector.gradient(), step.at("gradient").at("vector"));
    const double norm = optimizer.step(rate(number++));
    CHECK(norm == doctest::Approx(step.at("norm").get<double>()).epsilon(1e-12));
    (norm > 1 ? clipped : whole) = true;
    CHECK(largest_difference(matrix.value(), step.at("after").at("matrix")) < 1e-12);
    CHECK(largest_difference(vector.value(), step.at("after").at("vector")) < 1e-12);
    CHECK(largest_difference(matrix.gradient(), std::vector<double>(12, 0.0)) == 0);  // summed anew
  }
  CHECK(clipped);
  CHECK(whole);
  CHECK(optimizer.steps() == number);
}

TEST_CASE("a gradient that is no number changes nothing") {
  const Parameter<double> vector({4});
  set(vector.value(), {1, 2, 3, 4});
  AdamWOptimizer<double> optimizer({vector}, {});
  set(vector.gradient(), {0, std::numeric_limits<double>::quiet_NaN(), 0, 0});
  CHECK_THROWS_WITH_AS(optimizer.step(0.1), doctest::Contains("expected finite gradients"), Error);
  CHECK(largest_difference(vector.value(), {1, 2, 3, 4}) == 0);
  CHECK(optimizer.steps() == 0);
}
