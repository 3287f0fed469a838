#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "caprl/media/read_image.hpp"
#include "caprl/train/report.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

namespace {

const std::string bad_text = "<script>alert('x')</script> & \"quotes\" \xff \x01";

Report full_report() {
  Report report;
  report.title = "Title " + bad_text;
  report.about = bad_text;
  report.headlines = {{"accuracy", 0.5, 0.75, true, bad_text}};
  ReportSeries series{.name = bad_text, .steps = {}, .values = {}};
  for (int step = 0; step < 100; ++step) {
    series.steps.push_back(step);
    series.values.push_back(step == 50 ? std::nan("") : 0.01 * step);
  }
  report.charts.push_back({.title = bad_text, .about = bad_text, .series = {series}});
  report.phases = {{bad_text, {1, 2, 3}}, {"update", {2, 2, 2}}};
  report.tables.push_back({.title = bad_text,
                           .about = bad_text,
                           .columns = {bad_text, "b"},
                           .rows = {{bad_text, {Interval{0.5, 0.4, 0.6}, std::nullopt}}}});
  Image image(2, 3);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(13 * i);
  const ReportQuestion question{bad_text, {bad_text, "two"}, 1, {0.25, 0.5}, {0.05, std::nan("")}};
  report.galleries.push_back({bad_text, bad_text, {{bad_text, {{image, bad_text}}, bad_text, bad_text, {question}}}});
  report.footer = bad_text;
  return report;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

std::string decode_base64(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned word = 0, bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    word = word << 6 | static_cast<unsigned>(digits.find(c));
    bits += 6;
    if (bits >= 8) bytes += static_cast<char>(word >> (bits -= 8) & 255);
  }
  return bytes;
}

}  // namespace

TEST_CASE("a report escapes every text and needs nothing else") {
  const std::string html = report_html(full_report());
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find('\xff') == std::string::npos);
  CHECK(html.find('\x01') == std::string::npos);
  CHECK(count(html, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;quotes&quot;") >= 15);
  for (const char* outside : {"http:", "https:", "@import", "<link"}) CHECK(html.find(outside) == std::string::npos);
  CHECK(html.find("nan") == std::string::npos);
  CHECK(html.find("inf") == std::string::npos);
}

TEST_CASE("every tag that is opened is closed") {
  const std::string html = report_html(full_report());
  for (const char* tag :
       {"html", "head", "style", "body",  "main",  "header", "section", "article", "figure", "div",       "p",
        "span", "b",    "i",     "u",     "s",     "em",     "small",   "h1",      "h2",     "h3",        "h4",
        "svg",  "text", "table", "thead", "tbody", "tr",     "td",      "th",      "footer", "figcaption"}) {
    const std::string name = tag;
    CAPTURE(name);
    CHECK(count(html, "<" + name + ">") + count(html, "<" + name + " ") == count(html, "</" + name + ">"));
  }
}

TEST_CASE("parts that are empty are left out") {
  Report report;
  report.title = "Nothing yet";
  const std::string html = report_html(report);
  CHECK(count(html, "<section") == 0);
  CHECK(count(html, "<footer") == 0);
}

TEST_CASE("pictures come back from the page with the same pixels") {
  const std::string html = report_html(full_report());
  const std::string mark = "data:image/png;base64,";
  const auto begin = html.find(mark) + mark.size();
  const std::string png = decode_base64(html.substr(begin, html.find('"', begin) - begin));
  const Image image = decode_image(
      std::span<const std::uint8_t>(reinterpret_cast<const std::uint8_t*>(png.data()), png.size()), "report");
  CHECK(image.height == 2);
  CHECK(image.width == 3);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) CHECK(image.rgb[i] == 13 * i % 256);
}

TEST_CASE("base64 agrees with the examples of RFC 4648") {
  const std::map<std::string, std::string> examples{{"", ""},
                                                    {"f", "Zg=="},
                                                    {"fo", "Zm8="},
                                                    {"foo", "Zm9v"},
                                                    {"foob", "Zm9vYg=="},
                                                    {"fooba", "Zm9vYmE="},
                                                    {"foobar", "Zm9vYmFy"}};
  for (const auto& [text, code] : examples) CHECK(detail::base64(text) == code);
}

