#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caprl/data/caption_data.hpp"
#include "caprl/data/disjoint.hpp"
#include "caprl/evaluate/policy_kl.hpp"
#include "caprl/model/language_model.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/train/trainer.hpp"
#include "support/evaluation.hpp"
#include "support/program.hpp"
#include "support/training_report.hpp"

/// The main job, for images and for videos: reinforce a captioner with an exact judge's rewards, measure it before and
/// after on held-out items, and write a report.
namespace examples {

struct ReinforceOptions {
  std::filesystem::path data, validation, test;
  std::filesystem::path model, judge, out;
  caprl::Index steps = 100;
  caprl::Index batch = 32;
  caprl::Index samples = 8;
  caprl::Index maximum_tokens = 96;
  caprl::Index orders = 1;
  caprl::Index validate_every = 10;
  caprl::Index validation_items = 128;
  caprl::Index test_items = 400;
  caprl::Index gallery_items = 3;
  double learning_rate = 3e-4;
  double temperature = 1;
  double penalty = -1;
  std::uint64_t seed = 1;
  bool standard_prompt = false;
};

inline void add_reinforce_options(CLI::App& app, ReinforceOptions& options) {
  app.add_option("--data", options.data, "Items to train on, JSON Lines")->required()->check(CLI::ExistingFile);
  app.add_option("--validation", options.validation, "Items to choose the best checkpoint by")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--test", options.test, "Items to measure on")->required()->check(CLI::ExistingFile);
  app.add_option("--model", options.model, "Folder of the captioner to start from")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--judge", options.judge, "Folder of the judge")->required()->check(CLI::ExistingDirectory);
  app.add_option("--out", options.out, "Folder for the run, the trained captioner and the report")->required();
  app.add_option("--steps", options.steps, "Optimizer steps")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--batch", options.batch, "Items a step")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--samples", options.samples, "Captions for each item")
      ->capture_default_str()
      ->check(CLI::Range(2, 1024));
  app.add_option("--maximum-tokens", options.maximum_tokens, "Length limit of a caption")->capture_default_str();
  app.add_option("--orders", options.orders, "Option orders a question is asked in while training")
      ->capture_default_str();
  app.add_option("--learning-rate", options.learning_rate, "After the warm-up")->capture_default_str();
  app.add_option("--temperature", options.temperature, "Of the captions sampled")->capture_default_str();
  app.add_option("--penalty", options.penalty, "Cost of a wrong answer; negative: 1 / (options - 1)")
      ->capture_default_str();
  app.add_option("--validate-every", options.validate_every, "Steps")->capture_default_str();
  app.add_option("--validation-items", options.validation_items, "How many of them")->capture_default_str();
  app.add_option("--test-items", options.test_items, "How many of them")->capture_default_str();
  app.add_option("--seed", options.seed, "Of the order and the draws")->capture_default_str();
  app.add_flag("--standard-prompt", options.standard_prompt,
               "Ask the judge with instructions and worked examples: for instructed language models");
  add_threads_option(app);
}

inline std::vector<caprl::CaptionItem> load_items(const std::filesystem::path& path, caprl::Index most) {
  auto items = caprl::load_caption_data(path, {.keep_extra = true});
  if (most > 0 && static_cast<caprl::Index>(items.size()) > most) items.resize(static_cast<std::size_t>(most));
  return items;
}

