#include "caprl/policy/any_vlm_policy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "caprl/frames/load_qwen_frames.hpp"
#include "caprl/sampling/greedy.hpp"
#include "support/error_message.hpp"
#include "support/matrices.hpp"
#include "support/small_qwen.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_world.hpp"

using namespace caprl;
using namespace caprl::test;

namespace {

/// A folder of each architecture, with what a processor needs.
struct Folders {
  testing::TemporaryFolder root;
  std::filesystem::path tiny = root / "tiny", qwen25 = root / "qwen25", qwen3 = root / "qwen3";

  explicit Folders(const Json& end_tokens = nullptr) {
    const auto file = root.file("tokenizer.json", small_tokenizer_json());
    const Tokenizer tokenizer = Tokenizer::from_file(file);
    write_small_qwen_files(root.path(), end_tokens);
    save_tiny_vlm(small_vlm(tokenizer), file, tiny);
    save_qwen25_vl(small_qwen25_vl(tokenizer), file, qwen25);
    save_qwen3_vl(small_qwen3_vl(tokenizer), file, qwen3);
  }
};

template <class P>
Rollout greedy_caption(const P& policy) {
  const std::vector<Clip> media{clip_of(noise_image(1))};
  const std::vector<VlmPrompt> prompts{policy.encode(image_item(), media)};
  return policy.generate(prompts, Greedy{}, {.samples = 1, .maximum_tokens = 12, .item_keys = {}})[0][0];
}

/// By name: the gradient of a caption's log-probability.
template <class P>
std::map<std::string, std::vector<float>> gradients_of(const P& policy, const Rollout& caption) {
  const std::vector<Clip> media{clip_of(noise_image(1))};
  const std::vector<VlmPrompt> prompts{policy.encode(image_item(), media)};
  const std::vector<RolloutGroup> groups{{caption}};
  {
    Tape tape;
    const auto values = policy.log_probabilities(prompts, groups, 1.0);
    values.seed_gradient(Tensor<float>::full(values.shape(), 1.0f));
    tape.backward();
  }
  std::map<std::string, std::vector<float>> gradients;
  for (const auto& block : policy.blocks()) {
    const auto values = block.of(block.parameter.gradient()).span();
    gradients[block.name].assign(values.begin(), values.end());
  }
  return gradients;
}

/// What is said about a generation_config.json, "no error" if nothing.
std::string problem_of(const std::string& json) {
  const testing::TemporaryFolder folder;
  folder.file("generation_config.json", json);
  return testing::error_message([&] { load_generation_config(folder.path()); });
}

}  // namespace

TEST_CASE("the policy of a folder is that of its model_type, and captions as when loaded by name") {
  const Folders folders;
  const auto check = [](const auto& folder, const auto& expected) {
    const AnyVlmPolicy any = load_vlm_policy(folder.folder);
    REQUIRE(std::holds_alternative<std::remove_cvref_t<decltype(expected.model())>>(any.model().architecture));
    const Rollout caption = greedy_caption(expected);
    CHECK(greedy_caption(any).tokens == caption.tokens);
    CHECK(gradients_of(any, caption) == gradients_of(expected, caption));
  };
  const auto tiny = load_tiny_vlm(folders.tiny);
  check(tiny, TinyVlmPolicy<>(tiny.model, tiny.tokenizer));
  const auto qwen25 = load_qwen25_vl(folders.qwen25);
  check(qwen25, Qwen25VlPolicy<>(qwen25.model, qwen25.tokenizer));
  const auto qwen3 = load_qwen3_vl(folders.qwen3);
  check(qwen3, Qwen3VlPolicy<>(qwen3.model, qwen3.tokenizer));
}

TEST_CASE("a folder of no known model_type is refused with those that there are") {
  const testing::TemporaryFolder folder;
  const auto load = [&] { load_vlm_policy(folder.path()); };
  CHECK(testing::fails_with(load, "config.json"));
  folder.file("config.json", R"({"model_type": "llava"})");
  CHECK(testing::fails_with(load, "model_type", "caprl_tiny_vlm, qwen2_5_vl, qwen3_vl", "got \"llava\""));
}

