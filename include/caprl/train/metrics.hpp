#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/io/jsonl.hpp"

namespace caprl {

/// The shortest decimal text that reads back as the same number: equal bits give equal text. Numbers that JSON does not
/// have become the strings "nan", "inf" and "-inf".
template <std::floating_point T>
std::string number_text(T value) {
  if (std::isnan(value)) return "\"nan\"";
  if (std::isinf(value)) return value > 0 ? "\"inf\"" : "\"-inf\"";
  std::array<char, 32> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), result.ptr);
}

/// The figures of one step, in the order in which they were added: one flat JSON object.
class MetricsRow {
 public:
  explicit MetricsRow(Index step) : text_("{\"step\":" + std::to_string(step)) {}

  /// Throws Error for a name that was added before.
  template <class Number>
  requires std::is_arithmetic_v<Number> MetricsRow& add(std::string_view name, Number value) {
    const std::string key = "," + Json(name).dump() + ":";
    if (name == "step" || text_.find(key) != std::string::npos) {
      throw Error("[MetricsRow::add] expected each name once, got " + std::string(name) + " twice");
    }
    text_ += key;
    if constexpr (std::floating_point<Number>) {
      text_ += number_text(value);
    } else if constexpr (std::same_as<Number, bool>) {
      text_ += value ? "true" : "false";
    } else {
      text_ += std::to_string(value);
    }
    return *this;
  }

  std::string json() const { return text_ + "}"; }

 private:
  std::string text_;
};

/// The two logs of a run: `metrics.jsonl`, the same bytes for the same run whether or not it was interrupted, and
/// `timings.jsonl` for what the clock said.
class MetricsLog {
 public:
  /// Goes on in `folder`, which must exist, after `last_step`: later lines of both files are cut off. A new run starts
  /// after step -1.
  MetricsLog(const std::filesystem::path& folder, Index last_step)
      : metrics_(cut(folder / "metrics.jsonl", last_step)), timings_(cut(folder / "timings.jsonl", last_step)) {}

  void record(const MetricsRow& metrics) { metrics_.write_line(metrics.json()); }
  void record_timings(const MetricsRow& timings) { timings_.write_line(timings.json()); }

  /// Waits until all lines are on the disk: before a checkpoint is named, so that none is ahead of its log.
  void sync() {
    metrics_.sync();
    timings_.sync();
  }

 private:
  static std::filesystem::path cut(std::filesystem::path path, Index last_step) {
    truncate_after_step(path, last_step);
    return path;
  }

  JsonlWriter metrics_;
  JsonlWriter timings_;
};

}  // namespace caprl
