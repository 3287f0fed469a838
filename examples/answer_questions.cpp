/// Answers multiple-choice questions from captions with a language model, in two ways: by the letter that it would
/// name, and by the option that it would rather write. A judge may be put beside it, which is asked for letters in its
/// own words.
///
///     answer_questions --judge SmolLM2-135M-Instruct.Q4_1.gguf --data world/images_test.jsonl --beside judge/model
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "caprl/advantage/statistics.hpp"
#include "caprl/core/progress.hpp"
#include "caprl/data/caption_data.hpp"
#include "caprl/evaluate/bootstrap.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/model/language_model.hpp"
#include "support/captions_file.hpp"
#include "support/item_captions.hpp"
#include "support/judge_options.hpp"
#include "support/option_likelihood.hpp"
#include "support/program.hpp"
#include "support/summary.hpp"

using namespace caprl;
using namespace examples;

namespace {

struct Options {
  std::filesystem::path data, captions, beside, out;
  JudgeOptions judge;
  std::string caption_field = "caption";
  std::string name = "image";
  Index items = 50;
  Index orders = 0;
};

/// The share of an item's questions whose right option has the highest value.
double share_right(const CaptionItem& item, std::span<const std::vector<double>> values) {
  double right = 0;
  for (std::size_t q = 0; q < item.questions.size(); ++q) {
    const auto top = std::ranges::max_element(values[q]) - values[q].begin();
    right += top == item.questions[q].gold;
  }
  return right / static_cast<double>(item.questions.size());
}

double chance(const CaptionItem& item) {
  double sum = 0;
  for (const Question& question : item.questions) sum += 1 / static_cast<double>(question.options.size());
  return sum / static_cast<double>(item.questions.size());
}

std::vector<std::vector<double>> by_letter(const ExactJudge<float>& judge, const CaptionItem& item,
                                           const Caption& caption) {
  std::vector<std::vector<double>> values;
  const JudgeRequest request{&item, {&caption, 1}};
  const auto answers = judge.answer({&request, 1});
  for (const QuestionAnswer& answer : answers[0][0]) values.push_back(answer.options);
  return values;
}

/// For each item the share of its questions that are answered rightly.
template <class Answer>
std::vector<double> shares_right(const std::string& what, const std::vector<CaptionItem>& items, const Answer& answer) {
  Progress progress(what, std::ssize(items), 0);
  std::vector<double> shares;
  for (const CaptionItem& item : items) {
    shares.push_back(share_right(item, answer(item, Caption{.text = item.caption})));
    progress.update(std::ssize(shares), {{"accuracy", mean_of(shares), 2}});
  }
  return shares;
}

std::vector<double> letter_shares(const std::string& what, const ModelFolder<Decoder<float>>& folder,
                                  const QuestionPrompt& prompt, const std::vector<CaptionItem>& items,
                                  const Options& options) {
  const ExactJudge<float> judge(folder.model, folder.tokenizer,
                                {.prompt = prompt, .orders = {.count = options.orders}});
  return shares_right(what, items,
                      [&](const CaptionItem& item, const Caption& caption) { return by_letter(judge, item, caption); });
}

/// The first items, with the captions to answer from.
std::vector<CaptionItem> captioned_items(const Options& options) {
  auto items = options.captions.empty() ? load_item_captions(options.data, options.caption_field)
                                        : load_caption_data(options.data);
  if (std::ssize(items) > options.items) items.resize(static_cast<std::size_t>(options.items));
  if (options.captions.empty()) return items;
  const auto captions = read_captions(options.captions, items);
  for (std::size_t i = 0; i < items.size(); ++i) items[i].caption = captions[i].front().text;
  return items;
}

void run(const Options& options) {
  const auto items = captioned_items(options);
  const auto folder = load_language_model(options.judge.folder);
  Summary summary;
  if (std::filesystem::exists(options.out)) summary = Summary::load(options.out);
  const auto tell = [&](const std::string& what, const std::vector<double>& shares) {
    const Interval share = bootstrap_mean(shares);
    summary.add("answers." + options.name + "." + what, share);
    std::printf("%-12s %.3f (%.3f to %.3f)\n", what.c_str(), share.value, share.low, share.high);
  };
  std::vector<double> guessed;
  for (const CaptionItem& item : items) guessed.push_back(chance(item));
  tell("chance", guessed);
  tell("by_letter", letter_shares("by letter", folder, options.judge.prompt(), items, options));
  const OptionLikelihood likelihood(folder.model, folder.tokenizer);
  tell("by_option", shares_right("by option", items, [&](const CaptionItem& item, const Caption& caption) {
         return likelihood(item, caption.text);
       }));
  if (!options.beside.empty()) {
    tell("beside", letter_shares("the other judge", load_language_model(options.beside), QuestionPrompt::brief(), items,
                                 options));
  }
  if (!options.out.empty()) summary.save(options.out);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Answers multiple-choice questions from captions with a language model.");
  add_judge_options(app, options.judge);
  app.add_option("--data", options.data, "Items with questions, JSON Lines")->required()->check(CLI::ExistingFile);
  auto* field =
      app.add_option("--caption-field", options.caption_field, "The items' field with the caption to answer from")
          ->capture_default_str();
  app.add_option("--captions", options.captions, "Answer from what `caption --out` wrote; of several the first")
      ->check(CLI::ExistingFile)
      ->excludes(field);
  app.add_option("--items", options.items, "At most")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--orders", options.orders, "Option orders of each question asked by letter; 0: all cyclic ones")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--beside", options.beside, "A judge of the example world to compare with: a folder or GGUF file")
      ->check(CLI::ExistingPath);
  app.add_option("--name", options.name, "In the figures' names: answers.NAME.by_letter ...")->capture_default_str();
  app.add_option("--out", options.out, "summary.json to add the figures to");
  add_threads_option(app);
  return run_program(argc, argv, app, [&] { run(options); });
}
