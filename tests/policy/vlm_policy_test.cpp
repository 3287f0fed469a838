#include "caprl/policy/vlm_policy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "caprl/sampling/greedy.hpp"
#include "caprl/sampling/sample.hpp"
#include "support/error_message.hpp"
#include "support/larger.hpp"
#include "support/tiny_world.hpp"

using namespace caprl;
using namespace caprl::test;

static_assert(Policy<TinyVlmPolicy<>>);

namespace {

TinyVlmPolicy<> small_policy(const VlmPolicySettings& settings = {}) {
  const Tokenizer tokenizer = small_tokenizer();
  return TinyVlmPolicy<>(small_vlm(tokenizer), tokenizer, settings);
}

std::vector<VlmPrompt> prompts_of(const TinyVlmPolicy<>& policy, std::vector<std::uint32_t> images) {
  std::vector<VlmPrompt> prompts;
  for (const std::uint32_t image : images) {
    const std::vector<Clip> media{image_clip(image)};
    prompts.push_back(policy.encode(image_item(), media));
  }
  return prompts;
}

double largest_difference(const Tensor<float>& recomputed, const std::vector<RolloutGroup>& groups) {
  double largest = 0;
  const float* now = recomputed.data();
  for (const RolloutGroup& group : groups) {
    for (const Rollout& rollout : group) {
      for (const float recorded : rollout.log_probabilities) {
        largest = testing::larger(largest, std::abs(static_cast<double>(recorded) - static_cast<double>(*now++)));
      }
    }
  }
  return largest;
}

/// Log-probabilities of given captions, the gradients of a weighted sum of them, and the peak of memory in between.
struct Update {
  std::vector<float> log_probabilities;
  std::vector<float> gradients;
  Index peak_bytes = 0;
};

Update update_of(const TinyVlmPolicy<>& policy, std::span<const VlmPrompt> prompts,
                 std::span<const RolloutGroup> groups) {
  for (const auto& block : policy.blocks()) block.parameter.zero_gradient();
  const Index before = CpuAllocator::instance().counters().in_use;
  CpuAllocator::instance().reset_peak();
  Update update;
  {
    Tape tape;
    const auto numbers = policy.log_probabilities(prompts, groups, 0.8);
    update.log_probabilities.assign(numbers.value().data(), numbers.value().data() + numbers.value().elements());
    Tensor<float> weights(numbers.shape());
    for (Index i = 0; i < weights.elements(); ++i) weights.data()[i] = 0.5f + 0.01f * static_cast<float>(i % 37);
    numbers.seed_gradient(weights);
    tape.backward();
  }
  update.peak_bytes = CpuAllocator::instance().counters().peak - before;
  for (const auto& parameter : parameters_of<float>(policy.model())) {
    const auto values = parameter.gradient().span();
    update.gradients.insert(update.gradients.end(), values.begin(), values.end());
  }
  return update;
}

/// The norm of the difference over the norm.
double apart(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i] - b[i]), 2);
    norm += std::pow(static_cast<double>(a[i]), 2);
  }
  CHECK(norm > 0);
  return std::sqrt(difference / norm);
}

}  // namespace

TEST_CASE("a batch worked through by subtrees gives the same numbers and gradients in less memory") {
  const auto whole = small_policy();
  const auto prompts = prompts_of(whole, {1, 2, 3});
  const auto groups =
      whole.generate(prompts, Sample<>(), {.samples = 16, .maximum_tokens = 60, .seed = 3, .item_keys = {}});
  update_of(whole, prompts, groups);  // allocates the gradients
  const Update expected = update_of(whole, prompts, groups);
  const Index rows = make_vlm_batch(prompts, groups, whole.model()).shared.tree.rows();
  for (const Index budget : {rows / 2, rows / 8, Index{60}, Index{1}}) {
    CAPTURE(budget);
    const auto split = small_policy({.maximum_rows = budget});
    update_of(split, prompts, groups);
    const Update update = update_of(split, prompts, groups);
    CHECK(apart(expected.log_probabilities, update.log_probabilities) < 1e-5);
    CHECK(apart(expected.gradients, update.gradients) < 1e-5);
    if (budget == rows / 8) CHECK(update.peak_bytes < expected.peak_bytes * 2 / 5);
  }
}

