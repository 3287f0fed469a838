#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/advantage/statistics.hpp"
#include "caprl/train/report_series.hpp"
#include "support/summary.hpp"

/// How fast a run of reinforcement was, and how well its log-probabilities agreed.
namespace examples {

namespace detail {

inline const std::vector<std::string>& rate_names() {
  static const std::vector<std::string> names = {"tokens_per_second.rollout", "tokens_per_second.training",
                                                 "questions_per_second.judge"};
  return names;
}

}  // namespace detail

/// From the logs of a stage: `name` is "image" or "video".
inline void add_run_figures(Summary& summary, const std::string& name, const std::filesystem::path& run_folder) {
  const auto values = [&](const std::string& log, const std::string& field) {
    return caprl::read_series(run_folder / log, field, field).values;
  };
  double seconds = 0;
  for (const std::string phase : {"rollout", "judge", "update"}) {
    const auto phase_seconds = values("timings.jsonl", "seconds." + phase);
    summary.add(name + ".seconds." + phase, caprl::mean_of(phase_seconds));
    for (const double one : phase_seconds) seconds += one;
  }
  summary.add("seconds." + name + "_rl", seconds);
  for (const std::string& rate : detail::rate_names()) {
    const auto rates = values("timings.jsonl", rate);
    if (!rates.empty()) summary.add(name + "." + rate, caprl::mean_of(rates));  // not every judge counts its answers
  }
  const auto differences = values("metrics.jsonl", "log_probability_difference");
  summary.add(name + ".logprob.max_difference", differences.empty() ? 0.0 : std::ranges::max(differences));
}

/// Over the stages of which there are figures: the largest difference, and the mean rates.
inline void add_overall_run_figures(Summary& summary) {
  std::vector<std::string> stages;
  for (const std::string name : {"image", "video"}) {
    if (summary.has(name + ".logprob.max_difference")) stages.push_back(name);
  }
  const auto of_stages = [&](const std::string& figure) {
    std::vector<double> values;
    for (const std::string& name : stages) {
      if (summary.has(name + "." + figure)) values.push_back(summary.at(name + "." + figure));
    }
    return values;
  };
  if (stages.empty()) return;
  summary.add("logprob.max_difference", std::ranges::max(of_stages("logprob.max_difference")));
  for (const std::string& rate : detail::rate_names()) {
    const auto rates = of_stages(rate);
    if (!rates.empty()) summary.add(rate, caprl::mean_of(rates));
  }
}

/// Of a run's summary only what `add_run_figures` gave.
inline Summary run_figures(const Summary& summary) {
  Summary figures;
  for (const std::string& name : summary.names()) {
    if (name.starts_with("seconds.") || name.find(".seconds.") != std::string::npos ||
        name.find("_per_second.") != std::string::npos || name.ends_with("logprob.max_difference")) {
      figures.add(name, summary.at(name));
    }
  }
  return figures;
}

}  // namespace examples
