#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "caprl/core/index.hpp"

namespace caprl {

/// What is available where the system says nothing: more than any run takes; sums with it do not overflow.
inline constexpr Index unknown_memory = std::numeric_limits<Index>::max() / 2;

namespace detail {

/// The number behind `name` in a file of lines "name number ..."; none without the file or the line.
inline std::optional<Index> number_in_lines(const std::filesystem::path& path, const std::string& name) {
  std::ifstream file(path);
  std::string line_name;
  for (Index number = 0; file >> line_name; file.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
    if (line_name == name && file >> number) return number;
    file.clear();
  }
  return std::nullopt;
}

/// The number that a file holds; none where there is none, as where a limit is "max".
inline std::optional<Index> number_in_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  Index number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

/// The names of a control group's files, which differ by version.
struct ControlGroupFiles {
  const char* limit;
  const char* usage;
  const char* reclaimable;  ///< in memory.stat: cached files, which the system gives up when it needs room
};

/// What the control group in `folder`, and those around it up to `top`, leave of their limits.
inline Index left_by_control_groups(std::filesystem::path folder, const std::filesystem::path& top,
                                    const ControlGroupFiles& files) {
  Index left = unknown_memory;
  for (;; folder = folder.parent_path()) {
    const auto limit = number_in_file(folder / files.limit), usage = number_in_file(folder / files.usage);
    if (limit && usage) {
      const Index reclaimable = number_in_lines(folder / "memory.stat", files.reclaimable).value_or(0);
      left = std::min(left, std::max<Index>(0, *limit - *usage + reclaimable));
    }
    if (folder == top || !folder.has_relative_path()) return left;
  }
}

}  // namespace detail

/// Bytes that this process can still take without swapping: MemAvailable of /proc/meminfo or, if less, what the limits
/// of its control groups leave (memory.max; memory.limit_in_bytes in version 1); else `unknown_memory`. `root` is that
/// of the file system.
inline Index available_memory(const std::filesystem::path& root = "/") {
  const auto kilobytes = detail::number_in_lines(root / "proc/meminfo", "MemAvailable:");
  Index available = kilobytes ? *kilobytes * 1024 : unknown_memory;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "0::/path", or "4:memory:/path" in version 1
    const std::size_t second = line.find(':', line.find(':') + 1);
    if (second == std::string::npos) continue;
    const std::string path = line.substr(std::min(second + 2, line.size()));
    const bool unified = line.starts_with("0::");
    if (!unified && line.find(":memory:") == std::string::npos) continue;
    const std::filesystem::path top = root / (unified ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
    const detail::ControlGroupFiles files =
        unified ? detail::ControlGroupFiles{"memory.max", "memory.current", "inactive_file"}
                : detail::ControlGroupFiles{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
    available = std::min(available, detail::left_by_control_groups(path.empty() ? top : top / path, top, files));
  }
  return available;
}

}  // namespace caprl
