/// Measures captions: how many questions a judge answers from them and, on the example world, how much of the truth
/// they state and how much of what they state is true.
///
///     caption --model build/run/model --data test.jsonl --temperature 1 --out captions.jsonl
///     measure --data test.jsonl --judge build/judge/model --captions captions.jsonl --name image --which trained
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/data/caption_data.hpp"
#include "caprl/io/fingerprint.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/model/language_model.hpp"
#include "support/captions_file.hpp"
#include "support/evaluation.hpp"
#include "support/gain.hpp"
#include "support/judge_options.hpp"
#include "support/kept_answers.hpp"
#include "support/program.hpp"
#include "support/world_figures.hpp"

using namespace caprl;
using namespace examples;

namespace {

struct Options {
  std::filesystem::path data, captions, before, kept_answers, out;
  JudgeOptions judge;
  std::string name = "image";
  std::string which = "trained";
  bool truth = false, blind = false, best = false, second_judge = false;
};

std::vector<std::vector<Caption>> given_captions(const Options& options, const std::vector<CaptionItem>& items) {
  std::vector<std::vector<Caption>> captions(items.size(), {Caption{}});
  if (options.blind) return captions;
  if (!options.truth) captions = read_captions(options.captions, items);
  for (std::size_t i = 0; options.truth && i < items.size(); ++i) captions[i] = {{.text = true_caption(items[i])}};
  return captions;
}

/// Of several captions of an item the one that the judge answers most from.
std::vector<Caption> best_captions(const ExactJudge<float>& judge, std::span<const CaptionItem* const> items,
                                   const std::vector<std::vector<Caption>>& captions) {
  std::vector<Caption> best;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::vector<const CaptionItem*> same(captions[i].size(), items[i]);
    const auto judged = caption_accuracy(judge, std::span<const CaptionItem* const>(same), captions[i]);
    const auto top = std::ranges::max_element(judged, {}, &ItemAccuracy::accuracy);
    best.push_back(captions[i][static_cast<std::size_t>(top - judged.begin())]);
  }
  return best;
}

Evaluation evaluate(const Options& options, const ExactJudge<float>& judge, const std::vector<CaptionItem>& items,
                    const std::vector<std::vector<Caption>>& captions) {
  const std::vector<const CaptionItem*> list = pointers(items);
  const std::span<const CaptionItem* const> all(list);
  std::vector<Caption> chosen = options.best ? best_captions(judge, all, captions) : first_captions(captions);
  const std::string asked =
      options.kept_answers.empty()
          ? ""
          : fingerprint(options.judge.folder) + (options.judge.standard_prompt ? " standard " : " ") +
                (options.judge.empty_thinking ? "empty thinking " : "") + fingerprint(options.data);
  auto judged = kept_caption_accuracy(options.kept_answers, asked, judge, all, chosen);
  Evaluation evaluation = evaluation_of(all, std::move(chosen), std::move(judged));
  if (options.blind) leave_out_abstaining(all, evaluation);
  return evaluation;
}

void run(const Options& options) {
  const auto items = load_caption_data(options.data, {.keep_extra = true});
  const auto folder = load_language_model(options.judge.folder);
  const ExactJudge<float> judge(folder.model, folder.tokenizer, {.prompt = options.judge.prompt()});
  Summary summary;
  if (std::filesystem::exists(options.out)) summary = Summary::load(options.out);

  Evaluation after = evaluate(options, judge, items, given_captions(options, items));
  after.by_policy = !options.truth && !options.blind;
  const std::string which = options.which;
  if (options.second_judge) {
    summary.add(figure_name(options.name, "accuracy.second_judge", which), bootstrap_mean(after.accuracies()));
  } else {
    add_figures(summary, options.name, which, after);
    add_world_figures(summary, options.name, which, items, after);
  }
  if (!options.before.empty()) {
    const Evaluation before = evaluate(options, judge, items, read_captions(options.before, items));
    if (options.second_judge) {
      summary.add(figure_name(options.name, "accuracy.second_judge.gain", which),
                  bootstrap_difference(after.accuracies(), before.accuracies()));
    } else {
      add_gains(summary, options.name, which, before, after);
      add_world_gains(summary, options.name, which, items, before, after);
    }
  }
  if (!options.out.empty()) summary.save(options.out);
  const Interval accuracy = bootstrap_mean(after.accuracies());
  std::printf("%s %s: accuracy %.4f (%.4f to %.4f) on %zu items\n", options.name.c_str(), which.c_str(), accuracy.value,
              accuracy.low, accuracy.high, items.size());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Measures captions with a judge that reads nothing else.");
  app.add_option("--data", options.data, "Items with questions, JSON Lines")->required()->check(CLI::ExistingFile);
  add_judge_options(app, options.judge);
  auto* captions =
      app.add_option("--captions", options.captions, "What `caption --out` wrote")->check(CLI::ExistingFile);
  auto* truth = app.add_flag("--truth", options.truth, "Measure the truth written out (field caption_dense)");
  auto* blind = app.add_flag("--blind", options.blind, "Measure no caption at all; the abstain option is left out");
  auto* best = app.add_flag("--best", options.best, "Of several captions of an item take the best");
  auto* before = app.add_option("--before", options.before, "Captions to take the gain over")->check(CLI::ExistingFile);
  truth->excludes(captions);
  blind->excludes(captions)->excludes(truth)->excludes(best)->excludes(before);  // those abstain, or choose captions
  app.add_option("--name", options.name, "First part of the figures' names")->capture_default_str();
  app.add_option("--which", options.which, "Last part of the figures' names")->capture_default_str();
  app.add_flag("--second-judge", options.second_judge, "Only accuracy, under the name accuracy.second_judge");
  app.add_option("--keep-answers", options.kept_answers,
                 "Folder that keeps what judges answer: asked again, it is read");
  app.add_option("--out", options.out, "summary.json to add the figures to");
  add_threads_option(app);
  return run_program(argc, argv, app, [&] {
    require(options.truth || options.blind || !options.captions.empty(),
            "[measure] expected --captions, --truth or --blind");
    run(options);
  });
}
