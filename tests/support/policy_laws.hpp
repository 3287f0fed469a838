#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "caprl/policy/policy.hpp"
#include "caprl/sampling/sample.hpp"
#include "support/larger.hpp"

namespace caprl::test {

namespace detail {

inline bool same_captions(const RolloutGroup& a, const RolloutGroup& b, double tolerance) {
  return std::ranges::equal(a, b, [&](const Rollout& x, const Rollout& y) {
    const auto near = [&](float p, float q) { return std::abs(static_cast<double>(p - q)) <= tolerance; };
    return x.tokens == y.tokens && x.caption.text == y.caption.text &&
           std::ranges::equal(x.log_probabilities, y.log_probabilities, near);
  });
}

inline bool well_formed(const std::vector<RolloutGroup>& groups, std::size_t prompts,
                        const GenerateSettings& settings) {
  const auto rollout_is = [&](const Rollout& rollout) {
    const auto tokens = static_cast<Index>(rollout.tokens.size());
    return tokens >= 1 && tokens <= settings.maximum_tokens &&
           rollout.log_probabilities.size() == rollout.tokens.size() &&
           std::ranges::all_of(rollout.log_probabilities, [](float p) { return p <= 1e-6f; }) &&
           (!rollout.caption.truncated || tokens == settings.maximum_tokens);
  };
  return groups.size() == prompts && std::ranges::all_of(groups, [&](const RolloutGroup& group) {
           return static_cast<Index>(group.size()) == settings.samples && std::ranges::all_of(group, rollout_is);
         });
}

/// The largest difference between recorded and recomputed log-probabilities; a huge one where their number is wrong.
template <Policy P>
double recomputed_apart(const P& policy, std::span<const typename P::Prompt> prompts,
                        std::span<const RolloutGroup> groups, double temperature) {
  const auto recomputed = policy.log_probabilities(prompts, groups, temperature);
  std::vector<double> recorded;
  for (const RolloutGroup& group : groups) {
    for (const Rollout& rollout : group) {
      recorded.insert(recorded.end(), rollout.log_probabilities.begin(), rollout.log_probabilities.end());
    }
  }
  if (recomputed.value().elements() != static_cast<Index>(recorded.size())) return 1e30;
  double largest = 0;
  for (std::size_t i = 0; i < recorded.size(); ++i) {
    largest = testing::larger(largest, std::abs(recorded[i] - static_cast<double>(recomputed.value().data()[i])));
  }
  return largest;
}

/// True if a backward pass through the log-probabilities moves some parameter.
template <Policy P>
bool moves(const P& policy, std::span<const typename P::Prompt> prompts, std::span<const RolloutGroup> groups) {
  const auto blocks = policy.blocks();
  for (const auto& block : blocks) block.parameter.zero_gradient();
  Tape tape;
  const auto numbers = policy.log_probabilities(prompts, groups, 1.0);
  if (!numbers.needs_gradient()) return false;
  numbers.seed_gradient(Tensor<typename P::value_type>::full(numbers.shape(), 1));
  tape.backward();
  return std::ranges::any_of(blocks, [](const auto& block) {
    return std::ranges::any_of(block.parameter.gradient().span(), [](auto value) { return value != 0; });
  });
}

}  // namespace detail

/// Which laws of `Policy` are broken, in words; empty for a policy that keeps them. `prompts` are at least two, which
/// differ; `rounding` is what log-probabilities may differ by between batches.
template <Policy P>
std::vector<std::string> broken_policy_laws(const P& policy, std::span<const typename P::Prompt> prompts,
                                            Index maximum_tokens = 24, double rounding = 1e-4) {
  REQUIRE(prompts.size() >= 2);
  std::vector<std::string> broken;
  const auto expect = [&](bool kept, const char* law) {
    if (!kept && std::ranges::find(broken, law) == broken.end()) broken.emplace_back(law);
  };
  for (const double temperature : {1.0, 0.7}) {
    const Sample sampler{Temperature{temperature}};
    GenerateSettings settings{.samples = 3, .maximum_tokens = maximum_tokens, .seed = 5, .item_keys = {}};
    for (std::size_t p = 0; p < prompts.size(); ++p) settings.item_keys.push_back(static_cast<std::uint32_t>(40 + p));
    const std::vector<RolloutGroup> groups = policy.generate(prompts, sampler, settings);
    expect(detail::well_formed(groups, prompts.size(), settings), "captions are as many and as long as asked for");
    if (!broken.empty()) return broken;
    expect(detail::recomputed_apart(policy, prompts, groups, temperature) < 1e-3,
           "log_probabilities gives what generate recorded");
    const std::vector<RolloutGroup> again = policy.generate(prompts, sampler, settings);
    GenerateSettings alone = settings;
    alone.item_keys = {settings.item_keys.back()};
    const std::vector<RolloutGroup> last = policy.generate(prompts.last(1), sampler, alone);
    for (std::size_t p = 0; p < prompts.size(); ++p) {
      expect(detail::same_captions(groups[p], again[p], 0), "the same settings give the same captions");
    }
    if (!broken.empty()) return broken;
    expect(detail::same_captions(groups.back(), last[0], rounding), "a caption does not depend on other prompts");
    expect(detail::recomputed_apart(policy, prompts.last(1), std::span(groups).last(1), temperature) < 1e-3,
           "log-probabilities do not depend on other prompts");
    expect(detail::moves(policy, prompts, groups), "log_probabilities are recorded on the tape");
  }
  return broken;
}

/// The laws of `Policy`.
template <Policy P>
void check_policy_laws(const P& policy, std::span<const typename P::Prompt> prompts, Index maximum_tokens = 24) {
  for (const std::string& law : broken_policy_laws(policy, prompts, maximum_tokens)) FAIL_CHECK("broken law: ", law);
}

}  // namespace caprl::test