TEST_CASE("blocks that are computed a second time give the same gradients to the bit in less memory") {
  const auto plain = small_policy();
  const auto prompts = prompts_of(plain, {1, 2, 3});
  const auto groups =
      plain.generate(prompts, Sample<>(), {.samples = 16, .maximum_tokens = 60, .seed = 3, .item_keys = {}});
  update_of(plain, prompts, groups);
  const Update expected = update_of(plain, prompts, groups);
  const auto thrifty = small_policy({.recompute_blocks = true});
  update_of(thrifty, prompts, groups);
  const Update update = update_of(thrifty, prompts, groups);
  CHECK(update.log_probabilities == expected.log_probabilities);
  CHECK(update.gradients == expected.gradients);
  CHECK(update.peak_bytes < expected.peak_bytes * 4 / 5);
}

TEST_CASE("a frame of a video is seen with the one before it, and what has none with itself") {
  const auto policy = small_policy();
  const VlmPrompt still = prompts_of(policy, {1}).front();
  const Clip clip{{{noise_image(1), 0.0}, {noise_image(2), 1.0}, {noise_image(2), 2.0}, {noise_image(2), 3.0}}, 4.0};
  CaptionItem item = image_item();
  item.media.front().kind = MediaKind::video;
  const VlmPrompt video = policy.encode(item, std::vector<Clip>{clip});
  REQUIRE(video.pictures.size() == 4);
  CHECK(video.pictures[0].hash == still.pictures[0].hash);
  CHECK(video.pictures[2].hash == video.pictures[3].hash);  // nothing changes: encoded once
  CHECK(video.pictures[1].hash != video.pictures[2].hash);

  const auto columns_equal = [](const Picture& a, Index from_a, const Picture& b, Index from_b) {
    REQUIRE(a.pixels.shape() == b.pixels.shape());
    for (Index row = 0; row < a.pixels.shape()[0]; ++row) {
      for (Index c = 0; c < 3; ++c) {
        if (a.pixels.rows()(row, from_a + c) != b.pixels.rows()(row, from_b + c)) return false;
      }
    }
    return true;
  };
  CHECK(still.pictures[0].pixels.shape() == Shape{16 * 16, 6});
  CHECK(columns_equal(still.pictures[0], 0, still.pictures[0], 3));
  CHECK(columns_equal(video.pictures[1], 0, video.pictures[0], 3));  // the earlier frame comes first
  CHECK(columns_equal(video.pictures[1], 3, video.pictures[2], 0));
  CHECK_FALSE(columns_equal(video.pictures[1], 0, video.pictures[1], 3));
}

TEST_CASE("a captioner with packed weights says the same, and nearly the same with bf16") {
  const auto plain = small_policy();
  const auto prompts = prompts_of(plain, {1, 2, 3});
  const GenerateSettings settings{.samples = 4, .maximum_tokens = 40, .seed = 3, .item_keys = {}};
  const auto expected = plain.generate(
      prompts, Sample<>(), {.samples = 4, .maximum_tokens = 40, .seed = 3, .item_keys = {}, .packed_bytes = 0});
  const auto packed = small_policy({.packed = WeightFormat::float32}).generate(prompts, Sample<>(), settings);
  const auto for_this_call = plain.generate(prompts, Sample<>(), settings);
  bool same_bytes = true;
  for (std::size_t p = 0; p < 3; ++p) {
    for (std::size_t s = 0; s < 4; ++s) {
      CHECK(packed[p][s].tokens == expected[p][s].tokens);
      CHECK(packed[p][s].log_probabilities == for_this_call[p][s].log_probabilities);
      same_bytes = same_bytes && packed[p][s].log_probabilities == expected[p][s].log_probabilities;
    }
  }
  CHECK_FALSE(same_bytes);  // packed weights were used
  const auto numbers = plain.log_probabilities(prompts, packed, 1.0);
  CHECK(largest_difference(numbers.value(), packed) < 1e-4);
  const auto rounded = small_policy({.packed = WeightFormat::bf16}).generate(prompts, Sample<>(), settings);
  const double difference = largest_difference(plain.log_probabilities(prompts, rounded, 1.0).value(), rounded);
  CHECK(difference < 0.05);
  CHECK(difference > 1e-4);  // bf16 weights were used
}

