#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/advantage/rloo.hpp"
#include "caprl/core/log.hpp"
#include "caprl/core/progress.hpp"
#include "caprl/core/recorded_numbers.hpp"
#include "caprl/data/order.hpp"
#include "caprl/judge/judge_tally.hpp"
#include "caprl/train/kl_in_reward.hpp"
#include "caprl/train/policy_gradient.hpp"
#include "caprl/train/run.hpp"
#include "caprl/train/step_metrics.hpp"

namespace caprl {

struct TrainerSettings {
  RunSettings run;
  Index batch_items = 32;      ///< items a step samples captions for
  Index samples = 8;           ///< captions for each item
  Index maximum_tokens = 128;  ///< of a caption
  Index updates = 1;           ///< optimizer updates from one batch of rollouts
  Index rollout_items = 0;     ///< items whose captions are sampled at once, 0: all; changes nothing but rounding
  Index micro_tokens = 2048;   ///< caption tokens in memory at once in an update; changes nothing but rounding
  TruncatedRule truncated = TruncatedRule::zero_reward;
  PolicyLoss loss{};
  Aggregation aggregation{};
  double log_probability_bound = 1e-3;  ///< largest difference between recorded and recomputed log-probabilities
  double missing_limit = 0.5;           ///< share of groups without a reward above which the run stops
  bool off_policy = false;              ///< allow samplers that filter: the recorded numbers are then not theirs
  Index validate_every = 0;             ///< steps; 0: after the last one alone
  JudgeTally* judge_tally = nullptr;    ///< that the judge fills: then the metrics have `judge_tokens` and the like
  double kl_in_reward = 0;              ///< taken off a caption's reward, times its k1 to the reference: the part `kl`
  std::uint64_t seed = 0;
  std::string title = "reinforce";
};

/// Reinforcement learning with verifiable rewards: sample captions, judge them, estimate advantages, update.
///
/// The parts are taken as they are and stay usable outside. A loop of another kind is written from the same public
/// pieces (`collect`, `judge_groups`, `select_rewards`, `weigh`, `add_policy_gradients`, `TrainingRun`); see
/// examples/custom_loop.cpp.
template <Policy P, Sampler S, RewardJudge J, AdvantageEstimator E = Rloo>
class Trainer {
 public:
  /// `policy`, `judge`, `reference` (for a KL term; may be null) and the settings' tally must outlive the trainer.
  Trainer(const P& policy, S sampler, J& judge, E estimator, TrainerSettings settings, const P* reference = nullptr)
      : policy_(policy),
        sampler_(std::move(sampler)),
        judge_(judge),
        estimator_(std::move(estimator)),
        settings_(std::move(settings)),
        reference_(reference) {
    require(settings_.updates >= 1 && settings_.samples >= 1 && settings_.micro_tokens >= 1,
            "[Trainer] expected updates, samples and micro_tokens of at least 1");
    require(settings_.rollout_items >= 0, "[Trainer] expected rollout_items of at least 0");
    require(part_weights(judge_).size() == judge_.part_names().size(),
            "[Trainer] expected a judge with a weight for each part");
    require_usable_policies();
    if (sampler_.filters() && !settings_.off_policy) {
      throw Error("[Trainer] expected a sampler that draws from the whole distribution, got one that filters", "",
                  "use Sample<Temperature>, or set off_policy");
    }
  }

  /// Trains on `items`, whose media `load(item)` gives. `validate(step, metrics)` is called every `validate_every`
  /// steps and after the last; it returns the score by which the best checkpoint is chosen. Goes on where a run in the
  /// same folder stopped.
  template <class Load, class Validate>
  void run(std::span<const CaptionItem> items, const Load& load, const Validate& validate) {
    static_assert(std::is_invocable_r_v<double, const Validate&, Index, MetricsRow&>,
                  "validate(step, metrics) must return a score as a double: the best checkpoint is chosen by it");
    run_steps(items, load, [&](Index step, MetricsRow& metrics) -> std::optional<double> {
      return static_cast<double>(validate(step, metrics));  // the cast keeps errors short
    });
  }

  /// The same without validation: no checkpoint is kept as the best.
  template <class Load>
  void run(std::span<const CaptionItem> items, const Load& load) {
    run_steps(items, load, [](Index, MetricsRow&) { return std::optional<double>(); });
  }

 private:
  using Rewards = std::vector<std::vector<Reward>>;

