#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "caprl/model/log_probabilities_by_parts.hpp"
#include "caprl/model/lora_folder.hpp"
#include "support/decoder_folders.hpp"
#include "support/error_message.hpp"
#include "support/matrices.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

namespace {

/// Adapters of peft with random numbers on folders of transformers; see tests/reference/nn_lora.py.
const std::filesystem::path adapters = std::filesystem::path(CAPRL_TEST_DATA) / "lora";
const std::vector<std::string> cases{"llama_tied", "llama_biases", "qwen2_tied", "qwen2_shards", "qwen3_biases"};

struct Adapted {
  Decoder<float> model;
  LoraSettings settings;

  explicit Adapted(const std::string& name) : model(small_decoder(name)) {
    settings = load_lora<float>(model, adapters / name);
  }
};

SafetensorsFile expected(const std::string& name) { return SafetensorsFile(adapters / name / "expected.safetensors"); }

std::vector<std::vector<Index>> sequences(const std::string& name) {
  return reference(name).at("sequences").get<std::vector<std::vector<Index>>>();
}

Tensor<float> logits(const Decoder<float>& model, const std::vector<Index>& ids) {
  const NoGradient silent;
  const Paths alone({ids});
  return linear(model(alone.rows(model), alone.tree()), model.head).value();
}

/// Distances of a model's logits from peft's, the largest of a case's sequences.
double distance_from_peft(const Decoder<float>& model, const std::string& name) {
  double largest = 0;
  const auto all = sequences(name);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto theirs = expected(name).read<float>("logits." + std::to_string(i));
    largest = std::max(largest, test::distance(logits(model, all[i]), theirs));
  }
  return largest;
}

/// The gradients of a case's weighted log-probabilities, as `compute` records them.
void add_gradients(const std::string& name, const std::function<Var<float>()>& compute) {
  Tape tape;
  const Var<float> values = compute();
  Tensor<float> weights(values.shape());
  std::ranges::copy(joined(reference(name).at("weights")), weights.data());
  values.seed_gradient(weights);
  tape.backward();
}

void check_gradients(const Decoder<float>& model, const std::string& name) {
  for (const auto& block : lora_blocks<float>(model)) {
    CAPTURE(name + " " + block.name);
    CHECK(test::distance(block.parameter.gradient(), expected(name).read<float>("gradient." + block.name)) < 1e-4);
    block.parameter.zero_gradient();
  }
}

