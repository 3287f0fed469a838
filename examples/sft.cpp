/// Teaches a captioner to write given captions: the supervised stage that comes before reinforcement.
///
///     new_captioner --tokenizer build/tokenizer.json --out build/new
///     sft --model build/new --data build/world/images_train.jsonl --out build/base
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "caprl/data/caption_data.hpp"
#include "caprl/io/fingerprint.hpp"
#include "caprl/policy/any_vlm_policy.hpp"
#include "caprl/train/supervised.hpp"
#include "support/captioner_defaults.hpp"
#include "support/captioner_media.hpp"
#include "support/item_captions.hpp"
#include "support/program.hpp"
#include "support/trained_parts.hpp"

using namespace caprl;

namespace {

struct Options {
  std::vector<std::filesystem::path> data;
  std::filesystem::path validation;
  std::filesystem::path model;
  std::filesystem::path out;
  std::string caption_field = "caption";
  bool bf16_weights = false;
  Index steps = 3000;
  Index batch = 64;
  Index validate_every = 200;
  Index checkpoint_every = 200;
  std::optional<double> learning_rate = {};
  std::uint64_t seed = 1;
  examples::FrameOptions frames;
  examples::TrainedParts trained;
};

/// The mean negative log-probability of a validation caption's token.
double validation_loss(const AnyVlmPolicy& policy, std::span<const CaptionItem> items,
                       const examples::CaptionerMedia& load) {
  const NoGradient silent;
  double sum = 0;
  Index tokens = 0;
  for (const CaptionItem& item : items) {
    const std::vector<VlmPrompt> prompts{policy.encode(item, load(item))};
    const std::vector<RolloutGroup> captions{{policy.rollout_of(item.caption)}};
    const auto log_probabilities = policy.log_probabilities(prompts, captions, 1.0);
    for (const float value : log_probabilities.value().span()) sum -= static_cast<double>(value);
    tokens += log_probabilities.value().elements();
  }
  return sum / static_cast<double>(tokens);
}

void run(const Options& options) {
  const examples::CaptionerDefaults defaults =
      examples::captioner_defaults(options.model, options.trained.lora_rank > 0);
  std::vector<CaptionItem> items;
  for (const auto& path : options.data) {
    auto more = examples::load_item_captions(path, options.caption_field, {.require_questions = false});
    items.insert(items.end(), more.begin(), more.end());
  }
  examples::require_batch(std::ssize(items), options.batch);
  std::vector<CaptionItem> held_out;
  if (!options.validation.empty()) {
    held_out = examples::load_item_captions(options.validation, options.caption_field, {.require_questions = false});
    held_out.resize(std::min<std::size_t>(held_out.size(), 256));
  }
  const AnyVlmPolicy policy = load_vlm_policy(options.model);
  SupervisedSettings settings;
  examples::add_adapters(options.trained, policy.model(), options.seed, settings.run.recorded);
  settings.run.groups = examples::parameter_groups(options.trained);
  examples::print_trained(settings.run.groups, policy.blocks());
  const auto load = examples::captioner_media(policy.model(), options.model, options.frames);

  settings.title = "teaching";
  settings.batch_items = options.batch;
  settings.seed = options.seed;
  settings.run.folder = options.out / "run";
  settings.run.steps = options.steps;
  settings.run.checkpoint_every = options.checkpoint_every;
  settings.run.optimizer = {.beta2 = 0.95, .weight_decay = 0.05};
  settings.run.learning_rate = {.peak = options.learning_rate.value_or(defaults.teach_rate),
                                .warmup_steps = std::min<Index>(200, options.steps / 10),
                                .decay_steps = options.steps,
                                .final_share = 0.05};
  settings.run.recorded.update({{"steps", options.steps},
                                {"start", fingerprint(options.model)},
                                {"data", fingerprints(options.data)},
                                {"caption_field", options.caption_field},
                                {"frames", load.sampler.recorded()}});
  train_supervised(policy, items, load, settings, [&](Index step, MetricsRow& metrics) {
    const bool due = (step + 1) % options.validate_every == 0 || step + 1 == options.steps;
    if (held_out.empty() || !due) return;
    const double loss = validation_loss(policy, std::span<const CaptionItem>(held_out), load);
    metrics.add("validation_loss", loss);
    std::printf("step %ld: validation loss %.4f\n", static_cast<long>(step + 1), loss);
    std::fflush(stdout);
  });
  if (interrupted()) return;
  examples::save_trained(options.trained, policy.model(), options.model, options.out,
                         options.bf16_weights ? WeightFormat::bf16 : WeightFormat::float32);
  std::printf("saved %s\n", (options.out / "model").c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Teaches a captioner to write given captions.");
  app.add_option("--data", options.data, "JSON Lines files with captions")->required()->check(CLI::ExistingFile);
  app.add_option("--validation", options.validation, "JSON Lines file with held-out captions")
      ->check(CLI::ExistingFile);
  app.add_option("--model", options.model, "Folder of the captioner to start from")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--out", options.out, "Folder for the run and the taught captioner")->required();
  app.add_option("--steps", options.steps, "Optimizer steps")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--batch", options.batch, "Items a step")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--learning-rate", options.learning_rate,
                 "Peak learning rate (default: 2e-3 for a small captioner, else 1e-5, with adapters 1e-4)")
      ->check(CLI::PositiveNumber);
  app.add_option("--validate-every", options.validate_every, "Steps; the last one is validated too")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--checkpoint-every", options.checkpoint_every,
                 "Steps; a killed run goes on from the last, one that Ctrl-C stops from where it is")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", options.seed, "Of the data order and of new adapters")->capture_default_str();
  examples::add_frame_options(app, options.frames);
  app.add_option("--caption-field", options.caption_field, "Field of the data that holds the captions")
      ->capture_default_str();
  app.add_flag("--bf16", options.bf16_weights, "Save the weights as bf16");
  auto* rank = examples::add_trained_parts_options(app, options.trained);
  app.add_option("--lora-dropout", options.trained.lora_dropout, "Share of its inputs that an adapter does not see")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.99))
      ->needs(rank);
  examples::add_threads_option(app);
  return examples::run_program(argc, argv, app, [&] { run(options); });
}