  template <class Load, class Validate>
  void run_steps(std::span<const CaptionItem> items, const Load& load, const Validate& validate) {
    static_assert(
        requires(const CaptionItem& item) { policy_.encode(item, load(item)); },
        "load(item) must give the item's media as the policy encodes them: a std::vector<Clip> for images "
        "and videos");
    const InterruptScope ctrl_c;
    TrainingRun<typename P::value_type, typename P::device_type> run(recorded_run(items.size()), policy_.blocks());
    DataOrder order(static_cast<Index>(items.size()), settings_.seed);
    Progress progress(settings_.title, run.steps(), run.step());
    while (run.going()) {
      StepMetrics figures(run.step());
      const auto collected = collect_step(items, load, order, run.step());
      figures.rollout(collected);
      auto [rewards, tally] = judged(collected);
      figures.judging(tally);
      if (kl_in_reward()) {
        subtract_kl(*reference_, collected, settings_.kl_in_reward, temperature(), settings_.micro_tokens, rewards);
      }
      const RewardSelection selection = select(collected, rewards);
      figures.judged(rewards, selection, part_names());
      if (settings_.judge_tally != nullptr) figures.tallied(tally);
      const Advantages advantages = estimator_(selection.batch);
      const WeightedRollouts weighted = weigh(collected, selection, advantages);
      figures.advantages(advantages);
      for (Index update = 0; update < settings_.updates; ++update) {
        const PolicyGradientStep step =
            add_policy_gradients(policy_, reference_, collected, weighted, settings_.loss, settings_.aggregation,
                                 temperature(), settings_.micro_tokens);
        if (update == 0) require_one_numeric_path(step, run.step());
        // Without any gradient there is nothing to follow: neither decay nor momentum moves the weights.
        figures.updated(update, step, step.tokens > 0 ? run.update() : 0.0, run.learning_rate());
        if (step.tokens == 0) warn_without_gradient(run.step(), collected);
      }
      std::optional<double> score;
      const bool due = settings_.validate_every > 0 && (run.step() + 1) % settings_.validate_every == 0;
      if (due || run.step() + 1 == run.steps()) {
        score = validate(run.step() + 1, figures.metrics());
      }
      run.finish_step(figures.metrics(), figures.timings(), score);
      progress.update(run.step(), figures.shown());
    }
  }

  /// The rewards, and what the judge did for them.
  std::pair<Rewards, JudgeTally> judged(const Collected<P>& collected) {
    JudgeTally none;
    JudgeTally& tally = settings_.judge_tally == nullptr ? none : *settings_.judge_tally;
    const JudgeTally before = std::exchange(tally, {});
    Rewards rewards = judge_groups(judge_, collected);
    const JudgeTally step = tally;
    tally += before;
    return {std::move(rewards), step};
  }

  double temperature() const { return sampler_.temperature() > 0 ? sampler_.temperature() : 1.0; }

  bool kl_in_reward() const { return settings_.kl_in_reward != 0; }

  std::vector<std::string> part_names() const {
    auto names = judge_.part_names();
    if (kl_in_reward()) names.push_back("kl");
    return names;
  }

  void require_usable_policies() const {
    if constexpr (requires { policy_.captions_only(); }) {
      require(!policy_.captions_only(), "[Trainer] expected a policy whose captions follow its weights", "",
              "leave VlmPolicySettings::packed empty");
    }
    if (!settings_.loss.needs_reference() && !kl_in_reward()) return;
    require(reference_ != nullptr, "[Trainer] expected a reference policy for the KL term");
    const auto own = policy_.blocks();
    for (const auto& block : reference_->blocks()) {
      if (std::ranges::any_of(own, [&](const auto& mine) { return mine.parameter == block.parameter; })) {
        throw Error("[Trainer] expected a reference with weights of its own, got the policy's", block.name,
                    "load the folder once more: a copy of a model is a handle on the same weights");
      }
    }
  }