TEST_CASE("captions end with each end token of generation_config.json, and with the chat's turn end") {
  const Tokenizer tokenizer = small_tokenizer();
  const Rollout whole = greedy_caption(Qwen25VlPolicy<>(small_qwen25_vl(tokenizer), tokenizer));
  const Token turn_end = SpecialTokenIds::of(tokenizer).turn_end;
  REQUIRE(whole.tokens.size() == 12);
  REQUIRE(whole.caption.truncated);
  const Token chosen = whole.tokens[5];
  const auto end = std::ranges::find(whole.tokens, chosen) + 1;
  for (const Json& listed : {Json(chosen), Json{turn_end, chosen}, Json{chosen, turn_end}}) {
    const Folders folders(listed);
    const AnyVlmPolicy any = load_vlm_policy(folders.qwen25);
    const Rollout caption = greedy_caption(any);
    CHECK(caption.tokens == std::vector<Token>(whole.tokens.begin(), end));
    CHECK_FALSE(caption.caption.truncated);
    CHECK(caption.caption.text == tokenizer.decode_any(std::span(whole.tokens.begin(), end - 1)));
    CHECK(any.rollout_of("a red circle").tokens.back() == turn_end);
    CHECK(std::ranges::count(any.end_tokens(), turn_end) >= 1);
  }
  CHECK(testing::fails_with(
      [&] {
        Qwen25VlPolicy<>(small_qwen25_vl(tokenizer), tokenizer,
                         {.end_tokens = {static_cast<Token>(tokenizer.vocabulary_size())}});
      },
      "end_tokens", std::to_string(tokenizer.vocabulary_size())));
}

TEST_CASE("a model of any architecture is written as its own, with how its pictures become patches, and made anew") {
  const Folders folders;
  for (const auto& folder : {folders.tiny, folders.qwen25, folders.qwen3}) {
    const auto loaded = load_vlm(folder);
    const testing::TemporaryFolder place;  // without a processor beside the tokenizer
    save_vlm(loaded.model, place.file("tokenizer.json", small_tokenizer_json()), place / "again");
    const auto numbers_of = [&](const AnyVlm<float>& model) {
      return greedy_caption(AnyVlmPolicy(model, loaded.tokenizer)).log_probabilities;
    };
    CHECK(numbers_of(load_vlm(place / "again").model) == numbers_of(loaded.model));
    const auto fresh = vlm_without_weights<float>(place / "again");
    initialize(fresh, 1);
    const auto first = numbers_of(fresh);
    std::map<std::string, std::vector<float>> drawn;
    for (const auto& block : named_blocks<float>(fresh)) {
      const auto values = block.of(block.parameter.value()).span();
      if (block.parameter.shape().rank() > 1) drawn[block.name].assign(values.begin(), values.end());
    }
    initialize(fresh, 2);
    for (const auto& block : named_blocks<float>(fresh)) {
      CAPTURE(block.name);
      CHECK((!drawn.contains(block.name) ||
             !std::ranges::equal(drawn[block.name], block.of(block.parameter.value()).span())));
    }
    CHECK(numbers_of(fresh) != first);
    initialize(fresh, 1);
    CHECK(numbers_of(fresh) == first);
  }
}

TEST_CASE("what a folder says of pictures and frames is copied, and nothing is written beside it") {
  const Folders folders;
  const auto model = load_vlm(folders.qwen25).model;
  const testing::TemporaryFolder place;
  const auto tokenizer = place.file("tokenizer.json", small_tokenizer_json());
  place.file("preprocessor_config.json", R"({"patch_size": 4, "fps": 7})");
  save_vlm(model, tokenizer, place / "saved");
  CHECK(std::filesystem::exists(place / "saved/preprocessor_config.json"));
  CHECK_FALSE(std::filesystem::exists(place / "saved/video_preprocessor_config.json"));
  CHECK(load_qwen2_vl_frames(place / "saved").frames_per_second == 7);
}

