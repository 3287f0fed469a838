/// Trains a small tokenizer on the texts of data files: captions, prompts, questions and options.
///
///     train_tokenizer --data build/world/images_train.jsonl --vocabulary 512 --out build/tokenizer.json
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/data/caption_data.hpp"
#include "caprl/io/atomic_file.hpp"
#include "caprl/judge/question_prompt.hpp"
#include "caprl/text/bpe_trainer.hpp"
#include "caprl/text/load_tokenizer.hpp"
#include "support/program.hpp"

using namespace caprl;

namespace {

/// All texts of an item, questions as a judge is asked them.
void add_texts(const CaptionItem& item, std::vector<std::string>& texts) {
  const QuestionPrompt prompt = QuestionPrompt::brief();
  texts.push_back(item.caption);
  texts.push_back(item.prompt);
  for (const Question& question : item.questions) {
    OptionOrder order(question.options.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Index>(i);
    const PromptPieces pieces = write_prompt(prompt, item.caption, question, order);
    texts.push_back("user\n" + pieces.before_caption);
    texts.push_back(pieces.after_caption);
    texts.push_back("assistant\n" + pieces.prefill + " A B C D E F");
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> data;
  std::filesystem::path out;
  Index vocabulary = 512;
  CLI::App app("Trains a small tokenizer on the texts of data files.");
  app.add_option("--data", data, "JSON Lines files")->required()->check(CLI::ExistingFile);
  app.add_option("--vocabulary", vocabulary, "Tokens, 256 bytes and the special ones included")->capture_default_str();
  app.add_option("--out", out, "tokenizer.json to write")->required();
  return examples::run_program(argc, argv, app, [&] {
    std::vector<std::string> texts;
    for (const auto& path : data) {
      for (const CaptionItem& item : load_caption_data(path, {.require_questions = false})) add_texts(item, texts);
    }
    BpeTrainerSettings settings;
    settings.vocabulary_size = vocabulary;
    const std::string json = train_bpe(texts, settings);
    write_file_atomically(out, json);
    const Tokenizer tokenizer = Tokenizer::from_json_text(json);
    Index tokens = 0;
    Index characters = 0;
    for (const std::string& text : texts) {
      tokens += static_cast<Index>(tokenizer.encode(text).size());
      characters += static_cast<Index>(text.size());
    }
    std::printf("%s: %ld tokens, %.2f characters a token\n", out.c_str(),
                static_cast<long>(tokenizer.vocabulary_size()),
                static_cast<double>(characters) / static_cast<double>(tokens));
  });
}
