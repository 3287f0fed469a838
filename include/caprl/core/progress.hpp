#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "caprl/core/index.hpp"
#include "caprl/core/log.hpp"

namespace caprl {

/// A number to show beside a progress bar.
struct Figure {
  std::string name;  ///< "reward", "tokens/s"
  double value = 0;
  int decimals = 3;
};

/// "45 s", "3 min 05 s", "2 h 10 min".
inline std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  const auto whole = static_cast<Index>(std::llround(seconds));
  const auto two_digits = [](Index number) { return std::to_string(number / 10) + std::to_string(number % 10); };
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return std::to_string(whole / 60) + " min " + two_digits(whole % 60) + " s";
  return std::to_string(whole / 3600) + " h " + two_digits(whole % 3600 / 60) + " min";
}

namespace detail {

/// True for a byte of UTF-8 that goes on with a character that has begun.
constexpr bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// How many places a text takes on a terminal, where each character takes one.
inline Index display_width(std::string_view text) {
  return static_cast<Index>(text.size()) - std::ranges::count_if(text, continues_character);
}

/// The beginning of a text, at most `columns` wide.
inline std::string cut_to_width(std::string text, Index columns) {
  std::size_t end = 0;
  for (Index width = 0; end < text.size(); ++end) {
    if (!continues_character(text[end]) && ++width > columns) break;
  }
  text.resize(end);
  return text;
}

}  // namespace detail

/// Shows how far a job is: a bar with figures and the time left on a terminal, else a plain line at intervals.
///
///     training  ━━━━━━━━━━────────── 120/400  reward 0.512  tokens/s 8120  3 min 05 s left
class Progress {
 public:
  struct Settings {
    std::FILE* out = stdout;
    double line_every_seconds = 15;  ///< between plain lines
    double bar_every_seconds = 0.1;  ///< between redrawings of the bar
  };

  /// `done` of `total` steps are behind a run that goes on; they do not count for the time left.
  Progress(std::string title, Index total, Index done, Settings settings)
      : title_(std::move(title)),
        total_(std::max<Index>(total, 1)),
        first_(done),
        settings_(settings),
        is_terminal_(::isatty(::fileno(settings.out)) != 0) {}
  Progress(std::string title, Index total, Index done = 0) : Progress(std::move(title), total, done, Settings{}) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { end_bar(); }

  /// Says that `done` steps are behind and what the figures are. Shown if it is time, and always at the end.
  void update(Index done, std::span<const Figure> figures = {}) {
    const auto now = Clock::now();
    const double waited = std::chrono::duration<double>(now - shown_).count();
    const bool due = waited >= (is_terminal_ ? settings_.bar_every_seconds : settings_.line_every_seconds);
    if (shown_once_ && !due && done < total_) return;
    shown_once_ = true;
    shown_ = now;
    const double elapsed = std::chrono::duration<double>(now - started_).count();
    if (is_terminal_) {
      const std::string line = bar_line(done, figures, elapsed, terminal_columns());
      std::fputs(("\r\x1b[K" + line).c_str(), settings_.out);
      detail::progress_bar_shown() = true;
    } else {
      std::fputs((plain_line(done, figures, elapsed) + "\n").c_str(), settings_.out);
    }
    std::fflush(settings_.out);
    if (done >= total_) end_bar();
  }
  void update(Index done, std::initializer_list<Figure> figures) {
    update(done, std::span<const Figure>(figures.begin(), figures.size()));
  }

  /// The bar as it is drawn on a terminal of `columns`, which must stay on one line: at most one less wide. Figures
  /// that do not fit are left out, then the bar itself, and then the end is cut off.
  std::string bar_line(Index done, std::span<const Figure> figures, double elapsed, Index columns) const {
    const std::string counts = std::to_string(done) + "/" + std::to_string(total_);
    const std::string tail = "  " + time_text(done, elapsed);
    constexpr Index bar_columns = 20;
    Index room = columns - 1 - detail::display_width(title_ + counts + tail) - 3 - bar_columns;
    const bool fits = room >= 0;
    std::string shown;
    for (const Figure& figure : figures) {
      const std::string text = "  " + figure_text(figure);
      room -= detail::display_width(text);
      if (room < 0) break;
      shown += text;
    }
    const std::string drawn = fits ? bar(done, bar_columns) + " " : "";
    return detail::cut_to_width(title_ + "  " + drawn + counts + shown + tail, columns - 1);
  }

  /// The line for logs.
  std::string plain_line(Index done, std::span<const Figure> figures, double elapsed) const {
    std::string line = title_ + " " + std::to_string(done) + "/" + std::to_string(total_);
    for (const Figure& figure : figures) line += "  " + figure_text(figure);
    return line + "  " + time_text(done, elapsed);
  }

 private:
  using Clock = std::chrono::steady_clock;

  static std::string figure_text(const Figure& figure) {
    std::array<char, 64> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%.*f", figure.decimals, figure.value);
    return figure.name + " " + buffer.data();
  }

  std::string bar(Index done, Index columns) const {
    const Index filled = std::clamp<Index>(done * columns / total_, 0, columns);
    std::string text;
    for (Index i = 0; i < columns; ++i) text += i < filled ? "\u2501" : "\u2500";
    return text;
  }

  std::string time_text(Index done, double elapsed) const {
    if (done >= total_) return "done in " + duration_text(elapsed);
    const Index worked = done - first_;
    if (worked <= 0) return "";
    return duration_text(elapsed / static_cast<double>(worked) * static_cast<double>(total_ - done)) + " left";
  }

  Index terminal_columns() const {
    struct winsize size {};
    const bool known = ::ioctl(::fileno(settings_.out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
  }

  void end_bar() {
    if (detail::progress_bar_shown().exchange(false) && is_terminal_) std::fputs("\n", settings_.out);
  }

  std::string title_;
  Index total_;
  Index first_;
  Settings settings_;
  bool is_terminal_;
  bool shown_once_ = false;
  Clock::time_point started_ = Clock::now();
  Clock::time_point shown_ = started_;
};

}  // namespace caprl
