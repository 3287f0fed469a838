#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "caprl/core/progress.hpp"
#include "caprl/core/stop_watch.hpp"
#include "caprl/judge/judge_tally.hpp"
#include "caprl/train/metrics.hpp"
#include "caprl/train/policy_gradient.hpp"
#include "caprl/train/run.hpp"

namespace caprl {

/// Gathers the figures and times of one reinforcement step, in the order of its phases.
class StepMetrics {
 public:
  explicit StepMetrics(Index step) : metrics_(step), timings_(step) {}

  template <Policy P>
  void rollout(const Collected<P>& collected) {
    const double seconds = watch_.lap();
    Index truncated = 0;
    for (const RolloutGroup& group : collected.groups) {
      for (const Rollout& rollout : group) truncated += rollout.caption.truncated ? 1 : 0;
    }
    const auto count = static_cast<double>(collected.rollouts());
    metrics_.add("caption_tokens", static_cast<double>(collected.tokens()) / count);
    metrics_.add("truncated", static_cast<double>(truncated) / count);
    timings_.add("seconds.rollout", seconds);
    timings_.add("tokens_per_second.rollout", static_cast<double>(collected.tokens()) / seconds);
    shown_.push_back({"tokens/s", static_cast<double>(collected.tokens()) / seconds, 0});
  }

  /// Called directly after judging, so that the time is the judge's alone. Without a tally it is not known what the
  /// judge was asked: equal captions are often judged once, or a few questions drawn.
  void judging(const JudgeTally& tally) {
    const double seconds = watch_.lap();
    timings_.add("seconds.judge", seconds);
    if (tally.answers == 0) return;
    timings_.add("questions_per_second.judge", static_cast<double>(tally.answers) / seconds);
  }

  void judged(std::span<const std::vector<Reward>> rewards, const RewardSelection& selection,
              const std::vector<std::string>& parts) {
    double total = 0;
    Index count = 0;
    std::vector<double> part_sums(parts.size(), 0.0);
    for (const auto& group : rewards) {
      for (const Reward& reward : group) {
        if (!reward.total) continue;
        ++count;
        total += *reward.total;
        for (std::size_t part = 0; part < parts.size(); ++part) part_sums[part] += reward.parts[part];
      }
    }
    const double mean = total / static_cast<double>(count);  // of none: no number
    metrics_.add("reward", mean);
    for (std::size_t part = 0; part < parts.size(); ++part) {
      metrics_.add("reward." + parts[part], part_sums[part] / static_cast<double>(count));
    }
    metrics_.add("missing_groups", selection.missing_groups);
    shown_.insert(shown_.begin(), {"reward", mean, 3});
  }

  void tallied(const JudgeTally& tally) {
    metrics_.add("judge_tokens", tally.read);
    if (tally.answers == 0) return;
    metrics_.add("judge_abstain", tally.abstain / static_cast<double>(tally.answers));
    metrics_.add("judge_leftover", tally.leftover / static_cast<double>(tally.answers));
  }

  void advantages(const Advantages& advantages) {
    const auto spread = std::ranges::count(advantages.group_has_spread, true);
    metrics_.add("groups_without_spread", static_cast<Index>(advantages.group_has_spread.size()) - spread);
    double squares = 0;
    for (const double value : advantages.values) squares += value * value;
    metrics_.add("advantage_deviation",
                 std::sqrt(squares / static_cast<double>(std::max<std::size_t>(advantages.values.size(), 1))));
  }

  void updated(Index update, const PolicyGradientStep& step, double gradient_norm, double learning_rate) {
    if (update == 0) {
      metrics_.add("log_probability_difference", step.largest_difference);
      metrics_.add("learning_rate", learning_rate);
    }
    const std::string suffix = update == 0 ? "" : ".update" + std::to_string(update + 1);
    metrics_.add("loss" + suffix, step.loss).add("gradient_norm" + suffix, gradient_norm);
    metrics_.add("clipped" + suffix, step.clipped_share).add("recorded_kl" + suffix, step.recorded_kl);
    const double seconds = watch_.lap();
    timings_.add("seconds.update" + suffix, seconds);
    timings_.add("tokens_per_second.training" + suffix, static_cast<double>(step.tokens) / seconds);
  }

  MetricsRow& metrics() { return metrics_; }
  const MetricsRow& timings() const { return timings_; }
  /// For the progress bar.
  std::span<const Figure> shown() const { return shown_; }

 private:
  MetricsRow metrics_;
  MetricsRow timings_;
  StopWatch watch_;
  std::vector<Figure> shown_;
};

}  // namespace caprl
