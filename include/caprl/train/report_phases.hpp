#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include "caprl/advantage/statistics.hpp"
#include "caprl/train/report_chart.hpp"

namespace caprl::detail {

/// Means of at most `bins` equal runs of steps.
inline std::vector<double> binned(const std::vector<double>& values, std::size_t bins) {
  bins = std::min(bins, values.size());
  std::vector<double> means;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    const std::size_t begin = values.size() * bin / bins, end = values.size() * (bin + 1) / bins;
    means.push_back(std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(begin),
                                    values.begin() + static_cast<std::ptrdiff_t>(end), 0.0) /
                    static_cast<double>(end - begin));
  }
  return means;
}

/// Stacked columns of seconds over steps.
inline std::string phase_columns(const std::vector<ReportPhase>& phases) {
  std::vector<std::vector<double>> columns;
  for (const ReportPhase& phase : phases) columns.push_back(binned(phase.seconds, 48));
  const std::size_t bins = columns.front().size();
  std::vector<double> totals(bins, 0.0);
  for (const auto& column : columns) {
    for (std::size_t bin = 0; bin < bins; ++bin) totals[bin] += column[bin];
  }
  const double highest = bins == 0 ? 0 : *std::max_element(totals.begin(), totals.end());
  const Plot plot{.x = {0, static_cast<double>(phases.front().seconds.size()), 0},
                  .y = round_axis(0, highest > 0 ? highest : 1, 4)};
  const double slot = (Plot::width - Plot::left - Plot::right) / static_cast<double>(std::max<std::size_t>(bins, 1));
  std::string svg = chart_grid(plot, false);
  for (std::size_t bin = 0; bin < bins; ++bin) {
    double below = 0;
    for (std::size_t phase = 0; phase < phases.size(); ++phase) {
      const double top = plot.at_y(below + columns[phase][bin]), height = plot.at_y(below) - top;
      below += columns[phase][bin];
      if (!(height > 0)) continue;
      svg += "<rect class=\"f" + std::to_string(phase % 6 + 1) + "\" x=\"" +
             coordinate(Plot::left + static_cast<double>(bin) * slot) + "\" y=\"" + fixed(top, 2) + "\" width=\"" +
             fixed(std::max(slot * 0.86, slot - 1.5), 2) + "\" height=\"" + fixed(height, 2) + "\"/>";
    }
  }
  return "<svg viewBox=\"0 0 330 190\" role=\"img\" aria-label=\"Seconds per step\">" + svg + "</svg>";
}

/// A card with the seconds of each phase over steps, and each phase's mean and share. Throws Error unless all phases
/// have as many steps.
inline std::string phases_card(const std::vector<ReportPhase>& phases) {
  double total = 0;
  for (const ReportPhase& phase : phases) {
    if (phase.seconds.size() != phases.front().seconds.size()) {
      throw Error("[report] expected as many steps of phase " + phase.name + " as of " + phases.front().name);
    }
    total += mean_of(phase.seconds);
  }
  std::string legend;
  for (std::size_t i = 0; i < phases.size(); ++i) {
    const double mean = mean_of(phases[i].seconds);
    const std::string share = total > 0 ? shown_number(mean / total, true) : "n/a";
    legend += element("span", "key",
                      element("i", "b" + std::to_string(i % 6 + 1), "") + html_text(phases[i].name) + " " +
                          element("b", "", share) + " " + shown_number(mean, false) + "\u2009s");
  }
  return element("figure", "card",
                 element("h3", "", "Seconds per step") +
                     element("p", "about",
                             "Where the time of a step goes, on average " + shown_number(total, false) + "\u2009s.") +
                     element("div", "legend", legend) + phase_columns(phases));
}

}  // namespace caprl::detail
