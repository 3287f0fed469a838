#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "caprl/core/index.hpp"

namespace caprl {

/// A time that a caption gives: "[mm:ss]" or "[mm:ss - mm:ss]".
struct TimeStamp {
  Index start_seconds = 0;
  Index end_seconds = 0;  ///< equal to the start for "[mm:ss]"
  bool legal = false;     ///< seconds 0 to 59, minutes up to 599, the end not before the start

  friend bool operator==(const TimeStamp&, const TimeStamp&) = default;
};

namespace detail {

/// Reads a stamp piece by piece from the front of a text.
class StampReader {
 public:
  explicit StampReader(std::string_view text) : text_(text) {}

  bool skip(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void skip_spaces() {
    while (!text_.empty() && std::string_view(" \t\n\r\f\v").find(text_.front()) != std::string_view::npos)
      skip(text_[0]);
  }
  /// Between `least` and `most` digits as a number.
  std::optional<Index> number(std::size_t least, std::size_t most) {
    Index value = 0;
    std::size_t digits = 0;
    for (; digits < most && !text_.empty() && text_.front() >= '0' && text_.front() <= '9'; ++digits) {
      value = 10 * value + (text_.front() - '0');
      text_.remove_prefix(1);
    }
    return digits < least ? std::nullopt : std::optional<Index>(value);
  }
  std::string_view rest() const { return text_; }

 private:
  std::string_view text_;
};

struct ClockTime {
  Index minutes = 0, seconds = 0;
  bool legal() const { return seconds <= 59 && minutes <= 599; }
  Index total() const { return 60 * minutes + seconds; }
};

inline std::optional<ClockTime> read_clock_time(StampReader& reader) {
  const auto minutes = reader.number(1, 3);
  if (!minutes || !reader.skip(':')) return std::nullopt;
  const auto seconds = reader.number(2, 2);
  if (!seconds) return std::nullopt;
  return ClockTime{*minutes, *seconds};
}

inline std::optional<TimeStamp> read_time_stamp(StampReader& reader) {
  if (!reader.skip('[')) return std::nullopt;
  const auto start = read_clock_time(reader);
  if (!start) return std::nullopt;
  auto end = start;
  if (!reader.skip(']')) {
    reader.skip_spaces();
    if (!reader.skip('-')) return std::nullopt;
    reader.skip_spaces();
    end = read_clock_time(reader);
    if (!end || !reader.skip(']')) return std::nullopt;
  }
  const bool legal = start->legal() && end->legal() && start->total() <= end->total();
  return TimeStamp{start->total(), end->total(), legal};
}

}  // namespace detail

/// All stamps of a text in order, legal or not: one to three digits, a colon, two digits, in square brackets, alone or
/// as a span with a hyphen. What the published reward finds (CapRL++, serve_rm.py).
inline std::vector<TimeStamp> find_time_stamps(std::string_view text) {
  std::vector<TimeStamp> stamps;
  for (std::size_t at = text.find('['); at != std::string_view::npos; at = text.find('[', at + 1)) {
    detail::StampReader reader(text.substr(at));
    if (const auto stamp = detail::read_time_stamp(reader)) stamps.push_back(*stamp);
  }
  return stamps;
}

}  // namespace caprl
