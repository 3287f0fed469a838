#pragma once

#include <cstdio>
#include <span>

#include "caprl/io/available_memory.hpp"
#include "caprl/tensor/storage.hpp"
#include "caprl/train/memory_fit.hpp"
#include "support/reinforce_options.hpp"

/// What a reinforcement run will hold in memory, said before its first step and beside what was measured after it.
namespace examples {

/// The run as it is planned: `held_out` items are validated on, and a second set of the weights is the reference.
inline caprl::PlannedRun planned_run(const ReinforceOptions& options, const caprl::TrainerSettings& trainer,
                                     const caprl::VlmPolicySettings& policy, const caprl::DecoderSettings& judge,
                                     caprl::Index judge_rows, std::size_t held_out) {
  caprl::PlannedRun run = caprl::planned_run(trainer, policy);
  run.lora = lora_settings(options.trained);
  run.reference = true;
  run.held_out_items = static_cast<caprl::Index>(held_out);
  run.judge = caprl::PlannedJudge{.model = judge, .maximum_rows = judge_rows};
  return run;
}

/// Prints the plan. Throws Error where the run will not fit into --memory-limit or, without it, into what the system
/// has; the allocator keeps to it from now on, and counts its peak.
template <class P, class Load>
caprl::MemoryPlan require_memory(const P& policy, caprl::PlannedRun run, std::span<const caprl::CaptionItem> items,
                                 const Load& load, std::uint64_t limit) {
  using namespace caprl;
  constexpr Index measured_items = 32;
  run.prompts = prompt_shapes(policy, items, load, measured_items);
  CpuAllocator& allocator = CpuAllocator::instance();
  // What is loaded already is part of the plan.
  const Index available = limit > 0 ? static_cast<Index>(limit) : available_memory() + allocator.counters().held;
  const MemoryPlan plan = require_fits(
      run, [&](const PlannedRun& other) { return plan_memory(policy, other); }, available);
  std::printf("memory, planned (%s available):\n%s", bytes_text(available).c_str(), memory_table(plan).c_str());
  std::fflush(stdout);
  allocator.hold_at_most(available);
  allocator.reset_peak();
  return plan;
}

/// The plan again, and what the run took.
inline void print_memory(const caprl::MemoryPlan& plan) {
  std::printf("memory, planned and measured:\n%s",
              caprl::memory_table(plan, caprl::CpuAllocator::instance().counters()).c_str());
}

}  // namespace examples
