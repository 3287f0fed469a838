#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/train/report.hpp"
#include "caprl/train/report_series.hpp"
#include "support/run_figures.hpp"
#include "support/stage.hpp"

namespace examples {

inline caprl::ReportHeadline headline(const Stage& stage, const std::string& title, const std::string& figure,
                                      bool percent, const std::string& note) {
  const std::string stem = stage.name + "." + figure + ".";
  return {.name = title,
          .before = stage.summary.at(stem + "base"),
          .after = stage.summary.at(stem + "trained"),
          .percent = percent,
          .note = note};
}

inline caprl::ReportChart chart(const Stage& stage, const std::string& title, const std::string& field, bool percent,
                                const std::string& about) {
  return {.title = title,
          .about = about,
          .series = {caprl::read_series(stage.folder / "run" / "metrics.jsonl", field, title)},
          .percent = percent};
}

inline caprl::ReportTable results_table(const Stage& stage) {
  caprl::ReportTable table{.title = stage.name + " captions on held-out items",
                           .about = "with 95 % bootstrap intervals over items",
                           .columns = {"base", "trained", "base, greedy", "trained, greedy"},
                           .rows = {}};
  for (const std::string figure : {"accuracy", "recall", "precision", "abstain"}) {
    caprl::ReportRow row{.name = figure, .cells = {}};
    for (const std::string which : {"base", "trained", "greedy.base", "greedy.trained"}) {
      const std::string key = stage.name + "." + figure + "." + which;
      if (stage.summary.has(key)) row.cells.emplace_back(stage.summary.interval(key));
    }
    if (row.cells.size() == table.columns.size()) table.rows.push_back(std::move(row));
  }
  return table;
}

inline void print_results(const Stage& stage) {
  for (const caprl::ReportGalleryItem& item : stage.gallery) {
    std::printf("\n%s\n  before: %s\n  after:  %s\n", item.title.c_str(), item.caption_before.c_str(),
                item.caption_after.c_str());
  }
  std::printf("\n%-28s %8s %8s   (95 %% interval)\n", (stage.name + "s held out").c_str(), "before", "after");
  for (const std::string figure : {"accuracy", "greedy accuracy", "recall", "precision", "abstain", "caption_tokens"}) {
    const bool greedy = figure.starts_with("greedy ");
    const std::string stem = stage.name + "." + (greedy ? figure.substr(7) + ".greedy" : figure) + ".";
    if (!stage.summary.has(stem + "base")) continue;
    const caprl::Interval after = stage.summary.interval(stem + "trained");
    std::printf("%-28s %8.3f %8.3f   (%.3f to %.3f)\n", figure.c_str(), stage.summary.at(stem + "base"), after.value,
                after.low, after.high);
  }
}

inline std::vector<caprl::ReportChart> charts(const Stage& stage) {
  std::vector<caprl::ReportChart> charts = {
      chart(stage, "Reward", "reward", false, "mean over sampled captions"),
      chart(stage, "Held-out accuracy", "validation.accuracy", true, "validation items"),
      chart(stage, "Recall", "validation.recall", true, "facts stated"),
      chart(stage, "Precision", "validation.precision", true, "claims that are true"),
      chart(stage, "Abstention", "validation.abstain", true, "the judge found no answer"),
      chart(stage, "Caption length", "caption_tokens", false, "tokens"),
      chart(stage, "KL to the start", "validation.kl_to_start", false, "nats a token")};
  std::erase_if(charts, [](const caprl::ReportChart& shown) { return shown.series.front().steps.empty(); });
  for (caprl::ReportChart& shown : charts) shown.title += ", " + stage.name + "s";
  return charts;
}

/// Appends the seconds of a stage's steps: one stage's steps follow the other's.
inline void add_phases(const Stage& stage, std::vector<caprl::ReportPhase>& phases) {
  const std::vector<std::string> fields = {"seconds.rollout", "seconds.judge", "seconds.update"};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto series = caprl::read_series(stage.folder / "run" / "timings.jsonl", fields[i], fields[i]);
    phases[i].seconds.insert(phases[i].seconds.end(), series.values.begin(), series.values.end());
  }
}

/// Throws Error for two stages of the same medium: their figures would have the same names.
inline void require_one_stage_of_each(std::span<const Stage> stages) {
  std::set<std::string> seen;
  for (const Stage& stage : stages) {
    if (seen.insert(stage.name).second) continue;
    throw caprl::Error("[report] expected one stage of " + stage.name + " captions, got two", stage.folder.string(),
                       "report each in a folder of its own");
  }
}

/// Prints the results of a run's stages and writes summary.json and report.html into `folder`. Throws Error for two
/// stages of the same medium, before anything is written.
inline void write_training_report(std::span<const Stage> stages, const std::filesystem::path& folder,
                                  const Summary& extra = {}) {
  require_one_stage_of_each(stages);
  caprl::Report page;
  page.title = "Captions, reinforced";
  page.about = "A captioner was rewarded when a judge that cannot see answered questions from its captions alone.";
  page.phases = {{"sampling", {}}, {"judging", {}}, {"update", {}}};
  Summary summary = extra;
  for (const Stage& stage : stages) {
    const std::string of = " of " + stage.name + " captions";
    page.headlines.push_back(
        headline(stage, "Accuracy" + of, "accuracy", true, "the judge's probability of the right answer"));
    if (stage.summary.has(stage.name + ".recall.base")) {
      page.headlines.push_back(headline(stage, "Recall" + of, "recall", true, "facts that are stated"));
      page.headlines.push_back(headline(stage, "Precision" + of, "precision", true, "stated claims that are true"));
    }
    page.headlines.push_back(headline(stage, "Length" + of, "caption_tokens", false, "tokens"));
    page.galleries.push_back({.title = "Held-out " + stage.name + "s", .about = "", .items = stage.gallery});
    for (caprl::ReportChart& shown : charts(stage)) page.charts.push_back(std::move(shown));
    add_phases(stage, page.phases);
    page.tables.push_back(results_table(stage));
    summary.add(stage.summary);
    print_results(stage);
  }
  add_overall_run_figures(summary);
  page.footer = "caprl";
  caprl::write_report(folder / "report.html", page);
  summary.save(folder / "summary.json");
  std::printf("\nreport: %s\n", (folder / "report.html").c_str());
}

}  // namespace examples
