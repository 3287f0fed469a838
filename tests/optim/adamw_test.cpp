#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "caprl/io/json_file.hpp"
#include "caprl/optim/adamw.hpp"
#include "caprl/optim/parameter_groups.hpp"
#include "caprl/optim/schedule.hpp"
#include "support/error_message.hpp"
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

TEST_CASE("groups freeze tensors and give them learning rates of their own, by whole parts of their names") {
  const Parameter<double> stem({4}), fused({6, 2}), table({3, 2}), head({3, 2});
  const std::vector<NamedBlock<double>> blocks{whole_block("visual.stem.0.bias", stem),
                                               {"model.layers.0.q_proj.weight", fused, 0, 4},
                                               {"model.layers.0.k_proj.weight", fused, 4, 6},
                                               whole_block("model.embed_tokens.weight", table),
                                               whole_block("lm_head.weight", head)};
  const auto fails = [&](const ParameterGroups& groups, const auto&... parts) {
    return testing::fails_with([&] { apply_groups(groups, blocks); }, parts...);
  };
  CHECK(fails({{"vis", 0}}, "got \"vis\"", "visual.stem.*.bias", "model.layers.*.q_proj.weight"));  // no part in whole
  CHECK(fails({{"", 0}}, "got \"\""));
  CHECK(fails({{"visual", -1}}, "at least 0", "visual"));
  CHECK(fails({{"q_proj", 0}}, "q_proj.weight and model.layers.0.k_proj.weight", "one product"));
  CHECK(apply_groups({}, blocks).blocks.size() == 5);

  // The first group that holds a tensor counts; what is frozen before does not.
  const auto trained = apply_groups({{"stem.0", 0}, {"layers.0", 0.5}, {"model", 0.25}, {"visual", 2}}, blocks);
  CHECK_FALSE(stem.needs_gradient());
  REQUIRE(trained.blocks.size() == 4);
  CHECK(trained.parameters == std::vector{fused, table, head});
  CHECK(trained.learning_rate_factors == std::vector{0.5, 0.25, 1.0});
  CHECK(numbers_in(trained.blocks) == 12 + 6 + 6);
  CHECK(fails({{"model", 0}, {"lm_head", 0}}, "got only frozen ones"));

  const Parameter<double> slow({4}), fast({4});
  AdamWOptimizer<double> optimizer({slow, fast}, {}, {0.5, 2});
  for (const auto& parameter : {slow, fast}) {
    set(parameter.value(), {0, 0, 0, 0});
    set(parameter.gradient(), {0.1, 0.1, 0.1, 0.1});
  }
  optimizer.step(0.01);
  CHECK(largest_difference(slow.value(), std::vector<double>(4, -0.005)) < 1e-8);  // a first step is the rate itself
  CHECK(largest_difference(fast.value(), std::vector<double>(4, -0.02)) < 1e-8);
  CHECK(testing::fails_with([&] { AdamWOptimizer<double>({stem}, {}); }, "got a frozen one"));
  CHECK(testing::fails_with([&] { AdamWOptimizer<double>({slow}, {}, {1, 1}); }, "a learning-rate factor for each"));
}