/// Trains and measures; nothing where the run was interrupted. `name` is "image" or "video"; `load(item)` gives an
/// item's media; `make_reward(judge)` the reward; `prepare(items)` may complete loaded items.
template <class Load, class MakeReward, class Prepare>
std::optional<TrainingReport> reinforce(const ReinforceOptions& options, const std::string& name, const Load& load,
                                        const MakeReward& make_reward, const Prepare& prepare) {
  using namespace caprl;
  auto train_items = load_items(options.data, 0);
  auto validation = load_items(options.validation, options.validation_items);
  auto test = load_items(options.test, options.test_items);
  const std::array<DataSplit, 3> splits{{{"train", train_items}, {"validation", validation}, {"test", test}}};
  require_disjoint(splits);
  for (auto* items : {&train_items, &validation, &test}) prepare(*items);

  const auto base_folder = load_tiny_vlm(options.model);
  const TinyVlmPolicy<> base(base_folder.model, base_folder.tokenizer);
  const auto start = load_tiny_vlm(options.model);
  const TinyVlmPolicy<> policy(start.model, start.tokenizer);
  const auto judge_folder = load_language_model(options.judge);
  ExactJudgeSettings judge_settings;
  judge_settings.prompt = options.standard_prompt ? QuestionPrompt::standard() : QuestionPrompt::brief();
  const ExactJudge<float> full_judge(judge_folder.model, judge_folder.tokenizer, judge_settings);
  if (options.penalty >= 0) judge_settings.penalty = options.penalty;
  judge_settings.orders = {.kind = OptionOrders::Kind::cyclic, .count = options.orders, .seed = options.seed};
  auto reward = make_reward(ExactJudge<float>(judge_folder.model, judge_folder.tokenizer, judge_settings));

  TrainerSettings settings;
  settings.title = "reinforcing";
  settings.batch_items = options.batch;
  settings.samples = options.samples;
  settings.maximum_tokens = options.maximum_tokens;
  settings.validate_every = options.validate_every;
  settings.seed = options.seed;
  settings.run.folder = options.out / "run";
  settings.run.steps = options.steps;
  settings.run.checkpoint_every = 10;
  settings.run.learning_rate = {.peak = options.learning_rate, .warmup_steps = std::min<Index>(10, options.steps / 4)};
  settings.run.recorded = {{"steps", options.steps},
                           {"batch", options.batch},
                           {"samples", options.samples},
                           {"maximum_tokens", options.maximum_tokens},
                           {"orders", options.orders},
                           {"learning_rate", options.learning_rate},
                           {"temperature", options.temperature},
                           {"penalty", options.penalty},
                           {"seed", options.seed},
                           {"items", train_items.size()}};
  std::filesystem::create_directories(settings.run.folder);

  const auto validation_list = pointers(validation);
  const auto validate = [&](Index, MetricsRow& metrics) {
    const auto captions = caption_items(policy, std::span<const CaptionItem* const>(validation_list), load, Sample<>(),
                                        options.maximum_tokens, 1);
    std::vector<Caption> texts;
    std::vector<RolloutGroup> groups;
    std::vector<VlmPrompt> prompts;
    for (std::size_t i = 0; i < captions.size(); ++i) {
      texts.push_back(captions[i].caption);
      groups.push_back({captions[i]});
      prompts.push_back(policy.encode(validation[i], load(validation[i])));
    }
    const Evaluation evaluation =
        evaluate_captions(full_judge, std::span<const CaptionItem* const>(validation_list), texts);
    Summary figures;
    figures.add("validation", "now", evaluation);
    metrics.add("validation.accuracy", figures.at("validation.accuracy.now"));
    metrics.add("validation.abstain", figures.at("validation.abstain.now"));
    metrics.add("validation.caption_tokens", figures.at("validation.caption_tokens.now"));
    if (figures.has("validation.recall.now")) {
      metrics.add("validation.recall", figures.at("validation.recall.now"));
      metrics.add("validation.precision", figures.at("validation.precision.now"));
    }
    metrics.add("validation.kl_to_start", policy_kl(base, std::span<const VlmPrompt>(prompts), groups, 1.0));
    return figures.at("validation.accuracy.now");
  };

  Trainer trainer(policy, Sample{Temperature{options.temperature}}, reward, Rloo{}, settings);
  trainer.run(std::span<const CaptionItem>(train_items), load, validate);
  if (interrupted()) {
    std::printf("stopped; the same command goes on from here\n");
    return std::nullopt;
  }
  TrainingRun<float>(settings.run, policy.blocks()).load_best();
  save_tiny_vlm(policy.model(), options.model / "tokenizer.json", options.out / "model");

  std::printf("measuring on %zu held-out items\n", test.size());
  const auto test_list = pointers(test);
  const std::span<const CaptionItem* const> tests(test_list);
  const auto measure = [&](const TinyVlmPolicy<>& captioner, const auto& sampler) {
    return evaluate(captioner, full_judge, tests, load, sampler, options.maximum_tokens, 2);
  };
  TrainingReport report{.name = name, .run_folder = settings.run.folder};
  report.before = measure(base, Sample<>());
  report.after = measure(policy, Sample<>());
  report.summary.add(name, "base", report.before);
  report.summary.add(name, "trained", report.after);
  report.summary.add(name, "greedy.base", measure(base, Greedy{}));
  report.summary.add(name, "greedy.trained", measure(policy, Greedy{}));
  for (Index i = 0; i < std::min<Index>(options.gallery_items, static_cast<Index>(test.size())); ++i) {
    report.gallery.push_back(
        gallery_item(report, *test_list[static_cast<std::size_t>(i)], load, static_cast<std::size_t>(i)));
  }
  return report;
}

}  // namespace examples
