#include "support/policy_laws.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "caprl/autograd/embedding.hpp"
#include "caprl/autograd/log_probability.hpp"
#include "caprl/policy/qwen_vl_policy.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "support/small_qwen.hpp"
#include "support/tiny_world.hpp"

using namespace caprl;
using namespace caprl::test;

namespace {

enum class Fault {
  none,
  records_another_temperature,
  ignores_temperature,
  looks_at_neighbours,
  restless,
  too_long,
  too_few,
  unrecorded
};

/// A policy of a user's own: the next token depends on the last one alone. Token 0 ends a caption. It may have a fault.
class BigramPolicy {
 public:
  using Prompt = Token;
  using value_type = float;
  using device_type = Cpu;

  explicit BigramPolicy(Fault fault = Fault::none) : fault_(fault), table_(Shape{12, 4}), head_(Shape{12, 4}) {
    RandomStream random({.seed = 8});
    for (float& value : table_.value().span()) value = static_cast<float>(random.normal());
    for (float& value : head_.value().span()) value = static_cast<float>(random.normal());
  }

  Prompt encode(const CaptionItem& item, std::span<const Clip>) const {
    return static_cast<Token>(1 + item.prompt.size() % 11);
  }

  template <Sampler S>
  std::vector<RolloutGroup> generate(std::span<const Prompt> prompts, const S& sampler,
                                     const GenerateSettings& settings) const {
    std::vector<RolloutGroup> groups;
    for (std::size_t p = 0; p < prompts.size(); ++p) {
      RolloutGroup& group = groups.emplace_back();
      for (Index s = fault_ == Fault::too_few ? 1 : 0; s < settings.samples; ++s) {
        group.push_back(caption(prompts, p, static_cast<std::uint32_t>(s), sampler, settings));
      }
    }
    return groups;
  }

  Var<float> log_probabilities(std::span<const Prompt> prompts, std::span<const RolloutGroup> groups,
                               double temperature) const {
    std::vector<Index> sources;
    std::vector<HeadPair> pairs;
    for (std::size_t p = 0; p < prompts.size(); ++p) {
      for (const Rollout& rollout : groups[p]) {
        Token last = prompts[p];
        for (const Token token : rollout.tokens) {
          pairs.push_back({static_cast<Index>(sources.size()), token});
          sources.push_back(last);
          last = token;
        }
      }
    }
    const auto hidden = embed(table_, Var<float>(), std::move(sources));
    const double inverse = fault_ == Fault::ignores_temperature ? 1.0 : 1.0 / temperature;
    const auto numbers = token_log_probabilities(hidden, head_, std::move(pairs), inverse);
    return fault_ == Fault::unrecorded ? Var<float>(numbers.value()) : numbers;
  }

  std::vector<NamedBlock<float>> blocks() const { return {whole_block("table", table_), whole_block("head", head_)}; }

 private:
  template <Sampler S>
  Rollout caption(std::span<const Prompt> prompts, std::size_t p, std::uint32_t sample, const S& sampler,
                  const GenerateSettings& settings) const {
    Rollout rollout;
    Token last = prompts[p];
    if (fault_ == Fault::restless) ++calls_;
    const Index limit = settings.maximum_tokens + (fault_ == Fault::too_long ? 1 : 0);
    const auto neighbours = fault_ == Fault::looks_at_neighbours ? static_cast<std::uint32_t>(prompts.size()) : 0u;
    while (static_cast<Index>(rollout.tokens.size()) < limit && (rollout.tokens.empty() || last != 0)) {
      std::vector<float> logits = logits_after(last);
      const double temperature = fault_ == Fault::records_another_temperature ? 2.0 : sampler.temperature();
      const RandomKey key{.seed = settings.seed + calls_,
                          .purpose = Purpose::sampling,
                          .step = settings.step + neighbours,
                          .item = settings.item_keys.at(p),
                          .sample = sample,
                          .position = static_cast<std::uint32_t>(rollout.tokens.size())};
      const std::vector<float> plain = logits;
      last = sampler(logits, rollout.tokens, key);
      rollout.tokens.push_back(last);
      rollout.log_probabilities.push_back(log_probability(plain, last, temperature));
    }
    rollout.caption = {.text = std::string(rollout.tokens.begin(), rollout.tokens.end()),
                       .tokens = static_cast<Index>(rollout.tokens.size()),
                       .truncated = last != 0};
    return rollout;
  }

