#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/autograd/dropout.hpp"
#include "caprl/core/progress.hpp"
#include "caprl/core/stop_watch.hpp"
#include "caprl/data/order.hpp"
#include "caprl/policy/policy.hpp"
#include "caprl/train/run.hpp"

namespace caprl {

struct SupervisedSettings {
  RunSettings run;
  Index batch_items = 64;  ///< items an optimizer step sees
  Index micro_items = 32;  ///< items in memory at once; changes nothing but memory, rounding and what dropout draws
  std::uint64_t seed = 0;  ///< of the data order, and of dropout
  std::string title = "supervised";
};

struct SupervisedStep {
  double loss = 0;  ///< mean negative log-probability of a token, in nats
  Index tokens = 0;
};

/// Adds the gradients of the mean negative log-probability of the items' captions, over all their tokens.
/// `load(item)` gives the item's media. Within a `DropoutScope` each micro-batch is a pass of its own.
template <SupervisedPolicy P, class Load>
SupervisedStep add_supervised_gradients(const P& policy, std::span<const CaptionItem* const> items, const Load& load,
                                        Index micro_items) {
  using T = typename P::value_type;
  require(micro_items >= 1, "[supervised] expected micro_items of at least 1");
  std::vector<RolloutGroup> captions;
  SupervisedStep result;
  for (const CaptionItem* item : items) {
    if (item->caption.empty()) throw Error("[supervised] expected an item with a caption, got none", item->where);
    captions.push_back({policy.rollout_of(item->caption)});
    result.tokens += static_cast<Index>(captions.back().front().tokens.size());
  }
  const T weight = T{1} / static_cast<T>(result.tokens);
  for (std::size_t begin = 0; begin < items.size(); begin += static_cast<std::size_t>(micro_items)) {
    const std::size_t end = std::min(items.size(), begin + static_cast<std::size_t>(micro_items));
    std::vector<typename P::Prompt> prompts;
    for (std::size_t i = begin; i < end; ++i) prompts.push_back(policy.encode(*items[i], load(*items[i])));
    const DropoutScope pass(DropoutScope::of_pass(static_cast<std::uint32_t>(begin)));
    Tape tape;
    const auto log_probabilities =
        policy.log_probabilities(prompts, std::span(captions).subspan(begin, end - begin), 1.0);
    for (const T value : log_probabilities.value().span()) result.loss -= static_cast<double>(value);
    log_probabilities.seed_gradient(Tensor<T, typename P::device_type>::full(log_probabilities.shape(), -weight));
    tape.backward();
  }
  result.loss /= static_cast<double>(result.tokens);
  return result;
}

/// Teaches a policy to write the captions of `items`: the stage before reinforcement. Goes on where a run in the same
/// folder stopped; Ctrl-C saves. `after_step(step, metrics)` may add figures, such as a validation loss.
template <SupervisedPolicy P, class Load, class AfterStep>
void train_supervised(const P& policy, std::span<const CaptionItem> items, const Load& load,
                      const SupervisedSettings& settings, const AfterStep& after_step) {
  const InterruptScope ctrl_c;
  if constexpr (requires { policy.captions_only(); }) {
    require(!policy.captions_only(), "[train_supervised] expected a policy whose captions follow its weights", "",
            "leave VlmPolicySettings::packed empty");
  }
  RunSettings recorded = settings.run;
  recorded.recorded["trainer"] = {
      {"items", items.size()}, {"batch_items", settings.batch_items}, {"seed", settings.seed}};
  TrainingRun<typename P::value_type, typename P::device_type> run(recorded, policy.blocks());
  DataOrder order(static_cast<Index>(items.size()), settings.seed);
  Progress progress(settings.title, run.steps(), run.step());
  while (run.going()) {
    StopWatch watch;
    std::vector<const CaptionItem*> batch;
    for (const Index i : order.batch(run.step(), settings.batch_items)) {
      batch.push_back(&items[static_cast<std::size_t>(i)]);
    }
    const SupervisedStep step = [&] {
      const DropoutScope dropping(DropoutPass{.seed = settings.seed, .step = static_cast<std::uint32_t>(run.step())});
      return add_supervised_gradients(policy, std::span<const CaptionItem* const>(batch), load, settings.micro_items);
    }();
    MetricsRow metrics(run.step());
    metrics.add("loss", step.loss).add("learning_rate", run.learning_rate()).add("gradient_norm", run.update());
    const double seconds = watch.lap();
    after_step(run.step(), metrics);
    const double rate = static_cast<double>(step.tokens) / seconds;
    run.finish_step(metrics,
                    MetricsRow(run.step()).add("seconds.step", seconds).add("caption_tokens_per_second", rate));
    progress.update(run.step(), {{"loss", step.loss, 3}, {"tokens/s", rate, 0}});
  }
}

}  // namespace caprl
