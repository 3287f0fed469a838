#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "caprl/model/language_model.hpp"
#include "support/decoder_folders.hpp"
#include "support/error_message.hpp"
#include "support/matrices.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

namespace {

/// Folders of transformers with random weights; see tests/reference/model_decoders.py.
const std::vector<std::string> folders{"llama_tied", "llama_biases", "llama_linear", "qwen2_tied", "qwen2_shards",
                                       "qwen2_yarn", "qwen3_tied",   "qwen3_biases", "qwen3_yarn"};

std::vector<double> log_probabilities(const Decoder<float>& model, const std::vector<std::vector<Index>>& sequences) {
  const NoGradient silent;
  return test::numbers(log_probabilities(model, Paths(sequences)).value());
}

}  // namespace

TEST_CASE("folders of transformers give its logits") {
  for (const std::string& name : folders) {
    CAPTURE(name);
    const Decoder<float> model = small_decoder(name);
    const auto sequences = reference(name).at("sequences").get<std::vector<std::vector<Index>>>();
    const SafetensorsFile expected(data / name / "expected.safetensors");
    const NoGradient silent;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const Paths alone({sequences[i]});
      const auto logits = linear(model(alone.rows(model), alone.tree()), model.head);
      CHECK(test::distance(logits.value(), expected.read<float>("logits." + std::to_string(i))) < 1e-5);
    }
  }
}

TEST_CASE("the gradients of token log-probabilities are PyTorch's") {
  for (const std::string& name : folders) {
    const Decoder<float> model = small_decoder(name);
    const Json expected = reference(name);
    const SafetensorsFile gradients(data / name / "expected.safetensors");
    {
      Tape tape;
      const Var<float> values = log_probabilities(model, Paths(expected.at("sequences")));
      Tensor<float> weights(values.shape());
      std::ranges::copy(joined(expected.at("weights")), weights.data());
      values.seed_gradient(weights);
      tape.backward();
    }
    for (const auto& block : named_blocks<float>(model)) {
      CAPTURE(name + " " + block.name);
      CHECK(test::distance(block.of(block.parameter.gradient()), gradients.read<float>("gradient." + block.name)) <
            1e-4);
    }
  }
}

TEST_CASE("captions are continued as transformers continues them") {
  for (const std::string& name : folders) {
    CAPTURE(name);
    const Decoder<float> model = small_decoder(name);
    const Json expected = reference(name);
    const auto prompt = expected.at("sequences").at(1).get<std::vector<Token>>();
    const auto continuation = expected.at("continuation").get<std::vector<Token>>();
    CHECK(continued(model, prompt, 64, nullptr) == continuation);
    const PackedProducts packed(model, WeightFormat::float32);
    CHECK(continued(model, prompt, 64, &packed) == continuation);
  }
}

