#pragma once

#include <atomic>
#include <cstdio>
#include <string>

#include <unistd.h>

namespace caprl {

namespace detail {

/// True while a progress bar stands on the terminal's last line.
inline std::atomic<bool>& progress_bar_shown() {
  static std::atomic<bool> shown{false};
  return shown;
}

inline void write_log(const char* label, const std::string& message) {
  const bool over_bar = progress_bar_shown() && ::isatty(STDERR_FILENO) != 0;
  const std::string line = std::string(over_bar ? "\r\x1b[K" : "") + label + message + "\n";
  std::fputs(line.c_str(), stderr);
}

}  // namespace detail

/// Lines for who runs the program, on standard error.
inline void log_info(const std::string& message) { detail::write_log("", message); }
inline void log_warning(const std::string& message) { detail::write_log("warning: ", message); }

}  // namespace caprl