  std::vector<float> logits_after(Token token) const {
    std::vector<float> logits(12);
    for (Index v = 0; v < 12; ++v) {
      for (Index c = 0; c < 4; ++c) logits[static_cast<std::size_t>(v)] += table_.rows()(token, c) * head_.rows()(v, c);
    }
    return logits;
  }

  static float log_probability(const std::vector<float>& logits, Token token, double temperature) {
    double total = 0;
    for (const float z : logits) total += std::exp(static_cast<double>(z) / temperature);
    return static_cast<float>(static_cast<double>(logits[static_cast<std::size_t>(token)]) / temperature -
                              std::log(total));
  }

  Fault fault_;
  Parameter<float> table_, head_;
  mutable std::uint64_t calls_ = 0;
};

static_assert(Policy<BigramPolicy>);
static_assert(!SupervisedPolicy<BigramPolicy>);
static_assert(SupervisedPolicy<TinyVlmPolicy<>>);

struct Silent {  // all that a policy has but generate
  using Prompt = Token;
  using value_type = float;
  using device_type = Cpu;
  Prompt encode(const CaptionItem&, std::span<const Clip>) const;
  Var<float> log_probabilities(std::span<const Prompt>, std::span<const RolloutGroup>, double) const;
  std::vector<NamedBlock<float>> blocks() const;
};
static_assert(!Policy<Silent>);

/// `frames` pictures of noise, half a second each.
Clip noise_clip(std::uint32_t number, ImageSize size, Index frames) {
  Clip clip{.frames = {}, .duration_seconds = 0.5 * static_cast<double>(frames)};
  for (Index f = 0; f < frames; ++f) {
    Image image(size.height, size.width);
    RandomStream stream({.seed = 7, .item = number, .sample = static_cast<std::uint32_t>(f)});
    for (std::uint8_t& value : image.rgb) value = static_cast<std::uint8_t>(stream.below(256));
    clip.frames.push_back({.image = std::move(image), .seconds = 0.5 * static_cast<double>(f)});
  }
  return clip;
}

std::string text_of(const VlmPrompt& prompt, const Tokenizer& tokenizer) {
  std::vector<Token> tokens;
  for (const TokenKey& token : prompt.tokens) tokens.push_back(token.id);
  return tokenizer.decode_any(tokens);
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

template <class P>
VlmPrompt encode(const P& policy, const std::vector<Clip>& media) {
  CaptionItem item = image_item();
  item.media.clear();
  for (const Clip& clip : media) {
    item.media.push_back({clip.frames.size() > 1 ? MediaKind::video : MediaKind::image, "media"});
  }
  return policy.encode(item, media);
}

std::vector<std::string> broken_laws(Fault fault) {
  const std::vector<Token> prompts{3, 7, 5};
  return broken_policy_laws(BigramPolicy(fault), prompts);
}

}  // namespace

TEST_CASE("the tiny vision-language policy keeps the laws of policies, in every way it computes") {
  const Tokenizer tokenizer = small_tokenizer();
  for (const VlmPolicySettings& settings :
       {VlmPolicySettings{}, VlmPolicySettings{.maximum_rows = 20}, VlmPolicySettings{.recompute_blocks = true},
        VlmPolicySettings{.packed = WeightFormat::float32}}) {
    const TinyVlmPolicy<> policy(small_vlm(tokenizer), tokenizer, settings);
    std::vector<VlmPrompt> prompts;
    for (const std::uint32_t image : {1u, 2u, 3u}) {
      const std::vector<Clip> media{image_clip(image)};
      prompts.push_back(policy.encode(image_item(), media));
    }
    check_policy_laws(policy, prompts);
  }
}

TEST_CASE("a policy of Qwen2.5-VL keeps the laws of policies with pictures of several sizes and a video") {
  const Tokenizer tokenizer = small_tokenizer();
  for (const VlmPolicySettings& settings :
       {VlmPolicySettings{}, VlmPolicySettings{.maximum_rows = 20}, VlmPolicySettings{.recompute_blocks = true}}) {
    const Qwen25VlPolicy<> policy(small_qwen25_vl(tokenizer), tokenizer, settings);
    const std::vector<VlmPrompt> prompts{encode(policy, {noise_clip(1, {16, 40}, 1)}),
                                         encode(policy, {noise_clip(2, {24, 24}, 1), noise_clip(1, {16, 40}, 1)}),
                                         encode(policy, {noise_clip(3, {16, 24}, 5)})};
    check_policy_laws(policy, prompts);
  }
}

TEST_CASE("a policy of Qwen3-VL keeps the laws of policies with pictures of several sizes and a video") {
  const Tokenizer tokenizer = small_tokenizer();
  for (const VlmPolicySettings& settings :
       {VlmPolicySettings{}, VlmPolicySettings{.maximum_rows = 20}, VlmPolicySettings{.recompute_blocks = true}}) {
    const Qwen3VlPolicy<> policy(small_qwen3_vl(tokenizer), tokenizer, settings);
    const std::vector<VlmPrompt> prompts{encode(policy, {noise_clip(1, {16, 40}, 1)}),
                                         encode(policy, {noise_clip(2, {24, 24}, 1), noise_clip(1, {16, 40}, 1)}),
                                         encode(policy, {noise_clip(3, {16, 24}, 5)})};
    check_policy_laws(policy, prompts);
  }
}

TEST_CASE("prompts of Qwen3-VL tell the time of each group of a video's frames") {
  const Tokenizer tokenizer = small_tokenizer();
  const Qwen3VlPolicy<> policy(small_qwen3_vl(tokenizer), tokenizer);
  const VlmPrompt prompt = encode(policy, {noise_clip(3, {16, 24}, 5)});
  REQUIRE(prompt.pictures.size() == 3);
  CHECK(prompt.pictures[0].grid == VisionGrid{1, 4, 6});
  CHECK(prompt.pictures[0].pixels.shape() == Shape{24, 96});
  CHECK(prompt.pictures[0].hash != prompt.pictures[1].hash);
  CHECK(prompt.picture_rows == 18);
  const std::string text = text_of(prompt, tokenizer);
  const std::string picture = "<|vision_start|>" + repeated("<|video_pad|>", 6) + "<|vision_end|>";
  CHECK(text.find("<0.2 seconds>" + picture + "<1.2 seconds>" + picture + "<2.0 seconds>" + picture) !=
        std::string::npos);
  CHECK(text.find("system") == std::string::npos);
}

TEST_CASE("prompts of Qwen2.5-VL hold a picture as a whole, at its size, after its system message") {
  const Tokenizer tokenizer = small_tokenizer();
  const Qwen25VlPolicy<> policy(small_qwen25_vl(tokenizer), tokenizer);
  const VlmPrompt prompt = encode(policy, {noise_clip(1, {16, 40}, 1), noise_clip(3, {16, 24}, 5)});
  REQUIRE(prompt.pictures.size() == 2);
  CHECK(prompt.pictures[0].grid == VisionGrid{1, 4, 10});
  CHECK(prompt.pictures[1].grid == VisionGrid{3, 4, 6});
  CHECK(prompt.pictures[1].seconds_per_time == doctest::Approx(1.0));  // two frames of half a second
  const auto pads = [&](const char* name) {
    return std::ranges::count(prompt.tokens, *tokenizer.id_of(name), &TokenKey::id);
  };
  CHECK(pads("<|image_pad|>") == 10);
  CHECK(pads("<|video_pad|>") == 18);
  CHECK(prompt.picture_rows == 28);
  CHECK(text_of(prompt, tokenizer).find("system\nYou are a helpful assistant.") != std::string::npos);
}

TEST_CASE("a policy of a user's own keeps the laws, and each fault breaks the law that it should") {
  CHECK(broken_laws(Fault::none).empty());
  const auto breaks = [](Fault fault, const std::string& law) {
    const std::vector<std::string> broken = broken_laws(fault);
    REQUIRE(broken.size() == 1);
    CHECK(broken[0] == law);
  };
  breaks(Fault::records_another_temperature, "log_probabilities gives what generate recorded");
  breaks(Fault::looks_at_neighbours, "a caption does not depend on other prompts");
  breaks(Fault::restless, "the same settings give the same captions");
  breaks(Fault::too_long, "captions are as many and as long as asked for");
  breaks(Fault::too_few, "captions are as many and as long as asked for");
  breaks(Fault::unrecorded, "log_probabilities are recorded on the tape");
  CHECK_FALSE(broken_laws(Fault::ignores_temperature).empty());
}
