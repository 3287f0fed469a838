#pragma once

#include <filesystem>
#include <string>

#include "caprl/io/atomic_file.hpp"
#include "caprl/train/report_chart.hpp"
#include "caprl/train/report_content.hpp"
#include "caprl/train/report_gallery.hpp"
#include "caprl/train/report_html.hpp"
#include "caprl/train/report_phases.hpp"
#include "caprl/train/report_style.hpp"
#include "caprl/train/report_table.hpp"

namespace caprl {

namespace detail {

inline std::string headline_card(const ReportHeadline& headline) {
  std::string value = shown_number(headline.after, headline.percent);
  if (headline.before) value = element("s", "", shown_number(*headline.before, headline.percent)) + value;
  return element("div", "card head",
                 text_element("div", "name", headline.name) + element("div", "value", value) +
                     text_element("div", "note", headline.note));
}

inline std::string headlines_section(const Report& report) {
  std::string cards;
  for (const ReportHeadline& headline : report.headlines) cards += headline_card(headline);
  return cards.empty() ? cards : element("section", "heads", cards);
}

inline std::string gallery_section(const ReportGallery& gallery) {
  std::string cards;
  for (const ReportGalleryItem& item : gallery.items) cards += gallery_card(item);
  if (cards.empty()) return cards;
  const std::string help =
      element("p", "help",
              "The judge\u2019s probability of each option in percent:<i style=\"background:var(--was)\"></i>"
              "before<i style=\"background:var(--accent)\"></i>after");
  return element("section", "",
                 text_element("h2", "", gallery.title) + text_element("p", "about", gallery.about) + help +
                     element("div", "stack", cards));
}

inline std::string tables_section(const Report& report) {
  std::string cards;
  for (const ReportTable& table : report.tables) cards += table_card(table);
  return cards.empty() ? cards : element("section", "", element("h2", "", "Results") + element("div", "stack", cards));
}

inline std::string charts_section(const Report& report) {
  std::string cards;
  for (const ReportChart& chart : report.charts) cards += chart_card(chart);
  if (!report.phases.empty()) cards += phases_card(report.phases);
  if (cards.empty()) return cards;
  return element("section", "",
                 element("h2", "", "Training") +
                     element("p", "about", "Over steps. Faint lines are single steps, strong ones moving averages.") +
                     element("div", "grid3", cards));
}

}  // namespace detail

/// The report as one HTML page that needs nothing else: no script, no font, no file. All texts are escaped.
inline std::string report_html(const Report& report) {
  std::string body = detail::element(
      "header", "", detail::text_element("h1", "", report.title) + detail::text_element("p", "lead", report.about));
  body += detail::headlines_section(report);
  for (const ReportGallery& gallery : report.galleries) body += detail::gallery_section(gallery);
  body += detail::tables_section(report) + detail::charts_section(report);
  body += detail::text_element("footer", "", report.footer);
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>" +
         detail::html_text(report.title) + "</title><style>" + detail::report_style + "</style></head><body><main>" +
         body + "</main></body></html>\n";
}

/// Writes the report in one step. Throws Error naming the file.
inline void write_report(const std::filesystem::path& path, const Report& report) {
  write_file_atomically(path, report_html(report));
}

}  // namespace caprl
