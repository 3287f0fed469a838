#pragma once

#include <optional>
#include <string>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/evaluate/bootstrap.hpp"
#include "caprl/media/image.hpp"

namespace caprl {

/// Values over steps. Values that are not finite leave a gap.
struct ReportSeries {
  std::string name;
  std::vector<double> steps;
  std::vector<double> values;
};

/// One line chart.
struct ReportChart {
  std::string title;
  std::string about;  ///< one line under the title; may be empty
  std::vector<ReportSeries> series;
  bool percent = false;  ///< values are shares, shown as percentages on an axis that holds 0 and 1
};

/// How long one phase of a step took.
struct ReportPhase {
  std::string name;
  std::vector<double> seconds;  ///< [steps]
};

/// A figure at the top of the page.
struct ReportHeadline {
  std::string name;
  std::optional<double> before;
  double after = 0;
  bool percent = false;
  std::string note;  ///< one line; may be empty
};

struct ReportRow {
  std::string name;
  std::vector<std::optional<Interval>> cells;  ///< [columns]
};

/// A table of shares, shown as percentages with their intervals drawn.
struct ReportTable {
  std::string title;
  std::string about;
  std::vector<std::string> columns;
  std::vector<ReportRow> rows;
};

/// An image, or a frame with its time.
struct ReportPicture {
  Image image;
  std::string label;
};

/// A question with the judge's probability of each option, before and after training. Probabilities may be empty.
struct ReportQuestion {
  std::string text;
  std::vector<std::string> options;
  Index gold = 0;
  std::vector<double> before;  ///< [options]
  std::vector<double> after;   ///< [options]
};

/// A held-out item.
struct ReportGalleryItem {
  std::string title;
  std::vector<ReportPicture> pictures;
  std::string caption_before;
  std::string caption_after;
  std::vector<ReportQuestion> questions;
};

struct ReportGallery {
  std::string title;
  std::string about;
  std::vector<ReportGalleryItem> items;
};

/// What a report shows. Parts that are empty are left out.
struct Report {
  std::string title;
  std::string about;
  std::vector<ReportHeadline> headlines;
  std::vector<ReportGallery> galleries;
  std::vector<ReportChart> charts;
  std::vector<ReportPhase> phases;
  std::vector<ReportTable> tables;
  std::string footer;
};

}  // namespace caprl
