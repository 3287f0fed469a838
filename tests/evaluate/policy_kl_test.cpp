#include "caprl/evaluate/policy_kl.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "caprl/evaluate/caption_prompts.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/sampling/sample.hpp"
#include "support/tiny_world.hpp"

using namespace caprl;
using namespace caprl::test;

namespace {

/// Remembers the most tokens it was asked about at once.
struct Watched : TinyVlmPolicy<> {
  using TinyVlmPolicy<>::TinyVlmPolicy;
  mutable std::size_t most = 0;

  Var<float> log_probabilities(std::span<const Prompt> prompts, std::span<const RolloutGroup> groups,
                               double temperature) const {
    most = std::max(most, tokens_in(groups));
    return TinyVlmPolicy<>::log_probabilities(prompts, groups, temperature);
  }
};

}  // namespace

TEST_CASE("the divergence is the mean of log p - log q, a few captions at a time") {
  const Tokenizer tokenizer = small_tokenizer();
  const TinyVlmPolicy<> policy(small_vlm(tokenizer, 1), tokenizer);
  const Watched reference(small_vlm(tokenizer, 2), tokenizer);
  std::vector<VlmPrompt> prompts;
  for (std::uint32_t i = 0; i < 5; ++i) {
    const std::vector<Clip> media{image_clip(i)};
    prompts.push_back(policy.encode(image_item(), media));
  }
  const std::vector<RolloutGroup> groups =
      policy.generate(prompts, Sample<>(), {.samples = 3, .maximum_tokens = 10, .seed = 1, .item_keys = {}});
  const auto of_reference = reference.TinyVlmPolicy<>::log_probabilities(prompts, groups, 1.0);
  double sum = 0;
  const float* next = of_reference.value().data();
  for (const RolloutGroup& group : groups) {
    for (const Rollout& rollout : group) {
      for (const float recorded : rollout.log_probabilities) {
        sum += static_cast<double>(recorded) - static_cast<double>(*next++);
      }
    }
  }
  const double expected = sum / static_cast<double>(tokens_in(groups));
  CHECK(policy_kl(reference, prompts, groups, 1.0) == doctest::Approx(expected).epsilon(1e-6));
  CHECK(reference.most == tokens_in(groups));
  reference.most = 0;
  CHECK(policy_kl(reference, prompts, groups, 1.0, 60) == doctest::Approx(expected).epsilon(1e-4));
  CHECK(reference.most <= 60);
  CHECK(policy_kl(reference, std::span<const VlmPrompt>(), std::span<const RolloutGroup>(), 1.0) == 0);
  const std::span<const VlmPrompt> too_few(prompts.data(), 4);
  CHECK_THROWS_WITH_AS(policy_kl(reference, too_few, groups, 1.0), doctest::Contains("a prompt for each group"), Error);
}

TEST_CASE("captions for a measurement depend neither on how many are made at once nor on where the list begins") {
  const Tokenizer tokenizer = small_tokenizer();
  const TinyVlmPolicy<> policy(small_vlm(tokenizer, 1), tokenizer);
  std::vector<VlmPrompt> prompts;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const std::vector<Clip> media{image_clip(0)};
    prompts.push_back(policy.encode(image_item(), media));
  }
  const std::span<const VlmPrompt> all(prompts);
  const CaptionSettings settings{.samples = 2, .maximum_tokens = 10, .seed = 1};
  CaptionSettings one_by_one = settings;
  one_by_one.batch_items = 1;
  const auto captions = caption_prompts(policy, all, Sample<>(), settings);
  const auto apart = caption_prompts(policy, all, Sample<>(), one_by_one);
  const auto rest = caption_prompts(policy, all.last(2), Sample<>(), settings, 1);
  REQUIRE(captions.size() == 3);
  REQUIRE(apart.size() == 3);
  REQUIRE(rest.size() == 2);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t s = 0; s < 2; ++s) {
      CHECK(captions[i][s].tokens == apart[i][s].tokens);
      if (i > 0) CHECK(captions[i][s].tokens == rest[i - 1][s].tokens);
    }
  }
  CHECK(captions[0][0].tokens != captions[1][0].tokens);  // the same picture: draws of their own
}
