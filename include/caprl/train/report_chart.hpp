#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "caprl/train/report_content.hpp"
#include "caprl/train/report_html.hpp"

namespace caprl::detail {

/// A linear axis with round ticks.
struct Axis {
  double low = 0;
  double high = 1;
  double step = 0.25;
};

/// An axis over [low, high], widened to ticks at multiples of 1, 2, 2.5 or 5 times a power of ten.
inline Axis round_axis(double low, double high, int intervals) {
  if (!(high > low)) {
    const double pad = low == 0 ? 0.5 : std::abs(low) * 0.1;
    low -= pad;
    high += pad;
  }
  const double raw = (high - low) / intervals;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.5, 2.0, 1.0}) {
    if (factor * power >= raw * 0.999) step = factor * power;
  }
  return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
}

/// The drawing area of a chart, in the units of its view box.
struct Plot {
  static constexpr double width = 330, height = 190, left = 40, right = 10, top = 8, bottom = 24;
  Axis x, y;

  double at_x(double value) const { return left + (value - x.low) / (x.high - x.low) * (width - left - right); }
  double at_y(double value) const {
    return height - bottom - (value - y.low) / (y.high - y.low) * (height - top - bottom);
  }
};

inline std::string tick_text(double value, const Axis& axis, bool percent) {
  const double size = percent ? 100 * axis.step : axis.step;
  const double shown = (std::abs(value) < 1e-9 * axis.step ? 0 : value) * (percent ? 100 : 1);
  if (!percent && std::abs(value) >= 10000) return fixed(value / 1000, axis.step < 1000 ? 1 : 0) + "k";
  int decimals = 0;
  for (double rest = size; decimals < 6 && std::abs(rest - std::round(rest)) > 1e-6 * rest; rest *= 10) ++decimals;
  return fixed(shown, decimals) + (percent ? "\u2009%" : "");
}

inline std::string svg_text(double x, double y, const std::string& css_class, const std::string& text) {
  return "<text x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\" class=\"" + css_class + "\">" +
         html_text(text) + "</text>";
}

/// Hairlines and labels of the horizontal ticks, and labels of the steps below.
inline std::string chart_grid(const Plot& plot, bool percent) {
  std::string svg;
  for (double value = plot.y.low; value <= plot.y.high + plot.y.step / 2; value += plot.y.step) {
    const std::string y = coordinate(plot.at_y(value));
    svg += "<path class=\"grid\" d=\"M" + coordinate(Plot::left) + " " + y + "H" +
           coordinate(Plot::width - Plot::right) + "\"/>";
    svg += svg_text(Plot::left - 7, plot.at_y(value) + 3.5, "tick end", tick_text(value, plot.y, percent));
  }
  const Axis ticks = round_axis(plot.x.low, plot.x.high, 4);
  for (double value = ticks.low; value <= plot.x.high + ticks.step * 1e-6; value += ticks.step) {
    if (value < plot.x.low - ticks.step * 1e-6) continue;
    const bool last = plot.at_x(value) > Plot::width - Plot::right - 8;
    svg += svg_text(plot.at_x(value) + (last ? Plot::right : 0), Plot::height - 7, last ? "tick end" : "tick middle",
                    tick_text(value, ticks, false));
  }
  return svg;
}

/// A moving average over the finite values within `radius` on each side.
inline std::vector<double> smoothed(const std::vector<double>& values, std::size_t radius) {
  std::vector<double> result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t begin = i - std::min(radius, i), end = std::min(i + radius + 1, values.size());
    double sum = 0, count = 0;
    for (std::size_t j = begin; j < end; ++j) {
      if (!std::isfinite(values[j])) continue;
      sum += values[j];
      ++count;
    }
    result[i] = std::isfinite(values[i]) ? sum / count : values[i];
  }
  return result;
}

/// The path through the finite points; a gap begins a new stretch.
inline std::string line_path(const Plot& plot, const std::vector<double>& steps, const std::vector<double>& values) {
  std::string path;
  bool pen_down = false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      pen_down = false;
      continue;
    }
    path += (pen_down ? "L" : "M") + coordinate(plot.at_x(steps[i])) + " " + coordinate(plot.at_y(values[i]));
    pen_down = true;
  }
  return path;
}

