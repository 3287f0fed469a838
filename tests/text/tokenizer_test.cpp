#include "caprl/text/load_tokenizer.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/text/bpe_trainer.hpp"
#include "caprl/text/streaming_decoder.hpp"

using caprl::AddedTokens;
using caprl::Error;
using caprl::Token;
using caprl::Tokenizer;
using Json = nlohmann::json;

namespace {

std::string trained_text() {
  const std::vector<std::string> texts{"a red circle is left of a red square", "the answer is A, the answer is B"};
  return caprl::train_bpe(
      texts, {.vocabulary_size = 290, .special_tokens = {"<|endoftext|>", "<|im_end|>"}, .minimum_count = 1});
}

Json trained() { return Json::parse(trained_text()); }

/// The message of the Error that loading gives, or nothing where it loads.
std::string refusal(const std::string& text) {
  try {
    Tokenizer::from_json_text(text, "file.json");
  } catch (const Error& error) {
    CHECK(error.where().find("file.json") != std::string::npos);
    return error.what();
  }
  return {};
}

std::string refusal(const Json& file) { return refusal(file.dump()); }

void check_says(const std::string& message, std::string_view part) {
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

/// Loads the trained tokenizer with one field replaced; says which field the refusal names.
void check_refused(const std::string& pointer, const Json& value, std::string_view named) {
  Json file = trained();
  file[Json::json_pointer(pointer)] = value;
  CAPTURE(pointer);
  check_says(refusal(file), named);
}

}  // namespace

TEST_CASE("Tokens are found by the bytes they stand for") {
  const Tokenizer tokenizer = Tokenizer::from_json_text(trained_text());
  REQUIRE(tokenizer.id_of(" red").has_value());
  CHECK(tokenizer.token_text(*tokenizer.id_of(" red")) == " red");
  CHECK(tokenizer.id_of("<|im_end|>") == Token{289});
  CHECK_FALSE(tokenizer.id_of(" purple").has_value());
  CHECK_FALSE(tokenizer.id_of("").has_value());
  CHECK(tokenizer.vocabulary_size() == 290);
  CHECK(tokenizer.is_special(289));
  CHECK_FALSE(tokenizer.is_special(97));
  CHECK_FALSE(tokenizer.is_special(-1));
  CHECK_FALSE(tokenizer.has(290));
  CHECK_THROWS_AS(tokenizer.token_text(290), Error);
  CHECK_THROWS_AS(tokenizer.token_text(-1), Error);
  CHECK_THROWS_AS(tokenizer.decode(std::vector<Token>{1000}), Error);
  CHECK(tokenizer.decode_any(std::vector<Token>{1000, tokenizer.encode("a").front()}) ==
        "\xEF\xBF\xBD"
        "a");
}

TEST_CASE("Special tokens come from text only where asked for") {
  const Tokenizer tokenizer = Tokenizer::from_json_text(trained_text());
  const std::string text = "a<|im_end|><|endoftext|>b";
  CHECK(tokenizer.encode(text, AddedTokens::parse) == std::vector<Token>{97, 289, 288, 98});
  for (const Token token : tokenizer.encode(text)) CHECK_FALSE(tokenizer.is_special(token));
  CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
  CHECK(tokenizer.decode(tokenizer.encode(text, AddedTokens::parse), true) == "ab");
}

TEST_CASE("A file whose text could become a special token is refused") {
  Json file = trained();
  const std::string last =
      file["model"]["merges"].back()[0].get<std::string>() + file["model"]["merges"].back()[1].get<std::string>();
  file["added_tokens"].push_back({{"id", 287}, {"content", last}, {"special", true}, {"normalized", false}});
  REQUIRE(file["model"]["vocab"][last] == 287);
  // The spelling of the file and the text differ where a merge begins with a space, so that either check may speak.
  CHECK_FALSE(refusal(file).empty());
  file["added_tokens"].back() = {{"id", 33}, {"content", "!"}, {"special", true}};
  check_says(refusal(file), "ordinary text cannot become");
}

TEST_CASE("A streaming decoder gives characters when they are complete") {
  const Tokenizer tokenizer = Tokenizer::from_json_text(trained_text());
  caprl::StreamingDecoder stream(tokenizer, true);
  CHECK(stream.push(0xF0).empty());
  CHECK(stream.push(0x9F).empty());
  CHECK(stream.push(289).empty());
  CHECK(stream.push(0x98).empty());
  CHECK(stream.push(0x80) == "\xF0\x9F\x98\x80");
  CHECK(stream.push('x') == "x");
  CHECK(stream.push(0xE2).empty());
  CHECK(stream.push('y') == "\xEF\xBF\xBDy");
  CHECK(stream.push(0xE2).empty());
  CHECK(stream.finish() == "\xEF\xBF\xBD");
  CHECK(stream.finish().empty());
}

TEST_CASE("Long pieces are encoded like short ones") {
  const Tokenizer tokenizer = Tokenizer::from_json_text(trained_text());
  std::string piece;
  for (int i = 0; i < 400; ++i) piece += "redcirclesquareanswer"[i * 7 % 21];
  const std::vector<Token> tokens = tokenizer.encode(piece);
  CHECK(tokenizer.decode(tokens) == piece);
  // The scan of short pieces, written again over any length.
  const Json file = trained();
  std::vector<std::string> symbols;
  for (const char byte : piece) symbols.emplace_back(1, byte);
  for (const Json& merge : file["model"]["merges"]) {
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (symbols[i] != merge[0] || symbols[i + 1] != merge[1]) continue;
      symbols[i] += symbols[i + 1];
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
  }
  REQUIRE(symbols.size() == tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) CHECK(tokenizer.token_text(tokens[i]) == symbols[i]);
}

TEST_CASE("Text that is not UTF-8 is refused with its place") {
  const Tokenizer tokenizer = Tokenizer::from_json_text(trained_text());
  CHECK_THROWS_WITH_AS(tokenizer.encode("ab\xFF"), doctest::Contains("at byte 2"), Error);
}

TEST_CASE("An absent file is an error that names it") {
  CHECK_THROWS_WITH_AS(Tokenizer::from_file("/nowhere/tokenizer.json"), doctest::Contains("/nowhere/tokenizer.json"),
                       Error);
  CHECK_THROWS_AS(Tokenizer::from_file("/"), Error);
}

TEST_CASE("What is not supported is refused by the name of its field") {
  check_refused("/model/type", "WordPiece", "model.type");
  check_refused("/model/byte_fallback", true, "model.byte_fallback");
  check_refused("/model/dropout", 0.1, "model.dropout");
  check_refused("/model/continuing_subword_prefix", "##", "model.continuing_subword_prefix");
  check_refused("/model/end_of_word_suffix", "</w>", "model.end_of_word_suffix");
  check_refused("/normalizer/type", "NFKC", "normalizer.type");
  check_refused("/pre_tokenizer/type", "Whitespace", "pre_tokenizer.type");
  check_refused("/pre_tokenizer", nullptr, "pre_tokenizer");
  check_refused("/pre_tokenizer/pretokenizers", Json::array(), "pre_tokenizer");
  check_refused("/pre_tokenizer/pretokenizers/0/behavior", "Removed", "pre_tokenizer.pretokenizers[0].behavior");
  check_refused("/pre_tokenizer/pretokenizers/0/invert", true, "pre_tokenizer.pretokenizers[0].invert");
  check_refused("/pre_tokenizer/pretokenizers/0/pattern", {{"String", " "}}, "pretokenizers[0].pattern");
  check_refused("/pre_tokenizer/pretokenizers/0/pattern/Regex", "(a", "regular expression");
  check_refused("/pre_tokenizer/pretokenizers/2", {{"type", "Digits"}}, "pre_tokenizer.pretokenizers[2]");
  check_refused("/post_processor/type", "BertProcessing", "post_processor.type");
  check_refused("/decoder/type", "Metaspace", "decoder.type");
  check_refused("/decoder", nullptr, "decoder");
  check_refused("/truncation", {{"max_length", 5}}, "truncation");
  check_refused("/padding", {{"length", 5}}, "padding");
  check_refused("/added_tokens/0/lstrip", true, "added_tokens[0].lstrip");
  check_refused("/added_tokens/0/rstrip", true, "added_tokens[0].rstrip");
  check_refused("/added_tokens/1/single_word", true, "added_tokens[1].single_word");
}

TEST_CASE("Wrong values are refused by the name of their field") {
  check_refused("/added_tokens/0/id", 1, "got 1 for <|endoftext|>");
  check_refused("/added_tokens/0/id", -1, "added_tokens[0].id");
  check_refused("/added_tokens/0/id", 1ull << 40, "added_tokens[0].id");
  check_refused("/added_tokens/0/id", 4'000'000, "tokens with ids up to 4000000");
  check_refused("/added_tokens/0/id", 2.5, "added_tokens[0].id");
  check_refused("/added_tokens/0/id", "7", "added_tokens[0].id");
  check_refused("/added_tokens/0/content", "", "added_tokens[0].content");
  check_refused("/added_tokens/0/content", "a", "added_tokens[0].id");
  check_refused("/added_tokens/0/special", 1, "added_tokens[0].special");
  check_refused("/added_tokens/0", "x", "added_tokens[0]");
  check_refused("/added_tokens", 3, "added_tokens");
  check_refused("/model/vocab/a", -5, "model.vocab[\"a\"]");
  check_refused("/model/vocab/a", 4294967296ull, "model.vocab[\"a\"]");
  check_refused("/model/vocab/a", nullptr, "model.vocab[\"a\"]");
  check_refused("/model/vocab/a", 98, "98 twice");
  check_refused("/model/vocab", Json::array({1}), "model.vocab");
  check_refused("/model/vocab", Json::object(), "model.merges[0]");
  check_refused("/model/merges", "a b", "model.merges");
  check_refused("/model/merges/3", {"qq", "zz"}, "model.merges[3]");
  check_refused("/model/merges/3", {"a", "zz"}, "model.merges[3]");
  check_refused("/model/merges/3", {"a"}, "model.merges[3]");
  check_refused("/model/merges/3", {"a", 3}, "model.merges[3]");
  check_refused("/model/merges/3", "a b c", "model.merges[3]");
  check_refused("/model/merges/3", "ab", "model.merges[3]");
  check_refused("/model/ignore_merges", "no", "model.ignore_merges");
  check_refused("/model", Json::array(), "model");
  check_refused("/normalizer", "NFC", "normalizer");
  check_refused("", Json::array(), "the file");
  check_refused("/model/vocab/a", {{"x", 1}}, "model.vocab[\"a\"]");
  check_refused("/model/vocab/a", Json::array({1}), "model.vocab[\"a\"]");
  check_refused("/model/merges/3", {"a", "b", "c"}, "model.merges[3]");
  check_refused("/model/merges/3", Json::object(), "model.merges[3]");
  check_refused("/model/merges/3", {Json::array({"a"}), "b"}, "model.merges[3]");
  check_refused("/model/merges/3", nullptr, "model.merges[3]");
  std::string twice = trained_text();
  twice.replace(twice.find("\"b\":"), 4, "\"a\":");
  check_says(refusal(twice), "model.vocab[\"a\"]");
  Json file = trained();
  file["model"]["vocab"].erase("Z");
  file["model"]["unk_token"] = "<|endoftext|>";
  check_says(refusal(file), "byte 90");
}

TEST_CASE("A key that is there twice is refused") {
  for (const std::string key : {"\"normalizer\":", "\"type\":", "\"vocab\":", "\"merges\":"}) {
    std::string text = trained_text();
    const std::size_t at = text.find(key);
    REQUIRE(at != std::string::npos);
    std::string second = key + " null, ";
    if (key == "\"vocab\":") second = key + " {\"a\": 1}, ";
    if (key == "\"merges\":") second = key + " [[\"a\", \"b\"]], ";
    check_says(refusal(text.insert(at, second)), key.substr(0, key.size() - 1) + " twice");
  }
}

TEST_CASE("A deep nest of sequences is refused") {
  Json normalizer = {{"type", "NFC"}};
  for (int i = 0; i < 40; ++i) normalizer = {{"type", "Sequence"}, {"normalizers", Json::array({normalizer})}};
  check_refused("/normalizer", normalizer, "nested less deeply");
  for (int i = 0; i < 40; ++i) normalizer = Json::array({normalizer});
  check_refused("/anything", normalizer, "nested at most 100 deep");
}

TEST_CASE("A file cut anywhere is refused, one with any byte changed does not crash") {
  const std::string text = trained_text();
  const std::size_t end = text.find_last_of('}');
  for (std::size_t length = 0; length <= end; length += length < 100 ? 1 : 211) {
    CHECK_FALSE(refusal(text.substr(0, length)).empty());
  }
  for (std::size_t i = 0; i < text.size(); i += 97) {
    for (const char byte : {'"', '9', '\xFF', ']'}) {
      std::string changed = text;
      changed[i] = byte;
      refusal(changed);
    }
  }
}
