/// Writes the tables of docs/results.md from the figures of reproduce.sh, and says which of its gates are met.
///
///     results --figures build/reproduce/figures/*.json --out docs/results.md
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "caprl/io/atomic_file.hpp"
#include "caprl/train/report_series.hpp"
#include "support/program.hpp"
#include "support/run_figures.hpp"
#include "support/summary.hpp"

using namespace examples;

namespace {

/// A figure that has to reach a bound: at least, or at most.
struct Gate {
  std::string about;
  std::string figure;
  double bound;
  bool at_least = true;

  bool met(const Summary& summary) const {
    if (!summary.has(figure)) return false;
    return at_least ? summary.at(figure) >= bound : summary.at(figure) <= bound;
  }
};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string cell(const Summary& summary, const std::string& figure) {
  if (!summary.has(figure)) return "not measured";
  if (!summary.has(figure + ".low")) return number(summary.at(figure));
  const caprl::Interval interval = summary.interval(figure);
  return number(interval.value) + " (" + number(interval.low) + " to " + number(interval.high) + ")";
}

std::string scientific(const Summary& summary, const std::string& figure) {
  if (!summary.has(figure)) return "not measured";
  char text[32];
  std::snprintf(text, sizeof text, "%.2e", summary.at(figure));
  return text;
}

std::string table_row(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (const std::string& text : cells) row += " " + text + " |";
  return row + "\n";
}

std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::string text = table_row(header) + table_row(std::vector<std::string>(header.size(), "---"));
  for (const auto& row : rows) text += table_row(row);
  return text + "\n";
}

constexpr double wanted_accuracy = 0.8;  ///< how soon it is reached is measured
const std::vector<std::string> runs = {"seed1", "seed2", "seed3", "base2"};
const std::vector<std::string> samplings = {"", "greedy."};
const std::vector<std::string> readers = {"", "second_judge.", "grammar."};
const std::vector<std::string> controls = {"permuted", "other_item"};  ///< rewards that tell nothing
const std::vector<std::string> control_runs = {"seed1", "seed2", "seed3"};

/// What holds of judges and data, for images and for videos.
void add_gates_of_medium(std::vector<Gate>& gates, const std::string& medium) {
  const std::string of = medium + "s: ";
  gates.push_back({of + "judge, from the truth", medium + ".accuracy.truth.low", 0.95});
  for (const std::string judge : {"", ".second"}) {
    const std::string name = judge.empty() ? "judge" : "second judge";
    gates.push_back(
        {of + name + " abstains without the fact", "judge." + medium + judge + ".removed_abstained.low", 0.80});
    gates.push_back({of + name + " follows a false fact", "judge." + medium + judge + ".replaced_followed.low", 0.90});
  }
  for (const std::string leak : {"blind", "swapped", "other_media", "constant", "questions"}) {
    gates.push_back({of + "leak above chance: " + leak, "leak." + medium + "." + leak + ".high", 0.05, false});
  }
}

void add_image_gates(std::vector<Gate>& gates, const std::string& which) {
  const std::string of = "images, " + which + ": ";
  for (const std::string& reader : readers) {
    gates.push_back({of + "accuracy", "image.accuracy." + reader + which + ".low", 0.80});
    gates.push_back({of + "gain of accuracy", "image.accuracy." + reader + "gain." + which + ".low", 0.25});
  }
  gates.push_back({of + "gain of recall", "image.recall.gain." + which + ".low", 0.20});
  gates.push_back({of + "precision", "image.precision." + which + ".low", 0.85});
  gates.push_back({of + "gain of precision", "image.precision.gain." + which + ".low", -0.03});
}

void add_video_gates(std::vector<Gate>& gates, const std::string& sampling, const std::string& run) {
  const std::string which = sampling + "trained." + run;
  for (const std::string& reader : readers) {
    gates.push_back({"videos, " + which + ": gain of accuracy over the image stage",
                     "video.accuracy." + reader + "gain." + which + ".low", 0.20});
  }
  const std::string kept = sampling + "kept." + run;
  gates.push_back({"images after videos, " + kept + ": gain of accuracy", "image.accuracy.gain." + kept, -0.02});
}

/// What tells nothing teaches nothing, in any run.
void add_control_gates(std::vector<Gate>& gates, const std::string& control) {
  for (const std::string& run : control_runs) {
    for (const std::string& sampling : samplings) {
      const std::string which = sampling + run;
      gates.push_back({"gain of control " + control + ", " + which,
                       "control." + control + ".image.accuracy.gain." + which + ".high", 0.03, false});
    }
  }
}

