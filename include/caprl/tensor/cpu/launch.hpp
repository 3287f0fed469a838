#pragma once

#include <algorithm>

#include "caprl/core/index.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/tensor/cpu/serial_team.hpp"
#include "caprl/tensor/device.hpp"

namespace caprl {

/// Runs kernel(team, row) for every row in [0, rows). `work_per_row` is the number of elements that a row touches: rows
/// are shared out so that a thread has enough to do to be worth waking. Rows must not depend on each other.
template <class Kernel>
void launch_rows(Cpu, Index rows, const Kernel& kernel, Index work_per_row) {
  constexpr Index worth_a_thread = 16384;
  const Index grain = std::max<Index>(1, worth_a_thread / std::max<Index>(1, work_per_row));
  parallel_for(rows, grain, [&](Index row) { kernel(SerialTeam{}, row); });
}

}  // namespace caprl
