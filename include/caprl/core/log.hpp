#pragma once

#include <atomic>
#include <cstdio>
#include <string>

#include <unistd.h>

namespace caprl {

enum class LogLevel { debug, info, warning, silent };

namespace detail {

inline std::atomic<LogLevel>& log_level() {
  static std::atomic<LogLevel> level{LogLevel::info};
  return level;
}

/// True while a progress bar stands on the terminal's last line.
inline std::atomic<bool>& progress_bar_shown() {
  static std::atomic<bool> shown{false};
  return shown;
}

inline void write_log(LogLevel level, const char* label, const std::string& message) {
  if (level < log_level()) return;
  const bool over_bar = progress_bar_shown() && ::isatty(STDERR_FILENO) != 0;
  const std::string line = std::string(over_bar ? "\r\x1b[K" : "") + label + message + "\n";
  std::fputs(line.c_str(), stderr);
}

}  // namespace detail

/// Messages below this level are not shown. The default shows `info` and `warning`.
inline void set_log_level(LogLevel level) { detail::log_level() = level; }

inline void log_debug(const std::string& message) { detail::write_log(LogLevel::debug, "", message); }
inline void log_info(const std::string& message) { detail::write_log(LogLevel::info, "", message); }
inline void log_warning(const std::string& message) { detail::write_log(LogLevel::warning, "warning: ", message); }

}  // namespace caprl
