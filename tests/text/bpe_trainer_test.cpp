#include "caprl/text/bpe_trainer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "caprl/text/load_tokenizer.hpp"

using caprl::Error;
using caprl::Tokenizer;

namespace {

using Merges = std::vector<std::vector<std::string>>;

Merges merges_of(const std::vector<std::string>& texts, caprl::BpeTrainerSettings settings) {
  return nlohmann::json::parse(caprl::train_bpe(texts, settings))["model"]["merges"].get<Merges>();
}

}  // namespace

TEST_CASE("The most frequent pair is merged first, ties by bytes") {
  const Merges found = merges_of({"abab abab cd cd", "xy xy"}, {.vocabulary_size = 260, .special_tokens = {}});
  // ab 4 times; then " c", " x", "cd", ... : " c" twice, "cd" twice, "xy" twice, (ab)(ab) twice, " " (ab) once.
  REQUIRE(found.size() == 4);
  CHECK(found[0] == std::vector<std::string>{"a", "b"});
  CHECK(found[1] == std::vector<std::string>{"\u0120", "c"});
  CHECK(found[2] == std::vector<std::string>{"\u0120c", "d"});
  CHECK(found[3] == std::vector<std::string>{"ab", "ab"});
}

TEST_CASE("The order of the texts does not matter, nor does normal form") {
  std::vector<std::string> texts{"a red circle", "the red square", "a caf\u00E9 and a red door",
                                 "left of the cafe\u0301"};
  const caprl::BpeTrainerSettings settings{.vocabulary_size = 290};
  const std::string first = caprl::train_bpe(texts, settings);
  std::reverse(texts.begin(), texts.end());
  CHECK(caprl::train_bpe(texts, settings) == first);
}

TEST_CASE("Training stops where pairs are too rare; a repeat of one letter is merged") {
  CHECK(merges_of({"abcdef"}, {.vocabulary_size = 400}).empty());
  CHECK(merges_of({"abc"}, {.vocabulary_size = 400, .minimum_count = 1}).size() == 2);
  CHECK(merges_of({}, {.vocabulary_size = 400}).empty());
  const Merges repeat = merges_of({"aaaaaaaa"}, {.vocabulary_size = 300});
  REQUIRE(repeat.size() == 2);
  CHECK(repeat[1] == std::vector<std::string>{"aa", "aa"});
}

TEST_CASE("No merge makes a special token") {
  const std::string file = caprl::train_bpe(std::vector<std::string>{"stop stop stop stop"},
                                            {.vocabulary_size = 300, .special_tokens = {"stop", "st"}});
  const Tokenizer tokenizer = Tokenizer::from_json_text(file);
  for (const caprl::Token token : tokenizer.encode("stop stop st")) CHECK_FALSE(tokenizer.is_special(token));
  CHECK(tokenizer.is_special(*tokenizer.id_of("stop")));
}

TEST_CASE("Impossible settings are refused") {
  const std::vector<std::string> texts{"a b"};
  CHECK_THROWS_WITH_AS(caprl::train_bpe(texts, {.vocabulary_size = 262}), doctest::Contains("at least 263"), Error);
  CHECK_THROWS_WITH_AS(caprl::train_bpe(texts, {.special_tokens = {"<a>", "<a>"}}),
                       doctest::Contains("at least 2 bytes, got <a>"), Error);
  CHECK_THROWS_WITH_AS(caprl::train_bpe(texts, {.special_tokens = {"a"}}), doctest::Contains("special tokens"), Error);
  CHECK_THROWS_WITH_AS(caprl::train_bpe(std::vector<std::string>{"\xFF"}), doctest::Contains("UTF-8"), Error);
}