inline std::string svg_path(const std::string& css_class, const std::string& path) {
  return path.empty() ? path : "<path class=\"" + css_class + "\" d=\"" + path + "\"/>";
}

/// Dots would run into each other.
inline bool has_many_points(const ReportSeries& series) { return series.values.size() > 30; }

/// The values as a line shows them: smoothed if there are many.
inline std::vector<double> shown_values(const ReportSeries& series) {
  return has_many_points(series) ? smoothed(series.values, series.values.size() / 24 + 1) : series.values;
}

/// One series: many points as a faint line under a smooth one, few as a line with a dot that tells its value.
inline std::string series_lines(const Plot& plot, const ReportSeries& series, std::size_t colour, bool percent) {
  const std::string number = std::to_string(colour % 6 + 1);
  if (has_many_points(series)) {
    return svg_path("faint s" + number, line_path(plot, series.steps, series.values)) +
           svg_path("line s" + number, line_path(plot, series.steps, shown_values(series)));
  }
  std::string svg = svg_path("line s" + number, line_path(plot, series.steps, series.values));
  for (std::size_t i = 0; i < series.values.size(); ++i) {
    if (!std::isfinite(series.values[i])) continue;
    svg += "<circle class=\"dot f" + number + "\" r=\"3\" cx=\"" + coordinate(plot.at_x(series.steps[i])) + "\" cy=\"" +
           coordinate(plot.at_y(series.values[i])) + "\"><title>" +
           html_text(series.name + ", step " + fixed(series.steps[i], 0) + ": " +
                     shown_number(series.values[i], percent)) +
           "</title></circle>";
  }
  return svg;
}

/// The first and last finite value of a series, smoothed if it has many points: "0.46 → 0.84".
inline std::string from_to(const ReportSeries& series, bool percent) {
  const auto values = shown_values(series);
  const auto finite = [](double value) { return std::isfinite(value); };
  const auto first = std::find_if(values.begin(), values.end(), finite);
  const auto last = std::find_if(values.rbegin(), values.rend(), finite);
  if (first == values.end()) return "n/a";
  if (first == last.base() - 1) return shown_number(*first, percent);
  return shown_number(*first, percent) + " \u2192 " + shown_number(*last, percent);
}

inline Plot plot_of(const ReportChart& chart) {
  double x_low = INFINITY, x_high = -INFINITY, low = INFINITY, high = -INFINITY;
  if (chart.percent) {
    low = std::min(low, 0.0);
    high = std::max(high, 1.0);
  }
  for (const ReportSeries& series : chart.series) {
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      if (!std::isfinite(series.values[i])) continue;
      x_low = std::min(x_low, series.steps[i]);
      x_high = std::max(x_high, series.steps[i]);
      low = std::min(low, series.values[i]);
      high = std::max(high, series.values[i]);
    }
  }
  if (!std::isfinite(x_low)) x_low = 0, x_high = 1;
  if (!std::isfinite(low) || !std::isfinite(high)) low = 0, high = 1;
  if (x_low == x_high) x_high = x_low + 1;
  return {.x = {x_low, x_high, 0}, .y = round_axis(low, high, 4)};
}

/// A card with one chart.
inline std::string chart_card(const ReportChart& chart) {
  const Plot plot = plot_of(chart);
  std::string legend, lines;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const ReportSeries& series = chart.series[i];
    if (series.steps.size() != series.values.size()) {
      throw Error("[report] expected as many steps as values of series " + series.name);
    }
    legend += element("span", "key",
                      element("i", "b" + std::to_string(i % 6 + 1), "") + html_text(series.name) + " " +
                          element("b", "", from_to(series, chart.percent)));
    lines += series_lines(plot, series, i, chart.percent);
  }
  const std::string svg = "<svg viewBox=\"0 0 " + fixed(Plot::width, 0) + " " + fixed(Plot::height, 0) +
                          "\" role=\"img\" aria-label=\"" + html_text(chart.title) + "\">" +
                          chart_grid(plot, chart.percent) + lines + "</svg>";
  return element("figure", "card",
                 text_element("h3", "", chart.title) + text_element("p", "about", chart.about) +
                     element("div", "legend", legend) + svg);
}

}  // namespace caprl::detail
