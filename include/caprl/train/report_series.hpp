#pragma once

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "caprl/io/jsonl.hpp"
#include "caprl/train/report_content.hpp"

namespace caprl {

/// The values of `field` in a run's metrics.jsonl or timings.jsonl, for a chart; steps without the field are left out.
/// Throws Error with the file and line.
inline ReportSeries read_series(const std::filesystem::path& log, const std::string& field, std::string name) {
  ReportSeries series{.name = std::move(name), .steps = {}, .values = {}};
  for_each_json_line(log, [&](const Json& json, const std::string& where) {
    const JsonFields line(json, where);
    if (!line.has(field)) return;
    series.steps.push_back(line.get<double>("step"));
    const bool is_text = line.raw(field).is_string();  // "nan", "inf"
    series.values.push_back(is_text ? std::numeric_limits<double>::quiet_NaN() : line.get<double>(field));
  });
  return series;
}

}  // namespace caprl
