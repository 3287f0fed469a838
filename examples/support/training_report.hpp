#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/io/atomic_file.hpp"
#include "caprl/policy/vlm_prompt.hpp"
#include "caprl/train/report.hpp"
#include "caprl/train/report_series.hpp"
#include "support/evaluation.hpp"

namespace examples {

/// What a run has to tell.
struct TrainingReport {
  std::string name;  ///< "image" or "video"
  std::filesystem::path run_folder;
  Evaluation before = {};
  Evaluation after = {};
  Summary summary = {};
  std::vector<caprl::ReportGalleryItem> gallery = {};
};

inline caprl::ReportHeadline headline(const TrainingReport& report, const std::string& title, const std::string& figure,
                                      bool percent, const std::string& note) {
  const std::string stem = report.name + "." + figure + ".";
  return {.name = title,
          .before = report.summary.at(stem + "base"),
          .after = report.summary.at(stem + "trained"),
          .percent = percent,
          .note = note};
}

inline caprl::ReportChart chart(const TrainingReport& report, const std::string& title, const std::string& field,
                                bool percent, const std::string& about) {
  return {.title = title,
          .about = about,
          .series = {caprl::read_series(report.run_folder / "metrics.jsonl", field, title)},
          .percent = percent,
          .low = {},
          .high = {}};
}

inline caprl::ReportTable results_table(const TrainingReport& report) {
  caprl::ReportTable table{.title = report.name + " captions on held-out items",
                           .about = "with 95 % bootstrap intervals over items",
                           .columns = {"base", "trained", "base, greedy", "trained, greedy"},
                           .rows = {},
                           .percent = true};
  for (const std::string figure : {"accuracy", "recall", "precision", "abstain"}) {
    caprl::ReportRow row{.name = figure, .cells = {}};
    for (const std::string which : {"base", "trained", "greedy.base", "greedy.trained"}) {
      const std::string key = report.name + "." + figure + "." + which;
      if (report.summary.has(key)) row.cells.emplace_back(report.summary.interval(key));
    }
    if (row.cells.size() == table.columns.size()) table.rows.push_back(std::move(row));
  }
  return table;
}

/// One held-out item with its pictures, captions and the judge's answers.
template <class Load>
caprl::ReportGalleryItem gallery_item(const TrainingReport& report, const caprl::CaptionItem& item, const Load& load,
                                      std::size_t i) {
  caprl::ReportGalleryItem shown{.title = item.id,
                                 .pictures = {},
                                 .caption_before = report.before.captions[i].text,
                                 .caption_after = report.after.captions[i].text,
                                 .questions = {}};
  for (const caprl::Clip& clip : load(item)) {
    for (const caprl::Frame& frame : clip.frames) {
      shown.pictures.push_back({frame.image, clip.frames.size() > 1 ? caprl::time_stamp(frame.seconds) : ""});
    }
  }
  for (std::size_t q = 0; q < item.questions.size(); ++q) {
    const caprl::Question& question = item.questions[q];
    shown.questions.push_back({.text = question.text,
                               .options = question.options,
                               .gold = question.gold,
                               .before = report.before.judged[i].answers[q].options,
                               .after = report.after.judged[i].answers[q].options});
  }
  return shown;
}

inline void print_results(const TrainingReport& report) {
  for (const caprl::ReportGalleryItem& item : report.gallery) {
    std::printf("\n%s\n  before: %s\n  after:  %s\n", item.title.c_str(), item.caption_before.c_str(),
                item.caption_after.c_str());
  }
  std::printf("\n%-28s %8s %8s   (95 %% interval)\n", (report.name + "s held out").c_str(), "before", "after");
  for (const std::string figure : {"accuracy", "greedy accuracy", "recall", "precision", "abstain", "caption_tokens"}) {
    const bool greedy = figure.starts_with("greedy ");
    const std::string stem = report.name + "." + (greedy ? figure.substr(7) + ".greedy" : figure) + ".";
    if (!report.summary.has(stem + "base")) continue;
    const caprl::Interval after = report.summary.interval(stem + "trained");
    std::printf("%-28s %8.3f %8.3f   (%.3f to %.3f)\n", figure.c_str(), report.summary.at(stem + "base"), after.value,
                after.low, after.high);
  }
}

inline std::vector<caprl::ReportChart> charts(const TrainingReport& report) {
  std::vector<caprl::ReportChart> charts = {
      chart(report, "Reward", "reward", false, "mean over sampled captions"),
      chart(report, "Held-out accuracy", "validation.accuracy", true, "validation items"),
      chart(report, "Recall", "validation.recall", true, "facts stated"),
      chart(report, "Precision", "validation.precision", true, "claims that are true"),
      chart(report, "Abstention", "validation.abstain", true, "the judge found no answer"),
      chart(report, "Caption length", "caption_tokens", false, "tokens"),
      chart(report, "KL to the start", "validation.kl_to_start", false, "nats a token")};
  std::erase_if(charts, [](const caprl::ReportChart& shown) { return shown.series.front().steps.empty(); });
  for (caprl::ReportChart& shown : charts) shown.title += ", " + report.name + "s";
  return charts;
}

/// Prints the results of a run's stages and writes summary.json and report.html into `folder`.
inline void write_training_report(std::span<const TrainingReport> stages, const std::filesystem::path& folder) {
  caprl::Report page;
  page.title = "Captions, reinforced";
  page.about = "A captioner was rewarded when a judge that cannot see answered questions from its captions alone.";
  nlohmann::ordered_json summary = nlohmann::ordered_json::object();
  for (const TrainingReport& stage : stages) {
    const std::string of = " of " + stage.name + " captions";
    page.headlines.push_back(
        headline(stage, "Accuracy" + of, "accuracy", true, "the judge's probability of the right answer"));
    if (!stage.before.scores.empty()) {
      page.headlines.push_back(headline(stage, "Recall" + of, "recall", true, "facts that are stated"));
      page.headlines.push_back(headline(stage, "Precision" + of, "precision", true, "stated claims that are true"));
    }
    page.headlines.push_back(headline(stage, "Length" + of, "caption_tokens", false, "tokens"));
    page.galleries.push_back({.title = "Held-out " + stage.name + "s", .about = "", .items = stage.gallery});
    for (caprl::ReportChart& shown : charts(stage)) page.charts.push_back(std::move(shown));
    for (const auto& [title, field] : {std::pair<std::string, std::string>{"sampling", "seconds.rollout"},
                                       {"judging", "seconds.judge"},
                                       {"update", "seconds.update"}}) {
      const auto series = caprl::read_series(stage.run_folder / "timings.jsonl", field, title);
      page.phases.push_back({stage.name + "s: " + title, series.values});
    }
    page.tables.push_back(results_table(stage));
    summary.update(stage.summary.figures());
    print_results(stage);
  }
  page.footer = "caprl";
  caprl::write_report(folder / "report.html", page);
  caprl::write_file_atomically(folder / "summary.json", summary.dump(2) + "\n");
  std::printf("\nreport: %s\n", (folder / "report.html").c_str());
}

}  // namespace examples
