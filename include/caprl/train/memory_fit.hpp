#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/train/memory_plan.hpp"
#include "caprl/train/planned_run.hpp"

namespace caprl {

namespace detail {

/// A setting by which a run can be made smaller.
struct MemorySetting {
  /// The run with smaller and smaller values of it; none where it is as small as it can be.
  std::vector<PlannedRun> (*smaller)(const PlannedRun&);
  /// Takes it from another run.
  void (*take)(PlannedRun& to, const PlannedRun& from);
};

template <auto Member>
void take_member(PlannedRun& to, const PlannedRun& from) {
  to.*Member = from.*Member;
}

/// The run with halves of `value`, again and again, down to `least`.
template <auto Member>
std::vector<PlannedRun> with_halves(const PlannedRun& run, Index value, Index least) {
  std::vector<PlannedRun> runs;
  for (value /= 2; value >= least; value /= 2) runs.emplace_back(run).*Member = value;
  return runs;
}

inline constexpr Index fewest_rows_worth_a_pass = 256;
inline constexpr Index offered_lora_rank = 16;

inline std::vector<PlannedRun> with_recomputed_blocks(const PlannedRun& run) {
  if (run.recompute_blocks) return {};
  std::vector<PlannedRun> runs{run};
  runs.front().recompute_blocks = true;
  return runs;
}
inline std::vector<PlannedRun> with_fewer_micro_tokens(const PlannedRun& run) {
  return with_halves<&PlannedRun::micro_tokens>(run, run.micro_tokens, run.samples);  // never less than a group
}
inline std::vector<PlannedRun> with_fewer_rows(const PlannedRun& run) {
  const Index prompt = std::ranges::max(run.prompts, {}, &PromptShape::tokens).tokens;
  const Index rows = run.maximum_rows > 0 ? run.maximum_rows : prompt + run.samples * run.maximum_tokens;
  return with_halves<&PlannedRun::maximum_rows>(run, rows, fewest_rows_worth_a_pass);
}
inline std::vector<PlannedRun> with_fewer_judge_rows(const PlannedRun& run) {
  std::vector<PlannedRun> runs;
  if (!run.judge) return runs;
  for (Index rows = run.judge->maximum_rows / 2; rows >= fewest_rows_worth_a_pass; rows /= 2) {
    runs.emplace_back(run).judge->maximum_rows = rows;
  }
  return runs;
}
inline std::vector<PlannedRun> with_fewer_at_once(const PlannedRun& run) {
  return with_halves<&PlannedRun::rollout_items>(run, std::max(run.captioned_at_once(), run.measured_at_once()), 1);
}
inline std::vector<PlannedRun> with_fewer_items(const PlannedRun& run) {
  return with_halves<&PlannedRun::batch_items>(run, run.batch_items, 1);
}
inline std::vector<PlannedRun> with_adapters(const PlannedRun& run) {
  if (run.lora) return {};
  std::vector<PlannedRun> runs{run};
  runs.front().lora = LoraSettings{.rank = offered_lora_rank};
  return runs;
}

/// First what changes nothing but the time of a step, then what changes what is learnt.
inline constexpr MemorySetting memory_settings[] = {
    {with_recomputed_blocks, take_member<&PlannedRun::recompute_blocks>},
    {with_fewer_micro_tokens, take_member<&PlannedRun::micro_tokens>},
    {with_fewer_rows, take_member<&PlannedRun::maximum_rows>},
    {with_fewer_judge_rows, take_member<&PlannedRun::judge>},
    {with_fewer_at_once, take_member<&PlannedRun::rollout_items>},
    {with_fewer_items, take_member<&PlannedRun::batch_items>},
    {with_adapters, take_member<&PlannedRun::lora>}};

/// "recompute_blocks, micro_tokens 512": how a smaller run differs.
inline std::string changes_text(const PlannedRun& from, const PlannedRun& to) {
  std::string text;
  const auto add = [&](bool changed, const std::string& change) {
    if (changed) text += (text.empty() ? "" : ", ") + change;
  };
  const auto number = [&](const char* name, Index before, Index after) {
    add(before != after, name + (" " + std::to_string(after)));
  };
  add(from.recompute_blocks != to.recompute_blocks, "recompute_blocks");
  number("micro_tokens", from.micro_tokens, to.micro_tokens);
  number("maximum_rows", from.maximum_rows, to.maximum_rows);
  if (from.judge) number("the judge's maximum_rows", from.judge->maximum_rows, to.judge->maximum_rows);
  number("rollout_items", from.rollout_items, to.rollout_items);
  number("batch_items", from.batch_items, to.batch_items);
  add(!from.lora && to.lora, "LoRA adapters of rank " + std::to_string(offered_lora_rank));
  return text;
}

/// Looks for smaller runs that fit.
template <class PlanOf>
class FitSearch {
 public:
  FitSearch(const PlannedRun& run, const PlanOf& plan_of, Index available)
      : run_(run), plan_of_(plan_of), available_(available) {}

