#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "caprl/core/index.hpp"
#include "support/any_estimator.hpp"
#include "support/captioner_media.hpp"
#include "support/judge_options.hpp"
#include "support/program.hpp"
#include "support/rewards.hpp"
#include "support/trained_parts.hpp"

namespace examples {

/// What `caption_images` and `caption_videos` are told.
struct ReinforceOptions {
  std::vector<std::filesystem::path> data;
  std::filesystem::path validation, test;
  std::filesystem::path model, out;
  JudgeOptions judge;
  std::string reward = "accuracy";
  caprl::Index steps = 100;
  caprl::Index batch = 32;
  caprl::Index samples = 8;
  caprl::Index maximum_tokens = 0;  ///< 0: what suits the captioner
  caprl::Index orders = 1;
  caprl::Index draws = 8;
  caprl::Index validate_every = 10;
  caprl::Index checkpoint_every = 10;
  bool bf16_weights = false;
  caprl::Index validation_items = 128;
  caprl::Index test_items = 400;
  caprl::Index gallery_items = 3;
  caprl::Index rollout_items = 0;
  caprl::Index judge_rows = 1024;  // a small judge's activations stay in a core's cache
  caprl::Index micro_tokens = 2048;
  caprl::Index maximum_rows = 0;
  bool recompute_blocks = false;
  double learning_rate = 0;  ///< 0: what suits the captioner
  std::optional<caprl::Index> warmup_steps = {};
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  std::string estimator = "rloo";
  double spread_floor = 0.02;
  double temperature = 1;
  double penalty = -1;
  double stamp_weight = 0;
  double length_weight = 0;
  caprl::Index length_full = 2048;
  caprl::Index length_zero = 3072;
  bool published_faults = false;
  std::uint64_t memory_limit = 0;  ///< bytes; 0: what the system has
  std::uint64_t seed = 1;
  bool no_report = false;
  FrameOptions frames;
  TrainedParts trained;
};

inline void add_file_options(CLI::App& app, ReinforceOptions& options) {
  app.add_option("--data", options.data, "Items to train on, JSON Lines files")->required()->check(CLI::ExistingFile);
  app.add_option("--validation", options.validation, "Items to choose the best checkpoint by")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--test", options.test, "Items to measure on")->required()->check(CLI::ExistingFile);
  app.add_option("--model", options.model, "Folder of the captioner to start from")
      ->required()
      ->check(CLI::ExistingDirectory);
  add_judge_options(app, options.judge);
  app.add_option("--out", options.out, "Folder for the run, the trained captioner and the report")->required();
}

inline void add_reward_options(CLI::App& app, ReinforceOptions& options) {
  app.add_option(
         "--reward", options.reward,
         "accuracy, read off the judge; sampled, of drawn questions and answers as published; or a control that "
         "should teach nothing: permuted (rewards of the batch in random order), other_item (answers to another item's "
         "questions), length (longer is better); what a control trains is kept as it is after the last step")
      ->capture_default_str()
      ->check(CLI::IsMember(reward_names()));
  app.add_option("--orders", options.orders, "Option orders a question is asked in while training; 0: all cyclic ones")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--draws", options.draws, "Questions asked about a caption where the reward is sampled")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--penalty", options.penalty, "Cost of a wrong answer; negative: 1 / (options - 1)")
      ->capture_default_str();
  app.add_option("--length-weight", options.length_weight, "Weight in the reward of a caption that is not too long")
      ->capture_default_str();
  app.add_option("--length-full", options.length_full, "Up to so many tokens that term is 1")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--length-zero", options.length_zero, "From so many on it is 0")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_flag("--published-faults", options.published_faults,
               "With --reward sampled, as CapRL++'s released code has it: the faults of `published()`");
}

/// What decides how much memory a step needs; changes nothing but rounding.
inline void add_memory_options(CLI::App& app, ReinforceOptions& options) {
  app.add_option("--rollout-items", options.rollout_items,
                 "Items whose captions are sampled at once (rollout_items), of held-out ones too; 0: a batch, and 64")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--micro-tokens", options.micro_tokens,
                 "Caption tokens whose gradients are taken at once (micro_tokens)")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--judge-rows", options.judge_rows, "Tokens that the judge reads at once (the judge's maximum_rows)")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--maximum-rows", options.maximum_rows,
                 "Distinct tokens of these worked through at once (maximum_rows); 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--memory-limit", options.memory_limit,
                 "A run that is planned to take more is refused; such as 12G (default: what is available)")
      ->transform(CLI::AsSizeValue(false));
  app.add_flag("--recompute-blocks", options.recompute_blocks, "Keep only the inputs of transformer blocks meanwhile");
}

inline void add_reinforce_options(CLI::App& app, ReinforceOptions& options) {
  app.set_config("--settings", "", "TOML file with any of these options; those given beside it go first");
  app.allow_config_extras(CLI::config_extras_mode::error);
  add_file_options(app, options);
  add_reward_options(app, options);
  add_memory_options(app, options);
  app.add_option("--steps", options.steps, "Optimizer steps")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--batch", options.batch, "Items a step (batch_items)")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--samples", options.samples, "Captions for each item")
      ->capture_default_str()
      ->check(CLI::Range(2, 1024));
  app.add_option("--maximum-tokens", options.maximum_tokens,
                 "Length limit of a caption (default: 1024, of a small captioner 96)")
      ->check(CLI::PositiveNumber);
  app.add_option("--learning-rate", options.learning_rate,
                 "After the warm-up (default: 1e-5, 1e-4 for adapters and small captioners)")
      ->check(CLI::PositiveNumber);
  app.add_option("--warmup-steps", options.warmup_steps, "In which the learning rate rises (default: at most 10)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--beta2", options.beta2, "Of AdamW")->capture_default_str()->check(CLI::Range(0.0, 1.0));
  app.add_option("--epsilon", options.epsilon,
                 "Of AdamW: gradients far below it move the weights by less than the learning rate")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--weight-decay", options.weight_decay, "Of AdamW")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--estimator", options.estimator, "Of advantages: rloo, grpo or dr_grpo")
      ->capture_default_str()
      ->check(CLI::IsMember(estimator_names()));
  app.add_option("--spread-floor", options.spread_floor, "Groups whose rewards differ less teach nothing")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  add_trained_parts_options(app, options.trained);
  app.add_option("--temperature", options.temperature, "Of the captions sampled")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--validate-every", options.validate_every, "Steps")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--checkpoint-every", options.checkpoint_every,
                 "Steps, beside those of validation; a killed run goes on from the last, one that Ctrl-C stops from "
                 "where it is")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_flag("--bf16", options.bf16_weights,
               "Save the weights as bf16: half the size, but small changes of training are rounded away");
  app.add_option("--validation-items", options.validation_items, "How many of them; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--test-items", options.test_items, "How many of them; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--gallery-items", options.gallery_items, "Held-out items that the report shows")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", options.seed, "Of the order and the draws")->capture_default_str();
  app.add_flag("--no-report", options.no_report, "Only train and measure: `report` shows the results, of several runs");
  add_threads_option(app);
}

}  // namespace examples