  /// What decides the steps is recorded, so that a run does not go on as another; of the parts what they tell.
  RunSettings recorded_run(std::size_t items) const {
    RunSettings run = settings_.run;
    const PolicyLoss& loss = settings_.loss;
    run.recorded["trainer"] = {{"items", items},
                               {"batch_items", settings_.batch_items},
                               {"samples", settings_.samples},
                               {"maximum_tokens", settings_.maximum_tokens},
                               {"updates", settings_.updates},
                               {"truncated", static_cast<int>(settings_.truncated)},
                               {"temperature", temperature()},
                               {"sampler", named_numbers(recorded_numbers(sampler_))},
                               {"estimator", named_numbers(recorded_numbers(estimator_))},
                               {"judge", named_numbers(recorded_numbers(judge_))},
                               {"reward_weights", named_numbers(reward_weights())},
                               {"kl_in_reward", settings_.kl_in_reward},
                               {"clip_low", loss.surrogate.clip_low},
                               {"clip_high", loss.surrogate.clip_high},
                               {"dual_clip", loss.surrogate.dual_clip},
                               {"kl_in_loss", static_cast<int>(loss.kl)},
                               {"kl_coefficient", loss.kl_coefficient},
                               {"aggregation", static_cast<int>(settings_.aggregation.kind)},
                               {"constant_tokens", settings_.aggregation.constant_tokens},
                               {"validate_every", settings_.validate_every},
                               {"seed", settings_.seed}};
    return run;
  }

  RecordedNumbers reward_weights() const {
    const auto names = judge_.part_names();
    const auto weights = part_weights(judge_);
    RecordedNumbers numbers;
    for (std::size_t part = 0; part < names.size(); ++part) numbers.emplace_back(names[part], weights[part]);
    return numbers;
  }

  static Json named_numbers(const RecordedNumbers& numbers) {
    Json named = Json::object();
    for (const auto& [name, number] : numbers) named[name] = number;
    return named;
  }

  template <class Load>
  Collected<P> collect_step(std::span<const CaptionItem> items, const Load& load, DataOrder& order, Index step) const {
    GenerateSettings generate{.samples = settings_.samples,
                              .maximum_tokens = settings_.maximum_tokens,
                              .seed = settings_.seed,
                              .step = static_cast<std::uint32_t>(step),
                              .item_keys = {}};
    std::vector<const CaptionItem*> batch;
    for (const Index i : order.batch(step, settings_.batch_items)) {
      batch.push_back(&items[static_cast<std::size_t>(i)]);
      generate.item_keys.push_back(static_cast<std::uint32_t>(i));
    }
    return collect(policy_, std::move(batch), load, sampler_, generate, settings_.rollout_items);
  }

  RewardSelection select(const Collected<P>& collected, std::span<const std::vector<Reward>> rewards) const {
    std::vector<double> weights = part_weights(judge_);
    if (kl_in_reward()) weights.push_back(settings_.kl_in_reward);
    RewardSelection selection =
        select_rewards(rewards, truncated_flags(collected.groups), weights, settings_.truncated);
    const double missing = static_cast<double>(selection.missing_groups) / static_cast<double>(rewards.size());
    if (missing > settings_.missing_limit) {
      throw Error("[Trainer] expected rewards for at least " + std::to_string(1 - settings_.missing_limit) +
                      " of the groups, got none for " + std::to_string(selection.missing_groups) + " of " +
                      std::to_string(rewards.size()),
                  first_reason(rewards), "see to the judge; the last checkpoint is whole");
    }
    return selection;
  }

  /// Says, not more often than every ten steps, that one taught nothing, and why.
  void warn_without_gradient(Index step, const Collected<P>& collected) {
    if (warned_ && step - *warned_ < 10) return;
    warned_ = step;
    bool all_cut = true;
    for (const RolloutGroup& group : collected.groups) {
      for (const Rollout& rollout : group) all_cut = all_cut && rollout.caption.truncated;
    }
    log_warning("step " + std::to_string(step + 1) + " teaches nothing: " +
                (all_cut ? "every caption was cut at maximum_tokens (" + std::to_string(settings_.maximum_tokens) + ")"
                         : "within each group all captions have the same reward"));
  }

  static std::string first_reason(std::span<const std::vector<Reward>> rewards) {
    for (const auto& group : rewards) {
      for (const Reward& reward : group) {
        if (!reward.total) return reward.missing_reason;
      }
    }
    return {};
  }

  void require_one_numeric_path(const PolicyGradientStep& step, Index number) const {
    if (step.largest_difference <= settings_.log_probability_bound) return;
    throw Error("[Trainer] expected recorded and recomputed log-probabilities within " +
                    std::to_string(settings_.log_probability_bound) + ", got a difference of " +
                    std::to_string(step.largest_difference),
                "step " + std::to_string(number), "the weights may have diverged; go back to the last checkpoint");
  }

  const P& policy_;
  S sampler_;
  J& judge_;
  E estimator_;
  TrainerSettings settings_;
  const P* reference_;
  std::optional<Index> warned_;  ///< the step of the last warning that nothing was learnt
};

}  // namespace caprl