TEST_CASE("axes are round and hold the values") {
  for (const double low : {-3.7, 0.0, 0.012, 1234.0}) {
    for (const double width : {1e-6, 0.3, 1.0, 17.0, 5e5}) {
      const detail::Axis axis = detail::round_axis(low, low + width, 4);
      CHECK(axis.low <= low + 1e-9 * axis.step);
      CHECK(axis.high >= low + width - 1e-9 * axis.step);
      CHECK(axis.high - axis.low <= 6.01 * axis.step);
      CHECK(axis.high - axis.low >= 1.99 * axis.step);
    }
  }
  CHECK(detail::round_axis(5, 5, 4).high > detail::round_axis(5, 5, 4).low);
  CHECK(detail::tick_text(0.25, {0, 1, 0.25}, true) == "25\u2009%");
  CHECK(detail::tick_text(0.025, {0, 1, 0.025}, false) == "0.025");
  CHECK(detail::tick_text(-0.0, {0, 1, 0.5}, false) == "0.0");
  CHECK(detail::tick_text(15000, {0, 20000, 5000}, false) == "15k");
}

TEST_CASE("numbers are shown with three figures") {
  CHECK(detail::shown_number(0.4567, true) == "46\u2009%");
  CHECK(detail::shown_number(0.0456, true) == "4.6\u2009%");
  CHECK(detail::shown_number(0.4567, false) == "0.457");
  CHECK(detail::shown_number(45.67, false) == "45.7");
  CHECK(detail::shown_number(4567, false) == "4567");
  CHECK(detail::shown_number(1.5e-5, false) == "1.5e-05");
  CHECK(detail::shown_number(std::nan(""), true) == "n/a");
}

TEST_CASE("words that are new are marked, unless little is shared") {
  CHECK(detail::marked_caption("A red ball.", "A large red ball and a cube.") ==
        "A <mark>large</mark> red ball <mark>and a cube.</mark>");
  CHECK(detail::marked_caption("A red ball.", "Nothing here & there.") == "Nothing here &amp; there.");
  CHECK(detail::marked_caption("", "A ball.") == "A ball.");
  CHECK(detail::marked_caption("A ball.", "") == "");
}

TEST_CASE("a chart of one point, of no finite point and of no point is drawn") {
  const auto chart = [](std::vector<double> steps, std::vector<double> values) {
    return detail::chart_card({.title = "t", .about = "", .series = {{"s", std::move(steps), std::move(values)}}});
  };
  CHECK(count(chart({3}, {0.5}), "<circle") == 1);
  CHECK(count(chart({3}, {std::nan("")}), "<circle") == 0);
  CHECK(chart({}, {}).find("nan") == std::string::npos);
  CHECK(fails_with([&] { chart({1, 2}, {1}); }, "expected as many steps as values of series s"));
}

TEST_CASE("reports that do not fit together are errors") {
  Report report = full_report();
  report.phases[1].seconds.pop_back();
  CHECK(fails_with([&] { report_html(report); }, "expected as many steps of phase update"));
  report = full_report();
  report.tables[0].rows[0].cells.pop_back();
  CHECK(fails_with([&] { report_html(report); }, "expected as many cells in row"));
  report = full_report();
  report.galleries[0].items[0].pictures[0].image = Image();
  CHECK(fails_with([&] { report_html(report); }, "an image with pixels"));
  const TemporaryFolder folder;
  CHECK(fails_with([&] { write_report(folder / "absent/report.html", report); }, "an image with pixels"));
  CHECK(fails_with([&] { write_report(folder / "absent/report.html", full_report()); }, "No such file", "report.html"));
  write_report(folder / "report.html", full_report());
  CHECK(content_of(folder / "report.html") == report_html(full_report()));
}