std::vector<Gate> all_gates() {
  std::vector<Gate> gates;
  for (const std::string medium : {"image", "video"}) add_gates_of_medium(gates, medium);
  for (const std::string& run : runs) {
    for (const std::string& sampling : samplings) {
      add_image_gates(gates, sampling + "trained." + run);
      add_video_gates(gates, sampling, run);
    }
  }
  for (const std::string& control : controls) add_control_gates(gates, control);
  for (const std::string control : {"one_frame", "shuffled_frames"}) {
    gates.push_back({"videos, " + control + ": gain on temporal questions",
                     "video.accuracy.temporal.gain." + control + ".high", -0.15, false});
  }
  return gates;
}

/// Whose captions a row is of: the figures' prefix, such as "image", and the name behind them, such as "greedy.base".
struct Captions {
  std::string prefix, which;
};

/// Drawn at temperature 1, and greedily.
void add_both_samplings(std::vector<Captions>& all, const std::string& prefix, const std::string& name) {
  for (const std::string& sampling : samplings) all.push_back({prefix, sampling + name});
}

std::string row_name(const Captions& captions) {
  const std::size_t end = captions.prefix.rfind('.');  // of "control.permuted.image"
  return end == std::string::npos ? captions.which : captions.prefix.substr(0, end) + " " + captions.which;
}

std::string captions_table(const Summary& summary, const std::vector<Captions>& all,
                           const std::vector<std::string>& figures) {
  std::vector<std::string> header = {"captions"};
  header.insert(header.end(), figures.begin(), figures.end());
  std::vector<std::vector<std::string>> rows;
  for (const Captions& captions : all) {
    rows.push_back({row_name(captions)});
    for (const std::string& figure : figures) {
      rows.back().push_back(cell(summary, figure_name(captions.prefix, figure, captions.which)));
    }
  }
  return table(header, rows);
}

std::string images_table(const Summary& summary) {
  std::vector<Captions> all;
  for (const std::string base : {"base", "base2"}) add_both_samplings(all, "image", base);
  for (const std::string& run : runs) add_both_samplings(all, "image", "trained." + run);
  add_both_samplings(all, "image", "sft_dense");
  for (const std::string other : {"sampled", "no_penalty", "best_of_1", "best_of_64", "truth"}) {
    all.push_back({"image", other});
  }
  for (const std::string& control : controls) {
    for (const std::string& run : control_runs) add_both_samplings(all, "control." + control + ".image", run);
  }
  add_both_samplings(all, "control.length.image", "seed1");
  return captions_table(summary, all,
                        {"accuracy", "accuracy.second_judge", "accuracy.grammar", "recall", "precision", "unparsable",
                         "caption_tokens"}) +
         "best_of_N: of N base captions of an image the one that the judge answers most from; the first 250 images "
         "only. sampled: trained by the published judge's draws; no_penalty: wrong answers cost nothing. "
         "control.permuted: trained on rewards in random order; control.other_item: on answers to another picture's "
         "questions; control.length: on length alone.\n\n";
}

std::string videos_table(const Summary& summary) {
  std::vector<Captions> all;
  for (const std::string base : {"base", "base2"}) add_both_samplings(all, "video", base);
  for (const std::string& run : runs) {
    add_both_samplings(all, "video", "start." + run);
    add_both_samplings(all, "video", "trained." + run);
  }
  add_both_samplings(all, "video", "video_only");
  for (const std::string other : {"one_frame", "shuffled_frames", "truth"}) all.push_back({"video", other});
  return captions_table(summary, all,
                        {"accuracy", "accuracy.second_judge", "accuracy.grammar", "accuracy.temporal", "recall",
                         "precision", "times.mean_error_seconds", "times.within_one_second", "caption_tokens"});
}

/// What training takes from judges: the error of advantages, and the tokens read for it.
std::string judges_table(const Summary& summary) {
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::string& judge) {
    rows.push_back({judge, cell(summary, "judges.image." + judge + ".tokens"),
                    scientific(summary, "judges.image." + judge + ".squared_error")});
  };
  for (const std::string orders : {"1", "2", "all"}) add("exact.cyclic_" + orders);
  for (const std::string draws : {"1", "2", "4", "8", "16", "32"}) add("sampled.draws_" + draws);
  return "Against all questions in all orders, over distinct captions of the same images; the advantages' mean square "
         "is " +
         scientific(summary, "judges.image.advantage_square") + ".\n\n" +
         table({"judge", "tokens a caption", "squared error of the advantage"}, rows);
}

