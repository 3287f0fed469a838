#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/autograd/embedding.hpp"
#include "caprl/model/language_model.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;

namespace {

const std::filesystem::path data = std::filesystem::path(CAPRL_TEST_DATA) / "model";

struct Case {
  std::vector<std::vector<Index>> sequences;
  std::vector<std::vector<double>> log_probabilities;
};

/// What Hugging Face transformers gave; see tests/reference/model_llama.py.
Case reference(const std::string& name) {
  const Json json = load_json(data / "llama.json").at(name);
  return {json.at("sequences"), json.at("log_probabilities")};
}

/// Of each token after the first of each sequence: the sequences are separate paths of one tree.
std::vector<double> log_probabilities(const Decoder<float>& model, const std::vector<std::vector<Index>>& sequences) {
  std::vector<Index> ids, lengths;
  std::vector<HeadPair> pairs;
  for (const auto& sequence : sequences) {
    for (std::size_t t = 0; t + 1 < sequence.size(); ++t) {
      pairs.push_back({static_cast<Index>(ids.size() + t), static_cast<Token>(sequence[t + 1])});
    }
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    lengths.push_back(static_cast<Index>(sequence.size()));
  }
  const NoGradient silent;
  const auto values =
      model.log_probabilities(embed(model.embedding, Var<float>(), ids), PrefixTree::from_lengths(lengths), pairs, 1.0);
  const auto span = values.value().span();
  return {span.begin(), span.end()};
}

void check_same(const Decoder<float>& model, const Case& expected) {
  const auto got = log_probabilities(model, expected.sequences);
  std::size_t i = 0;
  for (const auto& sequence : expected.log_probabilities) {
    for (const double value : sequence) {
      CHECK(std::abs(got[i] - value) < 2e-5);
      ++i;
    }
  }
  CHECK(i == got.size());
}

Decoder<float> small_llama(const std::string& name) {
  const Json config = load_json(data / name / "config.json");
  Decoder<float> model(read_decoder_settings(JsonFields(config, name)));
  load_weights<float>(model, data / name / "model.safetensors");
  return model;
}

}  // namespace

TEST_CASE("Llama folders of transformers give its log-probabilities") {
  for (const char* name : {"llama_tied", "llama_untied"}) {
    CAPTURE(name);
    check_same(small_llama(name), reference(name));
  }
}

TEST_CASE("the committed judge is to transformers what it is to us") {
  const auto judge = load_language_model(std::filesystem::path(CAPRL_TEST_DATA) / "../../examples/weights/judge1");
  check_same(judge.model, reference("judge1"));
}

TEST_CASE("a folder that is written is read again to the bit") {
  const auto judge = load_language_model(std::filesystem::path(CAPRL_TEST_DATA) / "../../examples/weights/judge1");
  const testing::TemporaryFolder temporary;
  save_language_model(judge.model, judge.folder / "tokenizer.json", temporary.path() / "a/b");  // parents are made
  const auto again = load_language_model(temporary.path() / "a/b");
  const auto sequences = reference("judge1").sequences;
  CHECK(log_probabilities(judge.model, sequences) == log_probabilities(again.model, sequences));
}

TEST_CASE("configurations that are not ours are refused by field") {
  const Json config = load_json(data / "llama_tied" / "config.json");
  const auto refuses = [&](const char* field, const Json& value) {
    Json changed = config;
    changed[field] = value;
    return testing::fails_with([&] { read_decoder_settings(JsonFields(changed, "config.json")); }, field,
                               "config.json");
  };
  CHECK(refuses("hidden_size", 0));
  CHECK(refuses("num_key_value_heads", 3));
  CHECK(refuses("hidden_act", "gelu"));
  CHECK(refuses("attention_bias", true));
  CHECK(refuses("rope_scaling", {{"type", "linear"}, {"factor", 2.0}}));
  CHECK(refuses("rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 1e4}}));
}

TEST_CASE("a sequence that is longer than the model has positions is an error with both numbers") {
  auto model = small_llama("llama_tied");
  model.settings.maximum_positions = 5;
  CHECK_NOTHROW(log_probabilities(model, {{1, 2, 3, 4, 5}, {5, 4, 3, 2, 1}}));  // ten rows, but no deeper than 5
  CHECK(testing::fails_with(
      [&] {
        log_probabilities(model, {{1, 2}, {1, 2, 3, 4, 5, 6}});
      },
      "[Decoder] expected at most 5 positions", "got a sequence of 6 tokens", "shorten"));
}