TEST_CASE("a decoder is laid out for a call of two captions or more, where it is small enough") {
  const auto policy = small_policy();
  const Decoder<float>& decoder = policy.model().language;
  Index numbers = decoder.embedding == decoder.head ? 0 : -decoder.embedding.shape().elements();
  for (const auto& parameter : parameters_of<float>(decoder)) {
    if (parameter.shape().rank() == 2) numbers += parameter.shape().elements();
  }
  const Index bytes = 4 * numbers;
  CHECK(PackedProducts::bytes(decoder) == bytes);
  CHECK(PackedProducts::pays(decoder, 2, bytes));
  CHECK_FALSE(PackedProducts::pays(decoder, 2, bytes - 1));
  CHECK_FALSE(PackedProducts::pays(decoder, 1, bytes));  // gains too little
}

TEST_CASE("log-probabilities recorded while sampling are those that are recomputed") {
  const auto policy = small_policy();
  const auto prompts = prompts_of(policy, {1, 2, 1});
  for (const double temperature : {1.0, 0.7}) {
    const auto groups = policy.generate(prompts, Sample{Temperature{temperature}},
                                        {.samples = 5, .maximum_tokens = 40, .seed = 3, .item_keys = {}});
    REQUIRE(groups.size() == 3);
    REQUIRE(groups[0].size() == 5);
    const auto recomputed = policy.log_probabilities(prompts, groups, temperature);
    CHECK(largest_difference(recomputed.value(), groups) < 1e-4);
    CHECK(largest_difference(policy.log_probabilities(prompts, groups, 2 * temperature).value(), groups) > 1e-2);
  }
}

TEST_CASE("a caption does not depend on the other prompts of the call") {
  const auto policy = small_policy();
  const GenerateSettings settings{.samples = 3, .maximum_tokens = 30, .seed = 9, .item_keys = {7, 8}};
  const auto together = policy.generate(prompts_of(policy, {4, 5}), Sample<>(), settings);
  GenerateSettings alone_settings = settings;
  alone_settings.item_keys = {8};
  const auto alone = policy.generate(prompts_of(policy, {5}), Sample<>(), alone_settings);
  for (std::size_t s = 0; s < 3; ++s) CHECK(together[1][s].tokens == alone[0][s].tokens);
  CHECK_THROWS_WITH_AS(policy.generate(prompts_of(policy, {4, 5}), Sample<>(), alone_settings),
                       doctest::Contains("expected no item_keys, or one for each prompt"), Error);
}

TEST_CASE("those who watch are told of each token, step after step") {
  const auto policy = small_policy();
  GenerateSettings settings{.samples = 2, .maximum_tokens = 30, .seed = 9, .item_keys = {}};
  std::vector<RolloutGroup> told(2, RolloutGroup(2));
  std::vector<std::array<Index, 3>> order;  // step, prompt, sample
  settings.on_token = [&](const DrawnToken& drawn) {
    auto& tokens = told[static_cast<std::size_t>(drawn.prompt)][static_cast<std::size_t>(drawn.sample)].tokens;
    order.push_back({static_cast<Index>(tokens.size()), drawn.prompt, drawn.sample});
    tokens.push_back(drawn.token);
  };
  const auto groups = policy.generate(prompts_of(policy, {4, 5}), Sample<>(), settings);
  for (std::size_t p = 0; p < 2; ++p) {
    for (std::size_t s = 0; s < 2; ++s) CHECK(told[p][s].tokens == groups[p][s].tokens);
  }
  CHECK(order.size() == tokens_in(groups));
  CHECK(std::ranges::is_sorted(order));
}