/// How soon runs reached an accuracy on validation items; `given`: the names of the runs whose logs were read.
std::string speed_table(const Summary& summary, const std::set<std::string>& given) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string name : {"seed1", "seed2", "seed3", "base2", "sampled", "no_penalty"}) {
    const std::string figure = "to_accuracy.image_" + name;
    if (given.contains("image_" + name) && !summary.has(figure + ".steps")) {
      rows.push_back({name, "never", "never"});
    } else {
      rows.push_back({name, cell(summary, figure + ".steps"), scientific(summary, figure + ".judge_tokens")});
    }
  }
  return "Until the accuracy on validation images was at least " + number(wanted_accuracy) + ":\n\n" +
         table({"run", "steps", "tokens that the judge read"}, rows);
}

std::string gates_table(const Summary& summary, int& met, int& all) {
  std::vector<std::vector<std::string>> rows;
  for (const Gate& gate : all_gates()) {
    const bool is_met = gate.met(summary);
    met += is_met;
    ++all;
    rows.push_back({gate.about, gate.figure, cell(summary, gate.figure),
                    (gate.at_least ? "at least " : "at most ") + number(gate.bound), is_met ? "yes" : "no"});
  }
  return table({"gate", "figure", "measured", "wanted", "met"}, rows);
}

/// A run's name: that of its folder, however the path is written.
std::string run_name(const std::filesystem::path& run) {
  const auto folder = std::filesystem::absolute(run).lexically_normal();
  return folder.has_filename() ? folder.filename().string() : folder.parent_path().filename().string();
}

struct Options {
  std::vector<std::filesystem::path> figures, runs;
  std::filesystem::path summary, out;
};

/// The steps, and the judge's tokens, until a run's validation reached `wanted_accuracy`; nothing if it never did.
void add_speed(Summary& summary, const std::filesystem::path& run) {
  const auto log = run / "run" / "metrics.jsonl";
  const auto accuracy = caprl::read_series(log, "validation.accuracy", "");
  const auto tokens = caprl::read_series(log, "judge_tokens", "").values;
  const auto reached = std::ranges::find_if(accuracy.values, [](double value) { return value >= wanted_accuracy; });
  if (reached == accuracy.values.end()) return;
  const auto steps = static_cast<std::size_t>(accuracy.steps[std::size_t(reached - accuracy.values.begin())]) + 1;
  const std::string name = "to_accuracy." + run_name(run);
  summary.add(name + ".steps", static_cast<double>(steps));
  summary.add(name + ".judge_tokens", std::accumulate(tokens.begin(), tokens.begin() + std::ptrdiff_t(steps), 0.0));
}

/// Of several runs of a medium the first one's speed counts, and the largest difference.
void add_run(Summary& summary, const Summary& run) {
  for (const std::string& name : run.names()) {
    const double value = run.at(name);
    const double before = summary.has(name) ? summary.at(name) : value;
    summary.add(name, name.ends_with("logprob.max_difference") ? std::max(before, value) : before);
  }
}

/// All figures; of runs those of speed and numbers, for what they measured is of few items.
Summary all_figures(const Options& options) {
  Summary summary;
  for (const auto& run : options.runs) {
    add_run(summary, run_figures(Summary::load(run / "summary.json")));
    add_speed(summary, run);
  }
  for (const auto& file : options.figures) summary.add(Summary::load(file));
  add_overall_run_figures(summary);
  return summary;
}

void run(const Options& options) {
  const Summary summary = all_figures(options);
  std::set<std::string> given;
  for (const auto& folder : options.runs) given.insert(run_name(folder));
  if (!options.summary.empty()) summary.save(options.summary);
  int met = 0, all = 0;
  const std::string gates = gates_table(summary, met, all);
  const std::string text =
      "# Results\n\nWritten by `examples/reproduce.sh` on the example world's held-out images and clips of at least 8 "
      "seconds: means with 95 %\nbootstrap intervals over items. [metrics.md](metrics.md) says what the names "
      "mean.\n\n## Captions of images\n\n" +
      images_table(summary) + "## Captions of videos\n\n" + videos_table(summary) + "## Gates\n\n" +
      std::to_string(met) + " of " + std::to_string(all) +
      " are met. Figures that end in .low and .high are the bounds of intervals.\n\n" + gates + "## Judges\n\n" +
      judges_table(summary) + speed_table(summary, given);
  caprl::write_file_atomically(options.out, text.substr(0, text.size() - 1));
  std::printf("%d of %d gates are met: %s\n", met, all, options.out.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Writes the tables of docs/results.md from the figures of reproduce.sh.");
  app.add_option("--figures", options.figures, "What measure, leaks, check_judge and compare_judges wrote")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--runs", options.runs, "Folders of runs, of which the speed is taken")->check(CLI::ExistingDirectory);
  app.add_option("--summary", options.summary, "summary.json to write, with all figures");
  app.add_option("--out", options.out, "Markdown file to write")->required();
  return run_program(argc, argv, app, [&] { run(options); });
}
