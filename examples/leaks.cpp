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

#include "caprl/data/caption_data.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/model/language_model.hpp"
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

std::vector<Caption> first_of_each(const std::vector<std::vector<Caption>>& captions) {
  std::vector<Caption> first;
  for (const auto& of_item : captions) first.push_back(of_item.front());
  return first;
}

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
    const double mean = bootstrap_mean(accuracies(judge, items, std::vector(items.size(), candidate))).value;
    if (mean > most) {
      most = mean;
      best = candidate;
    }
  }
  return best;
}

/// Answers from the question and its options alone: how often each text was right for a question, of how often it was
/// offered.
class AnswerTable {
 public:
  explicit AnswerTable(const std::vector<CaptionItem>& items) {
    for (const CaptionItem& item : items) {
      for (const Question& question : item.questions) {
        for (std::size_t option = 0; option < question.options.size(); ++option) {
          Count& count = counts_[question.text][question.options[option]];
          ++count.offered;
          count.right += static_cast<Index>(option) == question.gold;
        }
      }
    }
  }

  /// For each item the share of questions whose likeliest option is right; equal ones share.
  std::vector<double> accuracies(const std::vector<CaptionItem>& items) const {
    std::vector<double> accuracies;
    for (const CaptionItem& item : items) {
      double sum = 0;
      for (const Question& question : item.questions) sum += right_share(question);
      accuracies.push_back(sum / static_cast<double>(item.questions.size()));
    }
    return accuracies;
  }

 private:
  struct Count {
    double offered = 0;
    double right = 0;
  };

  double rate(const Question& question, const std::string& option) const {
    const auto text = counts_.find(question.text);
    if (text == counts_.end()) return 0;
    const auto found = text->second.find(option);
    return found == text->second.end() ? 0 : found->second.right / found->second.offered;
  }
  double right_share(const Question& question) const {
    std::vector<double> rates;
    for (const std::string& option : question.options) rates.push_back(rate(question, option));
    const double top = std::ranges::max(rates);
    if (rates[static_cast<std::size_t>(question.gold)] < top) return 0;
    return 1.0 / static_cast<double>(std::ranges::count(rates, top));
  }

  std::map<std::string, std::map<std::string, Count>> counts_;
};

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

  const std::vector<Caption> captions = first_of_each(read_captions(options.captions, items));
  std::vector<Caption> swapped = captions;
  std::ranges::rotate(swapped, swapped.begin() + 1);
  const std::vector<Caption> on_validation = first_of_each(read_captions(options.validation_captions, validation));
  const Caption constant = best_constant(judge, validation, frequent_captions(on_validation, options.constants));

  add("blind", accuracies(judge, items, std::vector<Caption>(items.size()), true));
  add("swapped", accuracies(judge, items, swapped));
  add("other_media", accuracies(judge, items, first_of_each(read_captions(options.other_captions, items))));
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
