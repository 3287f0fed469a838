#pragma once

#include <algorithm>
#include <string>

#include "caprl/train/report_content.hpp"
#include "caprl/train/report_html.hpp"

namespace caprl::detail {

/// The value and, beneath, its interval: as a band on a scale from 0 to 1, and in numbers.
inline std::string interval_cell(const std::optional<Interval>& cell) {
  if (!cell) return "<td class=\"none\">\u2013</td>";
  const auto number = [](double value) { return fixed(100 * value, 1); };
  const auto clamped = [](double value) { return 100 * std::clamp(value, 0.0, 1.0); };
  const bool has_interval = cell->low < cell->high;
  const double low = clamped(has_interval ? cell->low : cell->value);
  const double high = clamped(has_interval ? cell->high : cell->value);
  std::string html = element("b", "", number(cell->value) + "\u2009%") +
                     "<span class=\"scale\"><i style=\"width:" + fixed(clamped(cell->value), 2) +
                     "%\"></i><u style=\"left:" + fixed(low, 2) + "%;width:" + fixed(high - low, 2) + "%\"></u></span>";
  if (has_interval) html += element("small", "", number(cell->low) + " \u2013 " + number(cell->high));
  return element("td", "", html);
}

inline std::string table_card(const ReportTable& table) {
  std::string head = "<th></th>", body;
  for (const std::string& column : table.columns) head += element("th", "", html_text(column));
  for (const ReportRow& row : table.rows) {
    if (row.cells.size() != table.columns.size()) {
      throw Error("[report] expected as many cells in row " + row.name + " as the table has columns");
    }
    std::string cells = element("th", "", html_text(row.name));
    for (const auto& cell : row.cells) cells += interval_cell(cell);
    body += element("tr", "", cells);
  }
  return element(
      "div", "card",
      text_element("h3", "", table.title) + text_element("p", "about", table.about) +
          element("div", "scroll",
                  element("table", "", element("thead", "", element("tr", "", head)) + element("tbody", "", body))));
}

}  // namespace caprl::detail
