/// Looks for ways to answer the questions without seeing: how far above chance a judge is with no caption, with another
/// item's caption, with the best constant caption, and how far a table of questions and answers is.
///
///     leaks --data test.jsonl --train train.jsonl --validation validation.jsonl --judge build/judge/model
///           --captions test_captions.jsonl --validation-captions validation_captions.jsonl
///           --other-captions captions_of_other_images.jsonl --out summary.json
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "caprl/advantage/statistics.hpp"
#include "caprl/data/caption_data.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/model/language_model.hpp"
#include "support/answer_table.hpp"
#include "support/captions_file.hpp"
#include "support/evaluation.hpp"
#include "support/judge_options.hpp"
#include "support/program.hpp"
#include "support/world_figures.hpp"

using namespace caprl;
using namespace examples;

namespace {

struct Options {
  std::filesystem::path data, train, validation, captions, validation_captions, other_captions, out;
  JudgeOptions judge;
  std::string name = "image";
  std::size_t constants = 20;
};

std::vector<double> accuracies(const ExactJudge<float>& judge, const std::vector<CaptionItem>& items,
                               const std::vector<Caption>& captions, bool blind = false) {
  const auto list = pointers(items);
  const std::span<const CaptionItem* const> all(list);
  Evaluation evaluation{.captions = captions, .judged = caption_accuracy(judge, all, captions), .scores = {}};
  if (blind) leave_out_abstaining(all, evaluation);
  return evaluation.accuracies();
}

/// The most frequent captions, the most frequent first.
std::vector<Caption> frequent_captions(const std::vector<Caption>& captions, std::size_t count) {
  std::map<std::string, std::pair<int, Caption>> counts;
  for (const Caption& caption : captions) {
    auto& entry = counts[caption.text];
    ++entry.first;
    entry.second = caption;
  }
  std::vector<std::pair<int, Caption>> list;
  for (auto& [text, entry] : counts) list.push_back(std::move(entry));
  std::ranges::stable_sort(list, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Caption> frequent;
  for (std::size_t i = 0; i < std::min(count, list.size()); ++i) frequent.push_back(list[i].second);
  return frequent;
}

/// Of the candidates the caption that answers most when every item has it.
Caption best_constant(const ExactJudge<float>& judge, const std::vector<CaptionItem>& items,
                      const std::vector<Caption>& candidates) {
  double most = -1;
  Caption best;
  for (const Caption& candidate : candidates) {
    const double mean = mean_of(accuracies(judge, items, std::vector(items.size(), candidate)));
    if (mean > most) {
      most = mean;
      best = candidate;
    }
  }
  return best;
}

void run(const Options& options) {
  const auto items = load_caption_data(options.data);
  const auto validation = load_caption_data(options.validation);
  const auto folder = load_language_model(options.judge.folder);
  const ExactJudge<float> judge(folder.model, folder.tokenizer, {.prompt = options.judge.prompt()});
  Summary summary;
  if (std::filesystem::exists(options.out)) summary = Summary::load(options.out);
  const std::vector<double> chance = chances(items);
  const auto add = [&](const std::string& leak, const std::vector<double>& values) {
    const Interval above = bootstrap_difference(values, chance);
    summary.add("leak." + options.name + "." + leak, above);
    std::printf("%-12s %+.3f above chance (%+.3f to %+.3f)\n", leak.c_str(), above.value, above.low, above.high);
  };

  const std::vector<Caption> captions = first_captions(read_captions(options.captions, items));
  std::vector<Caption> swapped = captions;
  std::ranges::rotate(swapped, swapped.begin() + 1);
  const std::vector<Caption> on_validation = first_captions(read_captions(options.validation_captions, validation));
  const Caption constant = best_constant(judge, validation, frequent_captions(on_validation, options.constants));

  add("blind", accuracies(judge, items, std::vector<Caption>(items.size()), true));
  add("swapped", accuracies(judge, items, swapped));
  add("other_media", accuracies(judge, items, first_captions(read_captions(options.other_captions, items))));
  add("constant", accuracies(judge, items, std::vector(items.size(), constant)));
  add("questions", AnswerTable(load_caption_data(options.train)).accuracies(items));
  summary.add(options.name + ".chance", bootstrap_mean(chance));
  summary.save(options.out);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Looks for ways to answer the questions of a data set without seeing its media.");
  const auto file = [&](const char* name, std::filesystem::path& path, const char* about) {
    app.add_option(name, path, about)->required()->check(CLI::ExistingFile);
  };
  file("--data", options.data, "Items to measure on");
  file("--train", options.train, "Items whose questions and answers are counted");
  file("--validation", options.validation, "Items to choose the constant caption on");
  file("--captions", options.captions, "Of the items, by `caption --out`");
  file("--validation-captions", options.validation_captions, "Of the validation items; the constant is one of them");
  file("--other-captions", options.other_captions, "Of the items, by `caption --other-media --out`");
  add_judge_options(app, options.judge);
  app.add_option("--constants", options.constants, "How many frequent captions are tried")->capture_default_str();
  app.add_option("--name", options.name, "In the figures' names: leak.NAME.blind ...")->capture_default_str();
  app.add_option("--out", options.out, "summary.json to add the figures to")->required();
  add_threads_option(app);
  return run_program(argc, argv, app, [&] { run(options); });
}
