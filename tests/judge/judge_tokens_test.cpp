#include "caprl/judge/judge_tokens.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "caprl/text/bpe_trainer.hpp"
#include "caprl/text/load_tokenizer.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_world.hpp"

using namespace caprl;
using namespace caprl::test;

namespace {

const Question question{"what colour is the circle ?", {"red", "blue"}, 0};

std::vector<Token> prompt_tokens(const Tokenizer& tokenizer, const QuestionPrompt& prompt) {
  const JudgeTokens tokens(tokenizer, prompt);
  std::vector<Token> all = tokens.before_question("a red circle");
  for (const Token token : tokens.question_tokens(question, {1, 0})) all.push_back(token);
  return all;
}

}  // namespace

TEST_CASE("a judge's prompt is a chat; caption and question are tokenised apart from what stands before them") {
  const Tokenizer tokenizer = small_tokenizer();
  QuestionPrompt prompt = QuestionPrompt::brief();
  prompt.system = "answer .";
  prompt.text = "read this : {caption}\n{question}\n{options}\n";
  std::vector<Token> expected;
  for (const char* piece :
       {"<|im_start|>", "system\nanswer .", "<|im_end|>", "\n", "<|im_start|>", "user\nread this : ", "a red circle",
        "\nwhat colour is the circle ?\nA) blue\nB) red\nC) not stated\n", "<|im_end|>", "\n", "<|im_start|>",
        "assistant\nThe answer is"}) {
    for (const Token token : tokenizer.encode(piece, AddedTokens::parse)) expected.push_back(token);
  }
  CHECK(prompt_tokens(tokenizer, prompt) == expected);
}

TEST_CASE("a judge without a system message of its own is asked with that of its tokenizer's chat template") {
  const testing::TemporaryFolder folder;
  const auto file = folder.file("tokenizer.json", small_tokenizer_json());
  const auto text = [&](const QuestionPrompt& prompt) {
    const Tokenizer tokenizer = Tokenizer::from_file(file);
    return tokenizer.decode(prompt_tokens(tokenizer, prompt));
  };
  const std::string plain = text(QuestionPrompt::brief());
  CHECK(plain.starts_with("<|im_start|>user\na red circle\n"));
  folder.file("chat_template.jinja", "{{ '<|im_start|>system\\nYou help.<|im_end|>\\n' }}");
  CHECK(text(QuestionPrompt::brief()) == "<|im_start|>system\nYou help.<|im_end|>\n" + plain);
  QuestionPrompt prompt = QuestionPrompt::brief();
  prompt.system = "answer .";
  CHECK(text(prompt) == "<|im_start|>system\nanswer .<|im_end|>\n" + plain);
}

TEST_CASE("a judge of Llama 3's chat format is asked in that") {
  BpeTrainerSettings settings;
  settings.vocabulary_size = 300;
  settings.special_tokens = {"<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
                             "<|eot_id|>"};
  const Tokenizer tokenizer = Tokenizer::from_json_text(train_bpe(std::vector<std::string>{"a red circle"}, settings));
  CHECK(tokenizer.decode(prompt_tokens(tokenizer, QuestionPrompt::brief())) ==
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\na red circle\nwhat colour is the circle ?\n"
        "A) blue\nB) red\nC) not stated\n<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nThe answer is");
}

TEST_CASE("a judge that thinks has thought nothing before it answers") {
  BpeTrainerSettings settings;
  settings.vocabulary_size = 300;
  settings.special_tokens.insert(settings.special_tokens.end(), {"<think>", "</think>"});
  const Tokenizer tokenizer = Tokenizer::from_json_text(train_bpe(std::vector<std::string>{"a red circle"}, settings));
  QuestionPrompt prompt = QuestionPrompt::brief();
  prompt.empty_thinking = true;
  CHECK(tokenizer.decode(prompt_tokens(tokenizer, prompt))
            .ends_with("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nThe answer is"));
  CHECK_THROWS_WITH_AS(JudgeTokens(small_tokenizer(), prompt), doctest::Contains("<think>"), Error);
}

TEST_CASE("a letter's tokens are told apart, and a letter without one is an error") {
  CHECK(JudgeTokens(small_tokenizer(), QuestionPrompt::brief()).letter('A').size() == 1);  // "A"; " A" is no token
  BpeTrainerSettings settings;
  settings.vocabulary_size = 300;
  std::string trained = train_bpe(std::vector<std::string>{"say A or B . say A or B ."}, settings);
  const Tokenizer both = Tokenizer::from_json_text(trained);
  CHECK(JudgeTokens(both, QuestionPrompt::brief()).letter('A').size() == 2);
  const std::size_t flag = trained.find("false", trained.find("add_prefix_space"));
  REQUIRE(flag != std::string::npos);
  trained.replace(flag, 5, "true");
  const Tokenizer alike = Tokenizer::from_json_text(trained);  // reads "A" as " A"
  const JudgeTokens tokens(alike, QuestionPrompt::brief());
  CHECK(tokens.letter('A') == alike.encode("A"));
  CHECK_THROWS_WITH_AS(tokens.letter('Z'), doctest::Contains("for the letter Z"), Error);
}