TEST_CASE("an adapter's folder is merged into the policy's weights") {
  const Folders folders;
  const auto changed = load_qwen25_vl(folders.qwen25);
  const LoraSettings settings{.rank = 2, .alpha = 16};
  add_lora<float>(changed.model, settings, 3);
  RandomStream random({.seed = 4});
  for (const auto& block : lora_blocks<float>(changed.model)) {
    for (float& value : block.parameter.value().span()) value = static_cast<float>(random.normal());
  }
  const Rollout expected = greedy_caption(Qwen25VlPolicy<>(changed.model, changed.tokenizer));
  const std::filesystem::path adapter = folders.root / "adapter";
  const auto check_merged = [&](const std::string& layers) {
    CHECK(SafetensorsFile(adapter / "adapter_model.safetensors").contains(layers + "0.self_attn.q_proj.lora_A.weight"));
    CHECK(greedy_caption(load_vlm_policy(folders.qwen25, {}, adapter)).tokens == expected.tokens);
  };
  save_qwen25_vl_lora(changed.model, settings, "qwen25", adapter);
  check_merged("base_model.model.model.language_model.layers.");
  save_lora<float>(changed.model, settings, "qwen25", adapter);  // named as published weights are
  check_merged("base_model.model.model.layers.");
  CHECK(expected.tokens != greedy_caption(load_vlm_policy(folders.qwen25)).tokens);
}

TEST_CASE("adapters of Qwen2.5-VL by PEFT, whose names are of newer transformers, make of weights what PEFT does") {
  const std::filesystem::path data = CAPRL_TEST_DATA;
  const auto model = load_qwen25_vl_model(data / "qwen25_vl/published");
  const LoraSettings settings = load_qwen25_vl_lora(model, data / "lora_qwen25_vl");
  CHECK(settings.rank == 2);
  merge_lora<float>(model);
  const SafetensorsFile expected(data / "lora_qwen25_vl/merged.safetensors");
  REQUIRE(expected.tensors().size() == 5);
  std::size_t compared = 0;
  for (const auto& block : named_blocks<float>(model)) {
    if (!expected.contains(block.name)) continue;
    ++compared;
    const auto weight = expected.read<float>(block.name);
    CHECK(::test::distance(block.of(block.parameter.value()), weight) < 1e-6);
  }
  CHECK(compared == 5);
}

TEST_CASE("generation_config.json gives what it says, and transformers' defaults for the rest") {
  const testing::TemporaryFolder folder;
  const GenerationConfig absent = load_generation_config(folder.path());
  CHECK_FALSE(absent.draws);
  CHECK(absent.temperature == 1);
  CHECK(absent.top_k == 50);
  CHECK(absent.top_p == 1);
  CHECK(absent.repetition_penalty == 1);
  CHECK(absent.end_tokens.empty());
  CHECK(published_sampler(absent).recorded() == RecordedNumbers{{"top_k", 1}});

  // As published with Qwen3-VL-4B-Instruct, but for the penalty.
  folder.file("generation_config.json", R"({"bos_token_id": 151643, "pad_token_id": 151643, "do_sample": true,
    "eos_token_id": [151645, 151643], "top_p": 0.8, "top_k": 20, "temperature": 0.7, "repetition_penalty": 1.05,
    "transformers_version": "4.56.0"})");
  const GenerationConfig config = load_generation_config(folder.path());
  CHECK(config.draws);
  CHECK(config.end_tokens == std::vector<Token>{151645, 151643});
  CHECK(published_sampler(config).recorded() ==
        RecordedNumbers{{"repetition_penalty", 1.05}, {"temperature", 0.7}, {"top_k", 20}, {"top_p", 0.8}});
  folder.file("generation_config.json", R"({"eos_token_id": 7, "top_k": null})");
  CHECK(load_generation_config(folder.path()).end_tokens == std::vector<Token>{7});

  CHECK(problem_of(R"({"temperature": 0})").find("temperature: expected a number above 0") != std::string::npos);
  CHECK(problem_of(R"({"top_k": -1})").find("top_k: expected at least 0, got -1") != std::string::npos);
  CHECK(problem_of(R"({"top_p": 1.5})").find("top_p: expected a number from 0 to 1") != std::string::npos);
  CHECK(problem_of(R"({"repetition_penalty": -1})").find("repetition_penalty") != std::string::npos);
  CHECK(problem_of(R"({"eos_token_id": [3, -2]})").find("expected tokens of at least 0, got -2") != std::string::npos);
  CHECK(problem_of(R"({"eos_token_id": "<|im_end|>"})").find("eos_token_id") != std::string::npos);
}
