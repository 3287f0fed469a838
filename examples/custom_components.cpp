/// A sampler, an advantage estimator and a reward term of one's own, put together with what the library ships.
///
///     custom_components --data train.jsonl --model captioner --judge judge --out build/custom
#include <algorithm>
#include <cmath>
#include <span>

#include "caprl/data/caption_data.hpp"
#include "caprl/data/load_images.hpp"
#include "caprl/io/fingerprint.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/judge/per_caption.hpp"
#include "caprl/judge/weighted_sum.hpp"
#include "caprl/model/language_model.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/sampling/draw.hpp"
#include "caprl/sampling/logits.hpp"
#include "caprl/train/trainer.hpp"
#include "support/program.hpp"

using namespace caprl;

/// A sampler: softmax(z / T) with a temperature that falls from the first token on, so that captions begin boldly and
/// end carefully. It draws from the whole distribution, but not from one temperature, so it calls itself a filter.
struct CoolingSampler {
  double first = 1.2;
  double last = 0.8;
  Index tokens = 20;  ///< until `last` is reached

  Token operator()(std::span<float> logits, std::span<const Token> history, const RandomKey& key) const {
    const double progress = std::min(1.0, static_cast<double>(history.size()) / static_cast<double>(tokens));
    const double temperature = first + (last - first) * progress;
    for (float& logit : logits) logit = static_cast<float>(logit / temperature);
    require_drawable(logits, "CoolingSampler");
    return draw_token(logits, random_bits(key));
  }
  double temperature() const { return 1; }
  bool filters() const { return true; }
};
static_assert(Sampler<CoolingSampler>);

/// An estimator: the rank of a caption in its group, from -1 to 1. Blind to how far rewards lie apart.
struct RankAdvantage {
  Advantages operator()(const RewardBatch& batch) const {
    Advantages result{std::vector<double>(batch.totals.size(), 0.0), {}};
    for (Index g = 0; g < batch.groups(); ++g) {
      const auto rewards = batch.group(g);
      const auto first = static_cast<std::size_t>(batch.group_begin[static_cast<std::size_t>(g)]);
      bool spread = false;
      for (std::size_t i = 0; i < rewards.size(); ++i) {
        const auto below = std::ranges::count_if(rewards, [&](double reward) { return reward < rewards[i] - 1e-9; });
        const auto above = std::ranges::count_if(rewards, [&](double reward) { return reward > rewards[i] + 1e-9; });
        const auto others = static_cast<double>(std::max<std::size_t>(rewards.size() - 1, 1));
        result.values[first + i] = static_cast<double>(below - above) / others;
        spread = spread || below + above > 0;
      }
      result.group_has_spread.push_back(spread);
    }
    return result;
  }
};
static_assert(AdvantageEstimator<RankAdvantage>);

/// The sentences of a text without their full stops and the blanks around them; empty ones are left out.
std::vector<std::string> sentences_of(const std::string& text) {
  std::vector<std::string> sentences;
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('.', begin), text.size());
    std::size_t first = begin, last = end;
    while (first < last && text[first] == ' ') ++first;
    while (last > first && text[last - 1] == ' ') --last;
    if (first < last) sentences.push_back(text.substr(first, last - first));
  }
  return sentences;
}

/// A reward term: sentences that are said twice cost.
double repetition(const CaptionItem&, const Caption& caption) {
  std::vector<std::string> sentences = sentences_of(caption.text);
  std::ranges::sort(sentences);
  const auto repeated = std::ranges::unique(sentences).size();
  return -static_cast<double>(repeated);
}

int main(int argc, char** argv) {
  std::filesystem::path data, model, judge, out;
  TrainerSettings settings;
  settings.run.steps = 20;
  settings.off_policy = true;  // CoolingSampler draws otherwise than the log-probabilities say
  settings.maximum_tokens = 96;
  settings.run.learning_rate = {.peak = 3e-4, .warmup_steps = 5};
  CLI::App app("Reinforces a captioner with components of one's own.");
  app.add_option("--data", data, "Items to train on")->required()->check(CLI::ExistingFile);
  app.add_option("--model", model, "Folder of the captioner")->required()->check(CLI::ExistingDirectory);
  app.add_option("--judge", judge, "Folder or GGUF file of the judge")->required()->check(CLI::ExistingPath);
  app.add_option("--out", out, "Folder for the run and the trained captioner")->required();
  app.add_option("--steps", settings.run.steps, "Optimizer steps")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--batch", settings.batch_items, "Items a step")->capture_default_str()->check(CLI::PositiveNumber);
  examples::add_threads_option(app);
  return examples::run_program(argc, argv, app, [&] {
    const auto items = load_caption_data(data, {.keep_extra = true});
    const auto captioner = load_tiny_vlm(model);
    const auto reader = load_language_model(judge);
    const TinyVlmPolicy<> policy(captioner.model, captioner.tokenizer);
    ExactJudge<float> accuracy(reader.model, reader.tokenizer,
                               {.prompt = QuestionPrompt::brief(), .orders = {.count = 1}});
    WeightedSum reward{Weighted{std::move(accuracy), 1.0}, Weighted{PerCaption{"repetition", repetition}, 0.1}};
    settings.run.folder = out / "run";
    settings.run.recorded = {{"data", fingerprint(data)}, {"model", fingerprint(model)}, {"judge", fingerprint(judge)}};
    Trainer trainer(policy, CoolingSampler{}, reward, RankAdvantage{}, settings);
    trainer.run(std::span<const CaptionItem>(items), LoadImages{});
    if (interrupted()) return;
    save_tiny_vlm(policy.model(), model / "tokenizer.json", out / "model");
  });
}