TEST_CASE("other pictures and other keys give other captions") {
  const auto policy = small_policy();
  const GenerateSettings settings{.samples = 1, .maximum_tokens = 30, .seed = 9, .item_keys = {7}};
  GenerateSettings other_key = settings;
  other_key.item_keys = {8};
  const auto first = policy.generate(prompts_of(policy, {4}), Sample<>(), settings);
  const auto second = policy.generate(prompts_of(policy, {4}), Sample<>(), other_key);
  CHECK(first[0][0].tokens != second[0][0].tokens);
  GenerateSettings other_step = settings;
  other_step.step = 1;
  CHECK(first[0][0].tokens != policy.generate(prompts_of(policy, {4}), Sample<>(), other_step)[0][0].tokens);
  const auto prompts = prompts_of(policy, {4, 6});
  const std::vector<RolloutGroup> same{first[0], first[0]};
  const auto numbers = policy.log_probabilities(prompts, same, 1.0);
  const auto tokens = static_cast<Index>(first[0][0].tokens.size());
  CHECK(std::abs(numbers.value().data()[0] - numbers.value().data()[tokens]) > 1e-6);
}

TEST_CASE("captions end at their end token or at the limit") {
  const auto policy = small_policy();
  const auto groups = policy.generate(prompts_of(policy, {1, 2}), Sample<>(),
                                      {.samples = 64, .maximum_tokens = 60, .seed = 5, .item_keys = {}});
  const Token end = *policy.tokenizer().id_of("<|im_end|>");
  bool some_truncated = false;
  bool some_finished = false;
  for (const RolloutGroup& group : groups) {
    for (const Rollout& rollout : group) {
      const bool finished = rollout.tokens.back() == end;
      CHECK(rollout.caption.truncated == !finished);
      CHECK((finished || rollout.tokens.size() == 60));
      CHECK(std::count(rollout.tokens.begin(), rollout.tokens.end(), end) == (finished ? 1 : 0));
      some_truncated |= !finished;
      some_finished |= finished;
    }
  }
  CHECK(some_truncated);
  CHECK(some_finished);
}

TEST_CASE("a caption is as long as its text, however it was drawn") {
  /// Draws given tokens.
  struct Script {
    std::vector<Token> tokens;
    Token operator()(std::span<float>, std::span<const Token> history, const RandomKey&) const {
      return tokens.at(history.size());
    }
    double temperature() const { return 1; }
    bool filters() const { return true; }
  };
  const auto policy = small_policy();
  const std::string text = "a red circle";
  const auto whole = static_cast<Index>(policy.tokenizer().encode(text).size());
  Script script;
  for (const char letter : text) script.tokens.push_back(*policy.tokenizer().id_of(std::string(1, letter)));
  script.tokens.push_back(*policy.tokenizer().id_of("<|image_pad|>"));
  script.tokens.push_back(*policy.tokenizer().id_of("<|im_end|>"));
  REQUIRE(whole < static_cast<Index>(text.size()));
  const auto groups =
      policy.generate(prompts_of(policy, {1}), script, {.samples = 1, .maximum_tokens = 60, .item_keys = {}});
  CHECK(groups[0][0].tokens == script.tokens);
  CHECK(groups[0][0].caption.text == text + "<|image_pad|>");
  CHECK(groups[0][0].caption.tokens == whole);
  CHECK_FALSE(groups[0][0].caption.truncated);
  CHECK(policy.rollout_of(text).caption.tokens == whole);
}

TEST_CASE("greedy captions of a prompt are all the same") {
  const auto policy = small_policy();
  const auto groups =
      policy.generate(prompts_of(policy, {1}), Greedy{}, {.samples = 3, .maximum_tokens = 12, .item_keys = {}});
  CHECK(groups[0][0].tokens == groups[0][1].tokens);
  CHECK(groups[0][0].tokens == groups[0][2].tokens);
}

