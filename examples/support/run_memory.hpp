#pragma once

#include <algorithm>
#include <cstdio>
#include <span>
#include <string>

#include "caprl/io/available_memory.hpp"
#include "caprl/judge/sampled_judge.hpp"
#include "caprl/policy/any_vlm_policy.hpp"
#include "caprl/tensor/storage.hpp"
#include "caprl/train/memory_fit.hpp"
#include "caprl/train/plan_memory.hpp"
#include "support/captioner_media.hpp"
#include "support/reinforce_options.hpp"

/// What a reinforcement run will hold in memory, said before its first step and beside what was measured after it.
namespace examples {

/// The run as it is planned: so many items are validated and tested on, and a second set of the weights is the
/// reference.
inline caprl::PlannedRun planned_run(const ReinforceOptions& options, const caprl::TrainerSettings& trainer,
                                     const caprl::VlmPolicySettings& policy, const caprl::DecoderSettings& judge,
                                     std::size_t validated, std::size_t tested) {
  caprl::PlannedRun run = caprl::planned_run(trainer, policy);
  run.lora = lora_settings(options.trained);
  run.reference = true;
  run.validation_items = static_cast<caprl::Index>(validated);
  run.test_items = static_cast<caprl::Index>(tested);
  run.judge = caprl::PlannedJudge{.model = judge, .maximum_rows = options.judge_rows};
  // Only the published judge writes its answers, where it is asked to with its faults.
  if (options.published_faults) {
    run.judge->draws = options.draws;
    run.judge->answer_tokens = caprl::SampledJudgeSettings{}.answer_tokens;
  }
  return run;
}

/// Prints the plan. Throws Error where the run will not fit into --memory-limit or, without it, into what the system
/// has; beyond that the allocator gives unused blocks back before it takes more, and it counts its peak. No weights of
/// the captioner are read for it.
inline caprl::MemoryPlan require_memory(const ReinforceOptions& options, caprl::PlannedRun run,
                                        const caprl::JudgeTokens& judge, std::span<const caprl::CaptionItem> items) {
  using namespace caprl;
  constexpr Index measured_items = 32;
  CpuAllocator& allocator = CpuAllocator::instance();
  const Index limit = static_cast<Index>(options.memory_limit);
  // What is loaded already is part of the plan.
  const Index available = limit > 0 ? limit : available_memory() + allocator.counters().held;
  const AnyVlmPolicy unread(vlm_without_weights<float>(options.model),
                            Tokenizer::from_file(options.model / "tokenizer.json"));
  run.prompts =
      prompt_shapes(unread, items, captioner_media(unread.model(), options.model, options.frames), measured_items);
  run.judge->prompt_tokens = judge_prompt_tokens(judge, items, measured_items);
  const MemoryPlan plan = require_fits(
      run, [&](const PlannedRun& other) { return plan_memory(unread, other); }, available);
  const std::string has =
      available < unknown_memory ? bytes_text(available) + " available" : "what is available: unknown";
  std::printf("memory, planned from the largest of %zu items (%s):\n%s",
              std::min(items.size(), static_cast<std::size_t>(measured_items)), has.c_str(),
              memory_table(plan).c_str());
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
