#include "support/reinforce.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/data/caption_data.hpp"
#include "caprl/data/disjoint.hpp"
#include "caprl/data/read_durations.hpp"
#include "caprl/evaluate/caption_prompts.hpp"
#include "caprl/evaluate/policy_kl.hpp"
#include "caprl/io/fingerprint.hpp"
#include "caprl/judge/judge_groups.hpp"
#include "caprl/judge/length_term.hpp"
#include "caprl/judge/sampled_judge.hpp"
#include "caprl/judge/stamp_term.hpp"
#include "caprl/judge/weighted_sum.hpp"
#include "caprl/model/language_model.hpp"
#include "caprl/policy/any_vlm_policy.hpp"
#include "caprl/sampling/greedy.hpp"
#include "caprl/sampling/sample.hpp"
#include "caprl/train/trainer.hpp"
#include "support/any_estimator.hpp"
#include "support/captioner_defaults.hpp"
#include "support/captioner_media.hpp"
#include "support/evaluation.hpp"
#include "support/run_figures.hpp"
#include "support/run_memory.hpp"
#include "support/training_report.hpp"

namespace examples {

namespace {

std::vector<caprl::CaptionItem> load_items(std::span<const std::filesystem::path> paths, caprl::Index most) {
  std::vector<caprl::CaptionItem> items;
  for (const std::filesystem::path& path : paths) {
    auto more = caprl::load_caption_data(path, {.keep_extra = true});
    items.insert(items.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  if (most > 0 && static_cast<caprl::Index>(items.size()) > most) items.resize(static_cast<std::size_t>(most));
  return items;
}

/// What a run reads: three sets that share no item.
struct Splits {
  std::vector<caprl::CaptionItem> train, validation, test;
};

Splits load_splits(const ReinforceOptions& options) {
  Splits splits{load_items(options.data, 0), load_items({&options.validation, 1}, options.validation_items),
                load_items({&options.test, 1}, options.test_items)};
  const std::array<caprl::DataSplit, 3> all{
      {{"train", splits.train}, {"validation", splits.validation}, {"test", splits.test}}};
  caprl::require_disjoint(all);
  for (auto* items : {&splits.train, &splits.validation, &splits.test}) caprl::read_durations(*items);
  return splits;
}

std::vector<caprl::VlmPrompt> encoded(const caprl::AnyVlmPolicy& policy, std::span<const caprl::CaptionItem> items,
                                      const CaptionerMedia& load) {
  std::vector<caprl::VlmPrompt> prompts;
  for (const caprl::CaptionItem& item : items) prompts.push_back(policy.encode(item, load(item)));
  return prompts;
}

/// A judge's answers to held-out items' captions.
Evaluation judged(const caprl::ExactJudge<float>& judge, std::span<const caprl::CaptionItem> items,
                  std::span<const caprl::RolloutGroup> captions) {
  std::vector<const caprl::CaptionItem*> pointers;
  for (const caprl::CaptionItem& item : items) pointers.push_back(&item);
  return evaluate_captions(judge, std::span<const caprl::CaptionItem* const>(pointers),
                           first_captions(caprl::captions_of(captions)));
}

/// Items that a captioner is validated on, loaded and encoded once.
struct Validation {
  std::span<const caprl::CaptionItem> items;
  std::vector<caprl::VlmPrompt> prompts;
  caprl::CaptionSettings settings;
};

/// How held-out items are captioned: as many at once as while training, where that is told.
caprl::CaptionSettings caption_settings(const ReinforceOptions& options, std::uint64_t seed) {
  caprl::CaptionSettings settings{.maximum_tokens = options.maximum_tokens, .seed = seed};
  if (options.rollout_items > 0) settings.batch_items = options.rollout_items;
  return settings;
}

caprl::ExactJudgeSettings judge_settings(const ReinforceOptions& options) {
  return {.prompt = options.judge.prompt(), .maximum_rows = options.judge_rows};
}

caprl::ExactJudgeSettings training_judge_settings(const ReinforceOptions& options) {
  caprl::ExactJudgeSettings settings = judge_settings(options);
  if (options.penalty >= 0) settings.penalty = options.penalty;
  settings.orders = {.kind = caprl::OptionOrders::Kind::cyclic, .count = options.orders, .seed = options.seed};
  return settings;
}

/// Of the released code, where they are asked for.
caprl::PublishedFaults faults_of(const ReinforceOptions& options) {
  return options.published_faults ? caprl::published() : caprl::PublishedFaults{};
}

caprl::SampledJudgeSettings sampled_judge_settings(const ReinforceOptions& options) {
  caprl::SampledJudgeSettings settings{.prompt = judge_settings(options).prompt, .draws = options.draws};
  if (options.penalty >= 0) settings.penalty = options.penalty;
  settings.seed = options.seed;
  settings.faults = faults_of(options);
  settings.maximum_rows = options.judge_rows;
  return settings;
}

/// The reward that the options name, of a judge's accuracy and the terms beside it. `tokens` must outlive it.
AnyReward reward_of(const ReinforceOptions& options, const caprl::ModelFolder<caprl::Decoder<float>>& model,
                    caprl::JudgeTally& tokens) {
  using namespace caprl;
  AnyReward reward =
      options.reward == "sampled"
          ? AnyReward(SampledJudge<float>(model.model, model.tokenizer, sampled_judge_settings(options), &tokens))
          : AnyReward(ExactJudge<float>(model.model, model.tokenizer, training_judge_settings(options), &tokens));
  const auto add = [&](auto term, double weight) {
    if (weight == 0) return;
    reward = AnyReward(WeightedSum{Weighted{std::move(reward), 1.0}, Weighted{std::move(term), weight}});
  };
  add(StampTerm{.published = faults_of(options).repeated_stamps}, options.stamp_weight);
  add(LengthTerm{.full_tokens = options.length_full, .zero_tokens = options.length_zero}, options.length_weight);
  return choose_reward(options.reward, std::move(reward), options.maximum_tokens);
}

std::filesystem::path run_folder(const ReinforceOptions& options) { return options.out / "run"; }

caprl::TrainerSettings trainer_settings(const ReinforceOptions& options, const std::string& name) {
  caprl::TrainerSettings settings;
  settings.title = "reinforcing " + name + " captions";
  settings.batch_items = options.batch;
  settings.samples = options.samples;
  settings.maximum_tokens = options.maximum_tokens;
  settings.validate_every = options.validate_every;
  settings.rollout_items = options.rollout_items;
  settings.micro_tokens = options.micro_tokens;
  settings.truncated = truncated_rule(faults_of(options));
  settings.seed = options.seed;
  settings.run.folder = run_folder(options);
  settings.run.steps = options.steps;
  settings.run.checkpoint_every = options.checkpoint_every;
  settings.run.optimizer.beta2 = options.beta2;
  settings.run.optimizer.epsilon = options.epsilon;
  settings.run.optimizer.weight_decay = options.weight_decay;
  settings.run.learning_rate = {
      .peak = options.learning_rate,
      .warmup_steps = options.warmup_steps.value_or(std::min<caprl::Index>(10, options.steps / 4))};
  settings.run.groups = parameter_groups(options.trained);
  settings.run.recorded.update({{"model", caprl::fingerprint(options.model)},
                                {"judge", caprl::fingerprint(options.judge.folder)},
                                {"standard_prompt", options.judge.standard_prompt},
                                {"empty_thinking", options.judge.empty_thinking},
                                {"data", caprl::fingerprints(options.data)},
                                {"validation", caprl::fingerprint(options.validation)},
                                {"validation_items", options.validation_items},
                                {"test", caprl::fingerprint(options.test)},
                                {"test_items", options.test_items},
                                {"gallery_items", options.gallery_items},
                                {"reward", options.reward},
                                {"steps", options.steps},
                                {"orders", options.orders},
                                {"draws", options.draws},
                                {"bf16", options.bf16_weights},
                                {"penalty", options.penalty}});
  return settings;
}

/// `policy_kl`, of as many items at once as are captioned at once: micro_tokens bounds captions alone, and short ones
/// would bring all items' pictures at once.
double divergence(const caprl::AnyVlmPolicy& base, std::span<const caprl::VlmPrompt> prompts,
                  std::span<const caprl::RolloutGroup> captions, caprl::Index at_once, caprl::Index micro_tokens) {
  double sum = 0;
  for (std::size_t begin = 0; begin < prompts.size(); begin += static_cast<std::size_t>(at_once)) {
    const std::size_t count = std::min(prompts.size() - begin, static_cast<std::size_t>(at_once));
    for (const auto& group : caprl::kl_of_rollouts(base, prompts.subspan(begin, count), captions.subspan(begin, count),
                                                   1.0, micro_tokens)) {
      for (const double kl : group) sum += kl;
    }
  }
  return sum / static_cast<double>(caprl::tokens_in(captions));
}

/// Adds the figures of a validation to a step's metrics; gives the accuracy.
double validate(const Validation& held_out, const caprl::ExactJudge<float>& judge, const caprl::AnyVlmPolicy& base,
                const caprl::AnyVlmPolicy& policy, caprl::Index micro_tokens, caprl::MetricsRow& metrics) {
  const std::span<const caprl::VlmPrompt> prompts(held_out.prompts);
  const auto captions = caprl::caption_prompts(policy, prompts, caprl::Sample<>(), held_out.settings);
  Summary figures;
  add_figures(figures, "validation", "now", judged(judge, held_out.items, captions),
              {.resamples = 1});  // metrics have no intervals
  for (const std::string figure : {"accuracy", "abstain", "caption_tokens", "recall", "precision"}) {
    const std::string name = "validation." + figure;
    if (figures.has(name + ".now")) metrics.add(name, figures.at(name + ".now"));
  }
  metrics.add("validation.kl_to_start",
              divergence(base, prompts, captions, held_out.settings.batch_items, micro_tokens));
  return figures.at("validation.accuracy.now");
}

/// One held-out item with its pictures, captions and the judge's answers.
caprl::ReportGalleryItem gallery_item(const caprl::CaptionItem& item, std::span<const caprl::Clip> media,
                                      const Evaluation& before, const Evaluation& after, std::size_t i) {
  caprl::ReportGalleryItem shown{.title = item.id,
                                 .pictures = {},
                                 .caption_before = before.captions[i].text,
                                 .caption_after = after.captions[i].text,
                                 .questions = {}};
  for (const caprl::Clip& clip : media) {
    for (const caprl::Frame& frame : clip.frames) {
      shown.pictures.push_back({frame.image, clip.frames.size() > 1 ? caprl::time_stamp(frame.seconds) : ""});
    }
  }
  for (std::size_t q = 0; q < item.questions.size(); ++q) {
    const caprl::Question& question = item.questions[q];
    shown.questions.push_back({.text = question.text,
                               .options = question.options,
                               .gold = question.gold,
                               .before = before.judged[i].answers[q].options,
                               .after = after.judged[i].answers[q].options});
  }
  return shown;
}

/// Captions of held-out items by the captioner that a run began with and by the one that it made.
struct HeldOutCaptions {
  std::vector<caprl::RolloutGroup> base, trained, greedy_base, greedy_trained;
};

/// Items are encoded as many at a time as are captioned at once, and let go.
HeldOutCaptions held_out_captions(const caprl::AnyVlmPolicy& base, const caprl::AnyVlmPolicy& trained,
                                  std::span<const caprl::CaptionItem> items, const CaptionerMedia& load,
                                  const caprl::CaptionSettings& settings) {
  using namespace caprl;
  HeldOutCaptions captions;
  const auto at_once = static_cast<std::size_t>(settings.batch_items);
  for (std::size_t begin = 0; begin < items.size(); begin += at_once) {
    const auto prompts = encoded(base, items.subspan(begin, std::min(at_once, items.size() - begin)), load);
    const auto add = [&](const AnyVlmPolicy& policy, const auto& sampler, std::vector<RolloutGroup>& to) {
      auto more = caption_prompts(policy, std::span<const VlmPrompt>(prompts), sampler, settings, begin);
      std::ranges::move(more, std::back_inserter(to));
    };
    add(base, Sample<>(), captions.base);
    add(trained, Sample<>(), captions.trained);
    add(base, Greedy{}, captions.greedy_base);
    add(trained, Greedy{}, captions.greedy_trained);
  }
  return captions;
}

/// What a captioner gained, on held-out items that nothing was chosen by; written to the stage's folder.
Stage measured_stage(const ReinforceOptions& options, const std::string& name, const caprl::AnyVlmPolicy& base,
                     const caprl::AnyVlmPolicy& policy, const caprl::ExactJudge<float>& measure,
                     std::span<const caprl::CaptionItem> items) {
  using namespace caprl;
  std::printf("measuring on %zu held-out items\n", items.size());
  std::fflush(stdout);
  const CaptionerMedia load = captioner_media(base.model(), options.model, options.frames);
  const HeldOutCaptions captions = held_out_captions(base, policy, items, load, caption_settings(options, 2));
  Stage stage{.name = name, .folder = options.out};
  const Evaluation before = judged(measure, items, captions.base);
  const Evaluation after = judged(measure, items, captions.trained);
  add_figures(stage.summary, name, "base", before);
  add_figures(stage.summary, name, "trained", after);
  add_figures(stage.summary, name, "greedy.base", judged(measure, items, captions.greedy_base));
  add_figures(stage.summary, name, "greedy.trained", judged(measure, items, captions.greedy_trained));
  add_run_figures(stage.summary, name, run_folder(options));
  const auto shown = std::min(static_cast<std::size_t>(options.gallery_items), items.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const CaptionItem& item = items[i];
    stage.gallery.push_back(gallery_item(item, load(item), before, after, i));
  }
  save_stage(stage);
  return stage;
}

/// Throws Error for an option that this run would not look at, and for adapters' settings without adapters.
void require_used(const ReinforceOptions& options) {
  const ReinforceOptions usual;
  const bool sampled = options.reward == "sampled";
  caprl::require(!options.published_faults || sampled,
                 "[--published-faults] expected --reward sampled: the other judge has none of them");
  caprl::require(options.draws == usual.draws || sampled,
                 "[--draws] expected --reward sampled: otherwise every question is asked");
  caprl::require(options.orders == usual.orders || !sampled,
                 "[--orders] expected another --reward: one that is sampled shuffles the options of each draw");
  caprl::require(options.length_weight == 0 || options.reward != "length",
                 "[--length-weight] expected another --reward: that one is for length alone");
  caprl::require((options.length_full == usual.length_full && options.length_zero == usual.length_zero) ||
                     options.length_weight != 0,
                 "[--length-weight] expected a weight beside --length-full and --length-zero");
  lora_settings(options.trained);
}

/// Trains and measures; nothing where the run was interrupted.
std::optional<Stage> trained_stage(const ReinforceOptions& options, const std::string& name) {
  using namespace caprl;
  require_used(options);
  const Splits splits = load_splits(options);
  require_batch(std::ssize(splits.train), options.batch);
  const VlmPolicySettings memory{.maximum_rows = options.maximum_rows, .recompute_blocks = options.recompute_blocks};
  TrainerSettings settings = trainer_settings(options, name);
  const auto judge = load_language_model(options.judge.folder);
  const ExactJudge<float> measure(judge.model, judge.tokenizer, judge_settings(options));
  const MemoryPlan plan = require_memory(
      options,
      planned_run(options, settings, memory, judge.model.settings, splits.validation.size(), splits.test.size()),
      JudgeTokens(judge.tokenizer, options.judge.prompt()), splits.train);
  const AnyVlmPolicy base = load_vlm_policy(options.model, memory);
  const AnyVlmPolicy policy = load_vlm_policy(options.model, memory);  // a second set of weights: it is trained
  const CaptionerMedia load = captioner_media(policy.model(), options.model, options.frames);
  settings.run.recorded["frames"] = load.sampler.recorded();
  add_adapters(options.trained, policy.model(), options.seed, settings.run.recorded);
  print_trained(settings.run.groups, policy.blocks());
  JudgeTally judge_tally;
  AnyReward reward = reward_of(options, judge, judge_tally);

  settings.judge_tally = &judge_tally;
  const Validation validation{splits.validation, encoded(base, splits.validation, load), caption_settings(options, 1)};
  Trainer trainer(policy, Sample{Temperature{options.temperature}}, reward,
                  choose_estimator(options.estimator, options.spread_floor), settings);
  trainer.run(std::span<const CaptionItem>(splits.train), load, [&](Index, MetricsRow& metrics) {
    return validate(validation, measure, base, policy, options.micro_tokens, metrics);
  });
  if (interrupted()) return std::nullopt;
  if (is_finished_stage(options.out)) return load_stage(options.out);
  print_memory(plan);
  if (!is_control(options.reward)) load_best(run_folder(options), policy.blocks());
  save_trained(options.trained, policy.model(), options.model, options.out,
               options.bf16_weights ? WeightFormat::bf16 : WeightFormat::float32);

  return measured_stage(options, name, base, policy, measure, splits.test);
}

}  // namespace

void reinforce(ReinforceOptions options, const std::string& name) {
  const CaptionerDefaults defaults = captioner_defaults(options.model, options.trained.lora_rank > 0);
  if (options.learning_rate == 0) options.learning_rate = defaults.reinforce_rate;
  if (options.maximum_tokens == 0) options.maximum_tokens = defaults.reinforce_tokens;
  const auto stage = trained_stage(options, name);
  if (stage && !options.no_report) write_training_report({&*stage, 1}, options.out);
}

}  // namespace examples