TEST_CASE("the committed judge is to transformers what it is to us") {
  const auto judge = load_language_model(std::filesystem::path(CAPRL_TEST_DATA) / "../../examples/weights/judge1");
  const Json expected = reference("judge1");
  const auto got = log_probabilities(judge.model, expected.at("sequences"));
  const auto values = joined(expected.at("log_probabilities"));
  REQUIRE(got.size() == values.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(std::abs(got[i] - values[i]) < 2e-5);
}

TEST_CASE("a written configuration is read again as the same") {
  for (const std::string& name : folders) {
    CAPTURE(name);
    const Json config = load_json(data / name / "config.json");
    const DecoderSettings settings = read_decoder_settings(JsonFields(config, name));
    Json written;
    write_decoder_family(settings, written);
    write_decoder_settings(settings, written);
    CHECK(written.at("model_type") == config.at("model_type"));
    CHECK(written.at("architectures") == config.at("architectures"));
    Json again;
    const DecoderSettings read = read_decoder_settings(JsonFields(written, name));
    write_decoder_family(read, again);
    write_decoder_settings(read, again);
    CHECK(again == written);
    CHECK(frequencies_of_pairs(read.rotary, 10) == frequencies_of_pairs(settings.rotary, 10));
    CHECK(rotary_magnitude(read.rotary) == rotary_magnitude(settings.rotary));
  }
}

TEST_CASE("a folder that is written is read again to the bit") {
  const auto judge = load_language_model(std::filesystem::path(CAPRL_TEST_DATA) / "../../examples/weights/judge1");
  const testing::TemporaryFolder temporary;
  std::filesystem::copy(judge.folder / "tokenizer.json", temporary / "tokenizer.json");
  temporary.file("chat_template.json", R"({"chat_template": "<|im_start|>system\nYou judge.<|im_end|>"})");
  temporary.file("config.json", R"({"eos_token_id": [3, 5]})");
  save_language_model(judge.model, temporary / "tokenizer.json", temporary.path() / "a/b");  // parents are made
  const auto again = load_language_model(temporary.path() / "a/b");
  const auto sequences = reference("judge1").at("sequences").get<std::vector<std::vector<Index>>>();
  CHECK(log_probabilities(judge.model, sequences) == log_probabilities(again.model, sequences));
  CHECK(!judge.tokenizer.default_system_message().has_value());
  CHECK(again.tokenizer.default_system_message() == "You judge.");
  CHECK(load_generation_config(temporary.path() / "a/b").end_tokens == std::vector<Token>{3, 5});
}

TEST_CASE("configurations that are not ours are refused by field") {
  const Json config = load_json(data / "llama_tied" / "config.json");
  const auto refuses = [&](const char* field, const Json& value, const char* message) {
    Json changed = config;
    changed[field] = value;
    return testing::fails_with([&] { read_decoder_settings(JsonFields(changed, "config.json")); }, field, "config.json",
                               message);
  };
  CHECK(refuses("model_type", "gpt2", "expected one of llama, qwen2, qwen3"));
  CHECK(refuses("hidden_size", 0, "expected 1 to"));
  CHECK(refuses("vocab_size", Index{1} << 40, "expected 1 to"));
  CHECK(refuses("num_key_value_heads", 3, "expected a divisor"));
  CHECK(refuses("head_dim", 5, "expected an even number"));
  CHECK(refuses("rms_norm_eps", 0.0, "expected a number above 0"));
  CHECK(refuses("rope_theta", 0.0, "expected a number above 0"));
  CHECK(refuses("hidden_act", "gelu", "expected \"silu\""));
  CHECK(refuses("use_sliding_window", true, "expected false"));
  CHECK(refuses("layer_types", {"full_attention", "sliding_attention"}, "got \"sliding_attention\""));
  CHECK(refuses("rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}, "expected default, linear, llama3 or yarn"));
  CHECK(refuses("rope_scaling", {{"type", "linear"}, {"factor", -2.0}}, "factor: expected a number above 0"));
  CHECK(refuses("rope_scaling", {{"rope_type", "yarn"}, {"factor", 2.0}, {"mscale", 1.0}}, "mscale"));
  CHECK(refuses("rope_parameters", {{"rope_type", "llama3"}, {"rope_theta", 1e4}}, "factor"));
  CHECK(refuses("rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}, "expected 1"));
  Json both = config;
  both["rope_parameters"] = both["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 2.0}};
  CHECK_NOTHROW(read_decoder_settings(JsonFields(both, "config.json")));
  both["rope_scaling"]["factor"] = 4.0;
  CHECK(testing::fails_with([&] { read_decoder_settings(JsonFields(both, "config.json")); }, "beside rope_parameters"));
}

TEST_CASE("weights in several files must be those that the index lists") {
  const testing::TemporaryFolder temporary;
  const auto folder = temporary.path() / "shards";
  std::filesystem::copy(data / "qwen2_shards", folder);
  const auto index = folder / "model.safetensors.index.json";
  const Json listed = load_json(index);
  const auto fails = [&](const auto& change, const std::string& message) {
    Json changed = listed;
    change(changed["weight_map"]);
    std::ofstream(index) << changed;
    return testing::fails_with([&] { WeightFiles{folder}; }, message);
  };
  const std::string first = "model.layers.0.self_attn.q_proj.bias";
  CHECK(
      fails([&](Json& map) { map[first] = "../model.safetensors"; }, "expected the name of a file in the same folder"));
  CHECK(fails([&](Json& map) { map[first] = "absent.safetensors"; }, "absent.safetensors"));
  CHECK(fails([&](Json& map) { map.erase(first); }, "extra: 1 (" + first + ")"));
  CHECK(fails([&](Json& map) { map["more"] = map[first]; }, "missing: 1 (more)"));
  CHECK(fails([&](Json& map) { map[first] = 3; }, "expected a string"));
  std::filesystem::remove(index);
  CHECK(testing::fails_with([&] { WeightFiles{folder}; }, "model.safetensors"));
}

TEST_CASE("a head that is the embedding once more is read as tied, another one is refused") {
  const std::string embedding = "model.embed_tokens.weight", head = "lm_head.weight";
  const SafetensorsFile file(data / "qwen3_tied" / "model.safetensors");
  const testing::TemporaryFolder folder;
  std::filesystem::copy(data / "qwen3_tied" / "config.json", folder / "config.json");
  const auto load_with_head = [&](float more) {
    std::vector<NamedTensor> tensors;
    for (const auto& [name, info] : file.tensors()) tensors.push_back(named_tensor(name, file.read<float>(name)));
    Tensor<float> copy = file.read<float>(embedding);
    copy.span().back() += more;
    tensors.push_back(named_tensor(head, copy));
    write_safetensors(folder / "model.safetensors", tensors);
    return load_decoder<float>(folder.path());
  };
  const std::vector<std::vector<Index>> sequences{{1, 2, 3, 4}};
  CHECK(log_probabilities(load_with_head(0), sequences) == log_probabilities(small_decoder("qwen3_tied"), sequences));
  CHECK(
      testing::fails_with([&] { load_with_head(1e-3f); }, head, embedding, "tie_word_embeddings", "model.safetensors"));
}

TEST_CASE("a sequence that is longer than the model has positions is an error with both numbers") {
  auto model = small_decoder("llama_tied");
  model.settings.maximum_positions = 5;
  CHECK_NOTHROW(log_probabilities(model, {{1, 2, 3, 4, 5}, {5, 4, 3, 2, 1}}));  // ten rows, but no deeper than 5
  CHECK(testing::fails_with(
      [&] {
        log_probabilities(model, {{1, 2}, {1, 2, 3, 4, 5, 6}});
      },
      "[Decoder] expected at most 5 positions", "got a sequence of 6 tokens", "shorten"));
}
