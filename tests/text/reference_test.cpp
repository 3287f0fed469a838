#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "caprl/io/gguf.hpp"
#include "caprl/text/gguf_tokenizer.hpp"
#include "caprl/text/load_tokenizer.hpp"
#include "caprl/text/streaming_decoder.hpp"
#include "support/error_message.hpp"

using caprl::AddedTokens;
using caprl::GgufMetadata;
using caprl::read_gguf_tokenizer;
using caprl::Token;
using caprl::Tokenizer;

namespace {

using Texts = std::vector<std::string>;
using Ids = std::vector<Token>;

nlohmann::json load(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

/// Ids and texts by Hugging Face tokenizers; tests/reference/text_tokenizer_cases.py makes them.
const nlohmann::json& cases() {
  const char* other = std::getenv("CAPRL_TOKENIZER_CASES");
  static const nlohmann::json loaded = load(other != nullptr ? other : CAPRL_TEST_DATA "/text/tokenizer_cases.json");
  return loaded;
}

/// The same for the tokenizers of GGUF files; tests/reference/model_gguf.py makes them.
const nlohmann::json& gguf_cases() {
  static const nlohmann::json loaded = load(CAPRL_TEST_DATA "/text/gguf_cases.json");
  return loaded;
}

std::filesystem::path path_of(const std::string& name) {
  if (name == "qwen3") return std::filesystem::path(CAPRL_SHARED_ASSETS) / "qwen3-tokenizer" / "tokenizer.json";
  return std::filesystem::path(CAPRL_TEST_DATA) / "text" / (name + ".json");
}

void check_encoding(const Tokenizer& tokenizer, const Texts& texts, const nlohmann::json& expected) {
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
    check_encoding(tokenizer, cases()["texts"], expected);
    check_decoding(tokenizer, expected);
    if (name == "qwen3" || name == "small_added") check_round_trip(tokenizer);
  }
}

TEST_CASE("GGUF files give the ids of Hugging Face tokenizers") {
  for (const auto& [name, expected] : gguf_cases()["tokenizers"].items()) {
    CAPTURE(name);
    const caprl::GgufFile file(CAPRL_TEST_DATA "/text/" + name + ".gguf");
    const Tokenizer tokenizer(read_gguf_tokenizer(file.metadata()));
    check_encoding(tokenizer, gguf_cases()["texts"], expected);
    CHECK(tokenizer.is_special(*tokenizer.id_of("<|im_end|>")));
    CHECK(tokenizer.id_of("<think>"));
    CHECK(!tokenizer.is_special(*tokenizer.id_of("<think>")));
    CHECK(tokenizer.decode(tokenizer.encode("caf\u00e9<think>", AddedTokens::parse)) == "caf\u00e9<think>");
    const auto& tokens = file.metadata().get<std::vector<std::string>>("tokenizer.ggml.tokens");
    CHECK(tokenizer.vocabulary_size() == std::ssize(tokens) - 3);  // the unused ones are no tokens
  }
  check_encoding(Tokenizer::from_file(CAPRL_TEST_DATA "/text/digits.json"), gguf_cases()["texts"],
                 gguf_cases()["tokenizers"]["starcoder"]);
}

TEST_CASE("tokenizers of GGUF files that are not ours are refused by key") {
  const caprl::GgufFile file(CAPRL_TEST_DATA "/text/smollm.gguf");
  const auto refuses = [&](const std::string& name, const caprl::GgufValue& value, const auto&... parts) {
    auto values = file.metadata().values();
    values["tokenizer.ggml." + name] = value;
    return caprl::testing::fails_with([&] { Tokenizer{read_gguf_tokenizer(GgufMetadata(values, "a/x.gguf"))}; }, name,
                                      "x.gguf", parts...);
  };
  const auto tokens = file.metadata().get<Texts>("tokenizer.ggml.tokens");
  const auto types = file.metadata().get<std::vector<caprl::Index>>("tokenizer.ggml.token_type");
  CHECK(refuses("model", std::string("llama"), "expected gpt2", "SentencePiece"));
  CHECK(refuses("model", std::string("bert"), "got \"bert\""));
  CHECK(refuses("pre", std::string("tekken"), "expected one of gpt-2, smollm", "got \"tekken\""));
  CHECK(refuses("add_space_prefix", true, "expected false"));
  CHECK(refuses("tokens", true, "expected a list of strings"));
  CHECK(refuses("tokens", Texts(tokens.size(), "same"), "it twice"));
  CHECK(refuses("token_type", std::vector<caprl::Index>{1}, "one type for each of"));
  auto other = types;
  other[7] = 6;
  CHECK(refuses("token_type", other, "token_type[7]", "got 6"));
  CHECK(refuses("merges", Texts{"a b", "ab"}, "merges[1]", "two tokens separated by a space"));
  CHECK(refuses("merges", Texts{"a zzz"}, "merges[0]", "\"zzz\""));
}
