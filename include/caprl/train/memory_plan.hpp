#pragma once

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/storage.hpp"

namespace caprl {

struct MemoryLine {
  std::string name;
  Index bytes = 0;
};

/// A part of a step, and what it needs of its own where that is most.
struct MemoryPhase {
  std::string name;
  std::vector<MemoryLine> lines;

  Index bytes() const {
    Index sum = 0;
    for (const MemoryLine& line : lines) sum += line.bytes;
    return sum;
  }
};

/// The memory of a run before it begins. Phases follow each other: the most that is in use at once is what is held
/// throughout and what the largest phase needs.
struct MemoryPlan {
  MemoryPhase held;
  std::vector<MemoryPhase> phases;

  const MemoryPhase& largest() const {
    require(!phases.empty(), "[MemoryPlan] expected at least one phase");
    return *std::ranges::max_element(phases, {}, &MemoryPhase::bytes);
  }
  Index peak() const { return held.bytes() + largest().bytes(); }
};

/// "812 KiB", "14.9 GiB".
inline std::string bytes_text(Index bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, value < 100 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
  return text;
}

/// A plan as a table; with what the allocator counted over the run (`reset_peak` before it), the measured peak below
/// the predicted one.
inline std::string memory_table(const MemoryPlan& plan, const std::optional<MemoryCounters>& measured = {}) {
  std::string table;
  const auto add = [&](const std::string& name, Index bytes, const std::string& note = "") {
    char line[128];
    std::snprintf(line, sizeof line, "  %-38s %10s", name.c_str(), bytes_text(bytes).c_str());
    table += line + note + "\n";
  };
  for (const MemoryLine& line : plan.held.lines) add(line.name, line.bytes);
  add("held throughout", plan.held.bytes());
  for (const MemoryPhase& phase : plan.phases) {
    std::string parts;
    for (const MemoryLine& line : phase.lines) {
      if (line.bytes == 0) continue;
      parts += (parts.empty() ? "  " : ", ") + line.name + " " + bytes_text(line.bytes);
    }
    add("+ " + phase.name, phase.bytes(), parts);
  }
  add("peak: held and " + plan.largest().name, plan.peak());
  if (measured) {
    add("measured peak", measured->peak);
    add("taken from the system", measured->held);
  }
  return table;
}

}  // namespace caprl
