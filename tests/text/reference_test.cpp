#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "caprl/text/load_tokenizer.hpp"
#include "caprl/text/streaming_decoder.hpp"

using caprl::AddedTokens;
using caprl::Token;
using caprl::Tokenizer;

namespace {

using Texts = std::vector<std::string>;
using Ids = std::vector<Token>;

/// Ids and texts by Hugging Face tokenizers; tests/reference/text_tokenizer_cases.py makes them.
const nlohmann::json& cases() {
  static const nlohmann::json loaded = [] {
    const char* other = std::getenv("CAPRL_TOKENIZER_CASES");
    std::ifstream file(other != nullptr ? other : CAPRL_TEST_DATA "/text/tokenizer_cases.json");
    return nlohmann::json::parse(file);
  }();
  return loaded;
}

std::filesystem::path path_of(const std::string& name) {
  if (name == "qwen3") return std::filesystem::path(CAPRL_SHARED_ASSETS) / "qwen3-tokenizer" / "tokenizer.json";
  return std::filesystem::path(CAPRL_TEST_DATA) / "text" / (name + ".json");
}

void check_encoding(const Tokenizer& tokenizer, const nlohmann::json& expected) {
  const auto texts = cases()["texts"].get<Texts>();
  const auto parsed = expected["parse"].get<std::vector<Ids>>();
  const auto plain = expected["plain"].get<std::vector<Ids>>();
  REQUIRE(texts.size() == parsed.size());
  int wrong = 0;
  for (std::size_t i = 0; i < texts.size() && wrong < 20; ++i) {
    CAPTURE(texts[i]);
    const bool good =
        tokenizer.encode(texts[i], AddedTokens::parse) == parsed[i] && tokenizer.encode(texts[i]) == plain[i];
    CHECK(good);
    wrong += !good;
  }
}

void check_decoding(const Tokenizer& tokenizer, const nlohmann::json& expected) {
  for (const auto& decoded : expected["decode"]) {
    const auto ids = decoded[0].get<Ids>();
    CAPTURE(ids);
    CHECK(tokenizer.decode(ids) == decoded[1].get<std::string>());
    CHECK(tokenizer.decode(ids, true) == decoded[2].get<std::string>());
    for (const bool skip_special : {false, true}) {
      caprl::StreamingDecoder stream(tokenizer, skip_special);
      std::string text;
      for (const Token id : ids) text += stream.push(id);
      text += stream.finish();
      CHECK(text == tokenizer.decode(ids, skip_special));
    }
  }
}

void check_round_trip(const Tokenizer& tokenizer) {
  const auto texts = cases()["texts"].get<Texts>();
  const auto normalized = cases()["nfc"].get<Texts>();
  int wrong = 0;
  for (std::size_t i = 0; i < texts.size() && wrong < 20; ++i) {
    CAPTURE(texts[i]);
    const bool good = tokenizer.decode(tokenizer.encode(texts[i])) == normalized[i];
    CHECK(good);
    wrong += !good;
  }
}

}  // namespace

TEST_CASE("Ids and texts are those of Hugging Face tokenizers") {
  for (const auto& [name, expected] : cases()["tokenizers"].items()) {
    CAPTURE(name);
    if (!std::filesystem::exists(path_of(name))) {
      MESSAGE("skipped: ", name, ": absent: ", path_of(name).string());
      continue;
    }
    const Tokenizer tokenizer = Tokenizer::from_file(path_of(name));
    check_encoding(tokenizer, expected);
    check_decoding(tokenizer, expected);
    if (name == "qwen3" || name == "small_added") check_round_trip(tokenizer);
  }
}