TEST_CASE("equal pictures are encoded once and their prompts share all rows") {
  const auto policy = small_policy();
  const auto prompts = prompts_of(policy, {1, 1, 2});
  const VlmBatch batch = make_vlm_batch(prompts, {}, policy.model());
  CHECK(batch.pictures.size() == 2);
  CHECK(batch.shared.row(0, 10) == batch.shared.row(1, 10));
  CHECK(batch.shared.row(0, 20) != batch.shared.row(2, 20));
}

TEST_CASE("gradients do not depend on how groups are laid out together") {
  const auto policy = small_policy();
  const auto prompts = prompts_of(policy, {1, 2});
  const auto groups =
      policy.generate(prompts, Sample<>(), {.samples = 4, .maximum_tokens = 20, .seed = 3, .item_keys = {}});
  const auto gradients = [&](const std::vector<std::vector<std::size_t>>& parts) {
    for (const auto& block : policy.blocks()) block.parameter.zero_gradient();
    for (const auto& part : parts) {
      std::vector<VlmPrompt> some;
      std::vector<RolloutGroup> captions;
      for (const std::size_t p : part) {
        some.push_back(prompts[p / 4]);
        captions.push_back({groups[p / 4][p % 4]});
      }
      Tape tape;
      const auto numbers = policy.log_probabilities(some, captions, 1.0);
      numbers.seed_gradient(Tensor<float>::full(numbers.shape(), 1.0f));
      tape.backward();
    }
    std::vector<float> all;
    for (const auto& parameter : parameters_of<float>(policy.model())) {
      const auto values = parameter.gradient().span();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  const auto together = gradients({{0, 1, 2, 3, 4, 5, 6, 7}});
  const auto apart = gradients({{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}});
  const auto mixed = gradients({{0, 5}, {1, 2, 3}, {4, 6, 7}});
  double difference = 0, difference_mixed = 0, norm = 0;
  for (std::size_t i = 0; i < together.size(); ++i) {
    difference += std::pow(static_cast<double>(together[i] - apart[i]), 2);
    difference_mixed += std::pow(static_cast<double>(together[i] - mixed[i]), 2);
    norm += std::pow(static_cast<double>(together[i]), 2);
  }
  CHECK(norm > 0);
  CHECK(std::sqrt(difference / norm) < 1e-5);
  CHECK(std::sqrt(difference_mixed / norm) < 1e-5);
}

TEST_CASE("captions that go on after the model's last position are an error, drawn or given") {
  const auto plain = small_policy();
  const auto prompts = prompts_of(plain, {1});
  const auto length = static_cast<Index>(prompts[0].tokens.size());
  const GenerateSettings settings{.samples = 2, .maximum_tokens = 6, .seed = 3, .item_keys = {}};
  const auto groups = plain.generate(prompts, Sample<>(), settings);
  const auto policy_of = [](Index positions, const VlmPolicySettings& with) {
    const Tokenizer tokenizer = small_tokenizer();
    TinyVlm<float> model = small_vlm(tokenizer);
    model.language.settings.maximum_positions = positions;
    return TinyVlmPolicy<>(std::move(model), tokenizer, with);
  };
  for (const Index maximum_rows : {Index{0}, length + 4}) {
    const auto enough = policy_of(length + 6, {.maximum_rows = maximum_rows});
    CHECK_NOTHROW(enough.generate(prompts, Sample<>(), settings));
    CHECK_NOTHROW(enough.log_probabilities(prompts, groups, 1.0));
    const auto few = policy_of(length, {.maximum_rows = maximum_rows});
    const std::string message = "expected at most " + std::to_string(length) + " positions";
    CHECK(testing::fails_with([&] { few.generate(prompts, Sample<>(), settings); }, message,
                              "got a sequence of " + std::to_string(length + 1) + " tokens"));
    CHECK(testing::fails_with([&] { few.log_probabilities(prompts, groups, 1.0); }, message));
  }
}
