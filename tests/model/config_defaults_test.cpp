#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "caprl/model/generation_config.hpp"
#include "caprl/model/qwen25_vl_config.hpp"
#include "caprl/model/qwen3_vl_config.hpp"
#include "support/temporary_folder.hpp"

/// What a folder's files leave out means what it means to transformers: tests/reference/model_config_defaults.py.

using namespace caprl;
using namespace caprl::testing;

namespace {

const Json& cases() {
  static const Json json = load_json(std::filesystem::path(CAPRL_TEST_DATA) / "model" / "config_defaults.json");
  return json;
}

DecoderSettings read_language(const std::filesystem::path& config) {
  const Json json = load_json(config);
  const JsonFields fields(json, config.string());
  const auto type = fields.get<std::string>("model_type");
  if (type == "qwen2_5_vl") return read_qwen25_vl_settings(config).language;
  if (type == "qwen3_vl") return read_qwen3_vl_settings(config).language;
  return read_decoder_settings(fields);
}

}  // namespace

TEST_CASE("fields that a config.json leaves out are those of transformers' configuration classes") {
  const TemporaryFolder folder;
  for (const Json& one : cases().at("configs")) {
    CAPTURE(one.at("said").dump());
    const DecoderSettings settings = read_language(folder.file("config.json", one.at("said").dump()));
    const Json& expected = one.at("resolved");
    CHECK(settings.rotary.theta == expected.at("rope_theta").get<double>());
    CHECK(settings.block.norm_epsilon == expected.at("rms_norm_eps").get<double>());
    CHECK(settings.block.key_value_heads == expected.at("num_key_value_heads").get<Index>());
    CHECK(settings.block.head_size == expected.at("head_dim").get<Index>());
    CHECK(settings.tied_embeddings == expected.at("tie_word_embeddings").get<bool>());
    CHECK(settings.block.output_bias == expected.at("attention_bias").get<bool>());
    CHECK(settings.block.mlp_bias == expected.at("mlp_bias").get<bool>());
    CHECK(expected.at("hidden_act") == "silu");  // the only one that is computed here
  }
}

TEST_CASE("a folder's end tokens and sampling are those that transformers generates with") {
  for (const Json& one : cases().at("folders")) {
    CAPTURE(one.dump());
    const TemporaryFolder folder;
    folder.file("config.json", one.at("config").dump());
    if (one.contains("generation")) folder.file("generation_config.json", one.at("generation").dump());
    const GenerationConfig config = load_generation_config(folder.path());
    const Json& used = one.at("used");
    CHECK(config.end_tokens == used.at("eos_token_id").get<std::vector<Token>>());
    CHECK(config.draws == used.at("do_sample").get<bool>());
    CHECK(config.temperature == used.at("temperature").get<double>());
    CHECK(config.top_k == used.at("top_k").get<Index>());
    CHECK(config.top_p == used.at("top_p").get<double>());
    CHECK(config.repetition_penalty == used.at("repetition_penalty").get<double>());
    folder.file("generation_config.json", generation_config_json(config).dump());
    const GenerationConfig again = load_generation_config(folder.path());
    CHECK(again.end_tokens == config.end_tokens);
    CHECK(again.repetition_penalty == config.repetition_penalty);
    CHECK(again.draws == config.draws);
    if (!config.draws) continue;
    CHECK(again.temperature == config.temperature);
    CHECK(again.top_k == config.top_k);
    CHECK(again.top_p == config.top_p);
  }
}

TEST_CASE("sizes whose products no memory holds are refused by field") {
  const TemporaryFolder folder;
  const auto problem = [&](std::size_t number, const std::vector<std::pair<std::string, Json>>& changes) {
    Json config = cases().at("configs").at(number).at("said");
    for (const auto& [pointer, value] : changes) config[Json::json_pointer(pointer)] = value;
    try {
      read_language(folder.file("config.json", config.dump()));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  const auto says = [](const std::string& message, const char* part) {
    if (message.find(part) == std::string::npos) MESSAGE(message);
    return message.find(part) != std::string::npos;
  };
  CHECK(says(problem(0, {{"/num_hidden_layers", 5000}}), "num_hidden_layers: expected 1 to 4096"));
  CHECK(says(problem(0, {{"/head_dim", 1 << 20}}), "head_dim: expected a product with num_attention_heads of at most"));
  CHECK(says(problem(3, {{"/vision_config/depth", 5000}}), "vision_config.depth: expected 1 to 4096"));
  CHECK(says(problem(3, {{"/vision_config/patch_size", 2000}}), "patch_size: expected 1 to 1024"));
  CHECK(says(problem(4, {{"/vision_config/temporal_patch_size", 65}}), "temporal_patch_size: expected 1 to 64"));
  CHECK(says(problem(4, {{"/vision_config/hidden_size", 1 << 20}, {"/vision_config/spatial_merge_size", 64}}),
             "spatial_merge_size: expected a square times hidden_size of at most"));
}
