/// The training loop written out from the public pieces, for those who want another one than `Trainer`.
///
///     custom_loop --data train.jsonl --model captioner --judge judge --out build/loop
#include <cstdio>

#include "caprl/data/caption_data.hpp"
#include "caprl/data/load_images.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/model/language_model.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/sampling/sample.hpp"
#include "caprl/train/trainer.hpp"
#include "support/program.hpp"

using namespace caprl;

int main(int argc, char** argv) {
  std::filesystem::path data, model, judge_folder, out;
  Index steps = 20, batch_items = 32;
  CLI::App app("Reinforces a captioner with a loop of one's own.");
  app.add_option("--data", data, "Items to train on")->required()->check(CLI::ExistingFile);
  app.add_option("--model", model, "Folder of the captioner")->required()->check(CLI::ExistingDirectory);
  app.add_option("--judge", judge_folder, "Folder or GGUF file of the judge")->required()->check(CLI::ExistingPath);
  app.add_option("--out", out, "Folder for the trained captioner")->required();
  app.add_option("--steps", steps, "Optimizer steps")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--batch", batch_items, "Items a step")->capture_default_str()->check(CLI::PositiveNumber);
  return examples::run_program(argc, argv, app, [&] {
    const auto items = load_caption_data(data, {.keep_extra = true});
    const auto captioner = load_tiny_vlm(model);
    const auto reader = load_language_model(judge_folder);
    const TinyVlmPolicy<> policy(captioner.model, captioner.tokenizer);
    const ExactJudge<float> judge(reader.model, reader.tokenizer,
                                  {.prompt = QuestionPrompt::brief(), .orders = {.count = 1}});
    AdamWOptimizer<float> optimizer(parameters_of<float>(policy.model()), {});
    DataOrder order(static_cast<Index>(items.size()), /*seed=*/1);

    for (Index step = 0; step < steps; ++step) {
      // 1. Sample eight captions for each item of a batch.
      std::vector<const CaptionItem*> batch;
      for (const Index i : order.batch(step, batch_items)) batch.push_back(&items[static_cast<std::size_t>(i)]);
      const auto collected = collect(
          policy, batch, LoadImages{}, Sample<>(),
          {.samples = 8, .maximum_tokens = 96, .seed = 1, .step = static_cast<std::uint32_t>(step), .item_keys = {}});
      // 2. Judge them; a group whose judging failed is left out, and what the length limit cut off earns nothing.
      const auto rewards = judge_groups(judge, collected);
      const std::vector<double> weights{1.0};
      const RewardSelection selection = select_rewards(rewards, truncated_flags(collected.groups), weights);
      // 3. Turn rewards into advantages, and those into gradients.
      const WeightedRollouts rollouts = weigh(collected, selection, Rloo{}(selection.batch));
      const PolicyGradientStep update =
          add_policy_gradients(policy, static_cast<const TinyVlmPolicy<>*>(nullptr), collected, rollouts, PolicyLoss{},
                               Aggregation{}, /*temperature=*/1.0, /*micro_tokens=*/2048);
      // 4. Update, if there is a gradient to follow: without one neither decay nor momentum should move the weights.
      const double norm = update.tokens > 0 ? optimizer.step(3e-4) : 0.0;
      double mean = 0;
      for (const double reward : selection.batch.totals) mean += reward;
      std::printf("step %ld  reward %.3f  gradient %.3f  tokens %ld\n", static_cast<long>(step),
                  mean / static_cast<double>(selection.batch.totals.size()), norm, static_cast<long>(update.tokens));
    }
    save_tiny_vlm(policy.model(), model / "tokenizer.json", out);
  });
}
