/// Writes the tables of docs/results.md from the figures of reproduce.sh, and says which of its gates are met.
///
///     results --summary build/reproduce/summary.json --out docs/results.md
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/io/atomic_file.hpp"
#include "support/program.hpp"
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

const std::vector<std::string> runs = {"seed1", "seed2", "seed3", "base2"};
const std::vector<std::string> samplings = {"", "greedy."};

void add_gates_of_run(std::vector<Gate>& gates, const std::string& which) {
  const std::string of = which + ": ";
  for (const std::string reader : {"", "second_judge.", "grammar."}) {
    gates.push_back({of + "accuracy", "image.accuracy." + reader + which + ".low", 0.80});
    gates.push_back({of + "gain of accuracy", "image.accuracy." + reader + "gain." + which + ".low", 0.25});
  }
  gates.push_back({of + "gain of recall", "image.recall.gain." + which + ".low", 0.20});
  gates.push_back({of + "precision", "image.precision." + which + ".low", 0.85});
  gates.push_back({of + "gain of precision", "image.precision.gain." + which + ".low", -0.03});
}

std::vector<Gate> image_gates() {
  std::vector<Gate> gates = {{"judge, from the truth", "image.accuracy.truth.low", 0.95},
                             {"judge abstains without the fact", "judge.image.removed_abstained", 0.80},
                             {"judge follows a false fact", "judge.image.replaced_followed", 0.90},
                             {"second judge abstains without the fact", "judge.image.second.removed_abstained", 0.80},
                             {"second judge follows a false fact", "judge.image.second.replaced_followed", 0.90}};
  for (const std::string& run : runs) {
    for (const std::string& sampling : samplings) add_gates_of_run(gates, sampling + "trained." + run);
  }
  for (const std::string leak : {"blind", "swapped", "other_media", "constant", "questions"}) {
    gates.push_back({"leak above chance: " + leak, "leak.image." + leak + ".high", 0.05, false});
  }
  for (const std::string control : {"permuted", "other_item"}) {
    gates.push_back({"gain of control: " + control, "image.accuracy.gain.control." + control + ".high", 0.03, false});
  }
  return gates;
}

std::string captions_table(const Summary& summary) {
  std::vector<std::string> names = {"base", "greedy.base", "base2", "greedy.base2"};
  for (const std::string& run : runs) {
    for (const std::string& sampling : samplings) names.push_back(sampling + "trained." + run);
  }
  for (const std::string other : {"best_of_64", "sft_dense", "greedy.sft_dense", "trained.no_penalty",
                                   "control.permuted", "control.other_item", "control.length", "truth"}) {
    names.push_back(other);
  }
  std::vector<std::vector<std::string>> rows;
  for (const std::string& name : names) {
    rows.push_back({name, cell(summary, "image.accuracy." + name), cell(summary, "image.accuracy.second_judge." + name),
                    cell(summary, "image.accuracy.grammar." + name), cell(summary, "image.recall." + name),
                    cell(summary, "image.precision." + name), cell(summary, "image.caption_tokens." + name)});
  }
  return table({"captions", "accuracy", "second judge", "grammar", "recall", "precision", "tokens"}, rows);
}

std::string gates_table(const Summary& summary, int& met, int& all) {
  std::vector<std::vector<std::string>> rows;
  for (const Gate& gate : image_gates()) {
    const bool is_met = gate.met(summary);
    met += is_met;
    ++all;
    rows.push_back({gate.about, gate.figure, cell(summary, gate.figure),
                    (gate.at_least ? "at least " : "at most ") + number(gate.bound), is_met ? "yes" : "no"});
  }
  return table({"gate", "figure", "measured", "wanted", "met"}, rows);
}

void run(const std::filesystem::path& file, const std::filesystem::path& out) {
  const Summary summary = Summary::load(file);
  int met = 0, all = 0;
  const std::string gates = gates_table(summary, met, all);
  const std::string text =
      "# Results\n\nWritten by `examples/reproduce.sh` on the example world's held-out images: means with 95 % "
      "bootstrap "
      "intervals over\nimages. [metrics.md](metrics.md) says what the names mean.\n\n## Captions\n\n" +
      captions_table(summary) + "## Gates\n\n" + std::to_string(met) + " of " + std::to_string(all) +
      " are met; each is held against the bound of the interval.\n\n" + gates;
  caprl::write_file_atomically(out, text.substr(0, text.size() - 1));
  std::printf("%d of %d gates are met: %s\n", met, all, out.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  std::filesystem::path summary, out;
  CLI::App app("Writes the tables of docs/results.md from the figures of reproduce.sh.");
  app.add_option("--summary", summary, "summary.json")->required()->check(CLI::ExistingFile);
  app.add_option("--out", out, "Markdown file to write")->required();
  return run_program(argc, argv, app, [&] { run(summary, out); });
}