  /// Each setting that is enough alone, with its largest value; where none is of those that change nothing but time,
  /// also such settings that are enough together; where nothing is yet, all together.
  std::vector<PlannedRun> found() const {
    const auto [recompute, micro, rows, judge, at_once, items, adapters] = memory_settings;
    std::vector<PlannedRun> runs = enough_alone({recompute, micro, rows, judge, at_once});
    if (runs.empty()) add_together({recompute, micro, rows, judge, at_once}, runs);
    for (PlannedRun& smaller : enough_alone({items, adapters})) runs.push_back(std::move(smaller));
    if (!runs.empty()) return runs;
    add_together({recompute, micro, rows, judge, at_once, items}, runs);
    add_together({recompute, micro, rows, judge, at_once, adapters, items}, runs);
    return runs;
  }

 private:
  std::vector<PlannedRun> enough_alone(const std::vector<MemorySetting>& settings) const {
    std::vector<PlannedRun> runs;
    for (const MemorySetting& setting : settings) {
      for (const PlannedRun& smaller : setting.smaller(run_)) {
        if (excess(smaller) > 0) continue;
        runs.push_back(smaller);
        break;
      }
    }
    return runs;
  }

  /// Adds a run with settings that are enough together, unless it is there.
  void add_together(const std::vector<MemorySetting>& settings, std::vector<PlannedRun>& runs) const {
    auto smaller = enough_together(settings);
    if (!smaller) return;
    const std::string changes = changes_text(run_, *smaller);
    const auto is_same = [&](const PlannedRun& run) { return changes_text(run_, run) == changes; };
    if (std::ranges::none_of(runs, is_same)) runs.push_back(std::move(*smaller));
  }

  /// By how much the phases go beyond what is available, taken together: 0 where the run fits. Unlike the peak it tells
  /// that a phase has become smaller while another is the largest.
  Index excess(const PlannedRun& run) const {
    const MemoryPlan plan = plan_of_(run);
    Index sum = 0;
    for (const MemoryPhase& phase : plan.phases) {
      sum += std::max<Index>(0, plan.held.bytes() + phase.bytes() - available_);
    }
    return sum;
  }

  /// Takes one setting after the other to where the excess is smallest, until there is none; then gives back what is
  /// not needed.
  std::optional<PlannedRun> enough_together(const std::vector<MemorySetting>& settings) const {
    PlannedRun smallest = run_;
    Index least = excess(smallest);
    for (const MemorySetting& setting : settings) {
      for (const PlannedRun& smaller : setting.smaller(PlannedRun(smallest))) {
        const Index beyond = excess(smaller);
        if (beyond < least) {
          smallest = smaller;
          least = beyond;
        }
        if (least == 0) return without_needless(smallest, settings);
      }
    }
    return std::nullopt;
  }

  /// The same with each setting as near to what it was as fits.
  PlannedRun without_needless(PlannedRun run, const std::vector<MemorySetting>& settings) const {
    for (const MemorySetting& setting : settings) {
      std::vector<PlannedRun> nearest = setting.smaller(run_);
      nearest.insert(nearest.begin(), run_);
      for (const PlannedRun& from : nearest) {
        PlannedRun larger = run;
        setting.take(larger, from);
        if (excess(larger) > 0) continue;
        run = std::move(larger);
        break;
      }
    }
    return run;
  }

  const PlannedRun& run_;
  const PlanOf& plan_of_;
  Index available_;
};

}  // namespace detail

/// The plan of a run that takes at most `available` bytes; `plan_of(run)` makes it. Throws Error, with the plan as a
/// table, if it takes more, and says with which settings, each tried by the same plan, it would fit.
template <class PlanOf>
MemoryPlan require_fits(const PlannedRun& run, const PlanOf& plan_of, Index available) {
  MemoryPlan plan = plan_of(run);
  if (plan.peak() <= available) return plan;
  std::string remedy;
  for (const PlannedRun& smaller : detail::FitSearch<PlanOf>(run, plan_of, available).found()) {
    remedy += (remedy.empty() ? "it fits with " : "; or with ") + detail::changes_text(run, smaller) + " (" +
              bytes_text(plan_of(smaller).peak()) + ")";
  }
  if (remedy.empty()) {
    remedy =
        "none of recompute_blocks, micro_tokens, maximum_rows, the judge's, rollout_items, batch_items and adapters "
        "make it fit: take fewer samples or maximum_tokens, a smaller model, or more memory";
  }
  throw Error("[require_fits] expected a run that takes at most " + bytes_text(available) + ", got one of " +
                  bytes_text(plan.peak()) + ":\n" + memory_table(plan),
              "", remedy);
}

}  // namespace caprl