std::vector<double> numbers_of(const std::vector<NamedBlock<float>>& blocks) {
  std::vector<double> all;
  for (const auto& block : blocks) {
    const auto some = test::numbers(block.of(block.parameter.value()));
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

}  // namespace

TEST_CASE("adapters of peft give its logits, merged or not, and leave the weights as they were") {
  for (const std::string& name : cases) {
    CAPTURE(name);
    const auto [model, settings] = Adapted(name);
    const auto plain = numbers_of(named_blocks<float>(small_decoder(name)));
    CHECK(distance_from_peft(small_decoder(name), name) > 1e-2);
    CHECK(distance_from_peft(model, name) < 1e-5);
    CHECK(numbers_of(named_blocks<float>(model)) == plain);

    merge_lora<float>(model);
    CHECK(distance_from_peft(model, name) < 1e-5);
    const SafetensorsFile file = expected(name);
    std::size_t changed = 0;
    for (const auto& block : named_blocks<float>(model)) {
      if (!file.contains("merged." + block.name)) continue;
      ++changed;
      CHECK(test::distance(block.of(block.parameter.value()), file.read<float>("merged." + block.name)) < 1e-6);
    }
    CHECK(2 * changed == expected(name).tensors().size() - sequences(name).size() - changed);  // an A and a B for each
    CHECK(lora_blocks<float>(model).empty());

    unmerge_lora<float>(model);
    CHECK(numbers_of(named_blocks<float>(model)) == plain);
    CHECK(distance_from_peft(model, name) < 1e-5);
  }
}

TEST_CASE("adapters that are merged for good leave a model as merged ones, without them and what they took") {
  for (const std::string& name : cases) {
    const auto held = [] { return CpuAllocator::instance().counters().in_use; };
    const auto [merged, settings] = Adapted(name);
    merge_lora<float>(merged);
    const auto [model, same_settings] = Adapted(name);
    const Index before = held();
    merge_and_unload_lora<float>(model);
    CHECK(held() < before);
    CHECK(numbers_of(named_blocks<float>(model)) == numbers_of(named_blocks<float>(merged)));
    CHECK(distance_from_peft(model, name) < 1e-5);
    for (const auto& rows : linear_layers<float>(model)) CHECK(rows.layer.adapters->empty());
    CHECK(fails_with([&] { unmerge_lora<float>(model); }, "[unmerge_lora]"));
    CHECK(fails_with([&] { merge_and_unload_lora<float>(model); }, "expected adapters"));
    CHECK_NOTHROW(add_lora<float>(model, {.rank = 2}, 1));
  }
}

TEST_CASE("the gradients of adapters are PyTorch's, however they are computed, and the frozen weights have none") {
  for (const std::string& name : cases) {
    auto [model, settings] = Adapted(name);
    const Paths paths(sequences(name));
    for (const bool recomputed : {false, true}) {
      model.recompute_blocks = recomputed;
      add_gradients(name, [&] { return log_probabilities(model, paths); });
      check_gradients(model, name);
    }
    add_gradients(
        name, [&] { return log_probabilities_by_parts(model, paths.rows(model), paths.tree(), paths.pairs, 1.0, 4); });
    check_gradients(model, name);
    for (const auto& block : named_blocks<float>(model)) CHECK_FALSE(block.parameter.needs_gradient());
  }
}

TEST_CASE("captions are continued with adapters as with merged weights, packed or not") {
  const auto [model, settings] = Adapted("llama_biases");
  const auto prompt = reference("llama_biases").at("sequences").at(1).get<std::vector<Token>>();
  CHECK(fails_with([&] { rounded_to_bf16(model); }, "merge_lora", "self_attn.q_proj"));
  const auto continuation = continued(model, prompt, 48, nullptr);
  CHECK(continuation != continued(small_decoder("llama_biases"), prompt, 48, nullptr));
  const PackedProducts beside(model, WeightFormat::float32);  // the adapters stay beside the weights that are laid out
  for (const Linear<float>& layer : {model.blocks[0].query_key_value, model.blocks[1].down}) {
    const Var<float> x(test::random_tensor<float>({5, layer.weight.shape()[1]}, 1));
    const Var<float> residual(test::random_tensor<float>({5, layer.weight.shape()[0]}, 2));
    CHECK(test::distance(beside.linear(x, layer).value(), TapedProducts{}.linear(x, layer).value()) < 1e-6);
    CHECK(test::distance(beside.linear_residual(x, layer, residual).value(),
                         TapedProducts{}.linear_residual(x, layer, residual).value()) < 1e-6);
  }
  merge_lora<float>(model);
  CHECK(continued(model, prompt, 48, nullptr) == continuation);
  const PackedProducts packed(model, WeightFormat::float32);
  CHECK(continued(model, prompt, 48, &packed) == continuation);
}

TEST_CASE("an adapter that is saved opens again with the same numbers") {
  // With CAPRL_LORA_OUT they stay there for peft to open: tests/reference/nn_lora.py.
  const TemporaryFolder temporary;
  const char* kept = std::getenv("CAPRL_LORA_OUT");
  const std::filesystem::path out = kept == nullptr ? temporary.path() : std::filesystem::path(kept);
  for (const std::string& name : cases) {
    CAPTURE(name);
    const auto [model, settings] = Adapted(name);
    save_lora<float>(model, settings, name, out / name);
    const Decoder<float> again = small_decoder(name);
    const LoraSettings read = load_lora<float>(again, out / name);
    CHECK(read.scale() == settings.scale());
    CHECK(read.dropout == settings.dropout);
    CHECK(numbers_of(lora_blocks<float>(again)) == numbers_of(lora_blocks<float>(model)));
    const std::vector<Index> ids = sequences(name).front();
    const Tensor<float> ours = logits(again, ids);
    CHECK(test::numbers(ours) == test::numbers(logits(model, ids)));
    Tensor<Index> stored(Shape{static_cast<Index>(ids.size())});
    std::ranges::copy(ids, stored.data());
    write_safetensors(out / (name + ".safetensors"), {named_tensor("logits", ours), named_tensor("ids", stored)});
  }
  Decoder<float> fresh = small_decoder("llama_tied");
  add_lora<float>(fresh, {.rank = 2}, 1);
  CHECK(fails_with([&] { save_lora<float>(fresh, {.rank = 3}, "base", out / "other"); }, "settings' rank"));
  CHECK(
      fails_with([&] { save_weights<float>(fresh, out / "plain.safetensors", WeightFormat::float32); }, "merge_lora"));
}

TEST_CASE("fresh adapters change nothing, are drawn by seed, and freeze the model") {
  const auto ids = sequences("qwen2_tied").front();
  const Decoder<float> plain = small_decoder("qwen2_tied"), model = small_decoder("qwen2_tied"),
                       other = small_decoder("qwen2_tied");
  const LoraSettings settings{.rank = 3, .targets = std::vector<std::string>{"q_proj", "layers.1.mlp.down_proj"}};
  add_lora<float>(model, settings, 5);
  CHECK(test::numbers(logits(model, ids)) == test::numbers(logits(plain, ids)));
  CHECK(trained_blocks(named_blocks<float>(model)).empty());
  std::vector<std::string> names;
  for (const auto& block : lora_blocks<float>(model)) names.push_back(block.name);
  CHECK(names == std::vector<std::string>{
                     "model.layers.0.self_attn.q_proj.lora_A.weight", "model.layers.0.self_attn.q_proj.lora_B.weight",
                     "model.layers.1.self_attn.q_proj.lora_A.weight", "model.layers.1.self_attn.q_proj.lora_B.weight",
                     "model.layers.1.mlp.down_proj.lora_A.weight", "model.layers.1.mlp.down_proj.lora_B.weight"});
  const auto layers = lora_blocks<float>(model);
  CHECK(test::numbers(layers[0].parameter.value()) != test::numbers(layers[2].parameter.value()));
  add_lora<float>(other, settings, 5);
  CHECK(numbers_of(lora_blocks<float>(other)) == numbers_of(lora_blocks<float>(model)));
  const Decoder<float> drawn = small_decoder("qwen2_tied");
  add_lora<float>(drawn, settings, 6);
  CHECK(numbers_of(lora_blocks<float>(drawn)) != numbers_of(lora_blocks<float>(model)));
  for (const double number : test::numbers(lora_blocks<float>(model)[0].parameter.value())) {
    CHECK(std::abs(number) <= 0.25);  // 1 / sqrt(16)
  }
}

TEST_CASE("adapters that do not fit are refused with what there is") {
  const Decoder<float> model = small_decoder("llama_tied");
  const auto refuses = [&](const LoraSettings& settings, const auto&... parts) {
    return fails_with([&] { add_lora<float>(model, settings, 1); }, parts...);
  };
  CHECK(refuses({.rank = 0}, "a rank of at least 1"));
  CHECK(refuses({.dropout = 1}, "dropout"));
  CHECK(refuses({.targets = std::vector<std::string>{"q_proj", "query"}}, "none for \"query\"",
                "model.layers.*.self_attn.q_proj"));
  CHECK(refuses({.targets = std::vector<std::string>{"proj"}}, "none for \"proj\""));
  CHECK(refuses({.targets = NamePattern("q_proj")}, "none for \"q_proj\""));  // the whole name must match
  CHECK(fails_with([] { NamePattern("(q_proj"); }, "expected a regular expression", "(q_proj"));
  const std::string long_name = std::string(60, 'a') + "!";
  CHECK(fails_with([&] { return NamePattern("(a|aa)+").matches(long_name); }, "got PCRE2's error"));
  CHECK(trained_blocks(named_blocks<float>(model)).size() == named_blocks<float>(model).size());  // nothing was done
  CHECK(fails_with([&] { merge_lora<float>(model); }, "[merge_lora]"));
  CHECK(fails_with([&] { unmerge_lora<float>(model); }, "[unmerge_lora]"));
  CHECK(fails_with([&] { save_lora<float>(model, {}, "base", "never"); }, "[save_lora]", "are frozen", "embed_tokens"));
  add_lora<float>(model, {}, 1);
  CHECK(refuses({}, "without adapters", "load the model's folder"));
}

TEST_CASE("folders of peft that ask for what is not here are refused by field") {
  const TemporaryFolder folder;
  const Json config = load_json(adapters / "llama_tied/adapter_config.json");
  std::filesystem::copy(adapters / "llama_tied/adapter_model.safetensors", folder / "adapter_model.safetensors");
  const auto refuses = [&](const char* field, const Json& value, const char* message) {
    Json changed = config;
    changed[field] = value;
    folder.file("adapter_config.json", changed.dump());
    return fails_with([&] { load_lora<float>(small_decoder("llama_tied"), folder.path()); }, field, message);
  };
  CHECK(refuses("modules_to_save", {"lm_head"}, "not supported"));
  CHECK(refuses("rank_pattern", {{"q_proj", 2}}, "not supported"));
  CHECK(refuses("layers_to_transform", {0}, "not supported"));
  CHECK(refuses("exclude_modules", "v_proj", "not supported"));
  CHECK(refuses("use_dora", true, "not supported"));
  CHECK(refuses("fan_in_fan_out", true, "not supported"));
  CHECK(refuses("peft_type", "IA3", "expected \"LORA\""));
  CHECK(refuses("bias", "all", "expected \"none\""));
  CHECK(refuses("init_lora_weights", "pissa", "expected \"gaussian\""));
  CHECK(refuses("r", 0, "expected 1 to"));
  CHECK(refuses("lora_dropout", 1.0, "expected 0 to below 1"));
  CHECK(refuses("target_modules", 3, "expected a string"));
  const auto fails = [&](const char* field, const Json& value, const auto&... parts) {
    Json changed = config;
    changed[field] = value;
    folder.file("adapter_config.json", changed.dump());
    return fails_with([&] { load_lora<float>(small_decoder("llama_tied"), folder.path()); }, parts...);
  };
  CHECK(fails("r", 3, "expected shape [3, 16]", "q_proj.lora_A.weight"));
  CHECK(fails("target_modules", {"q_proj"}, "extra: 4"));
  CHECK(fails("target_modules", {"q_proj", "v_proj", "o_proj"}, "missing: 4"));
  CHECK(fails("target_modules", {"fc1"}, "none for \"fc1\"", "adapter_config.json"));
  CHECK(fails("target_modules", "(q_proj", "a regular expression", "adapter_config.json, target_modules"));
  CHECK(fails("r", 65536, "expected shape [65536, 16]"));
  CHECK(fails("lora_alpha", 1e300, "lora_alpha", "within single precision"));
  CHECK_FALSE(fails("target_modules", {"q_proj", "v_proj", "fc1"}, ""));  // peft passes over what is not there
}
