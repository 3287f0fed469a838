// A whole step of reinforcing the tiny captioner: 8 captions of each of 32 pictures, their judgement, one update. Reads
// what make_models wrote from the folder in CAPRL_BENCHMARK_MODELS.
//   rl_step_benchmark --start    only loads both models and encodes a prompt, to time the start
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "caprl/advantage/rloo.hpp"
#include "caprl/core/stop_watch.hpp"
#include "caprl/judge/judge_groups.hpp"
#include "caprl/optim/adamw.hpp"
#include "caprl/sampling/sample.hpp"
#include "caprl/train/policy_gradient.hpp"
#include "caprl/train/run.hpp"
#include "tiny_captioner.hpp"

namespace {

using namespace caprl;
using namespace benchmark_support;

std::filesystem::path models() {
  const char* folder = std::getenv("CAPRL_BENCHMARK_MODELS");
  require(folder != nullptr, "[rl_step_benchmark] expected CAPRL_BENCHMARK_MODELS to name a folder");
  return folder;
}

/// The most memory that the process ever held, in MB.
double peak_resident() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) * 1024e-6;
  }
  return 0;
}

struct Parts {
  ModelFolder<TinyVlm<float>> captioner = load_tiny_vlm(models() / "captioner");
  TinyVlmPolicy<> policy{captioner.model, captioner.tokenizer};
  ExactJudge<float> judge = open_judge(load_language_model(models() / "judge"));
};

struct Seconds {
  double rollout = 0, judge = 0, update = 0;
};

/// One step; the numbers that depend on it are the same every time, but for a learning rate that hardly moves.
Seconds run_step(const Parts& parts, AdamWOptimizer<float>& optimizer, const std::vector<CaptionItem>& items,
                 Index& tokens) {
  Seconds seconds;
  StopWatch watch;
  std::vector<const CaptionItem*> batch;
  for (const CaptionItem& item : items) batch.push_back(&item);
  const auto collected =
      collect(parts.policy, batch, load_noise, Sample<>(),
              {.samples = step_samples, .maximum_tokens = step_maximum_tokens, .seed = 1, .step = 0, .item_keys = {}});
  tokens = collected.tokens();
  seconds.rollout = watch.lap();
  const auto rewards = judge_groups(parts.judge, collected);
  seconds.judge = watch.lap();
  const std::vector<std::vector<bool>> truncated(items.size(), std::vector<bool>(step_samples, false));
  const std::vector<double> weights{1.0};
  const RewardSelection selection = select_rewards(rewards, truncated, weights, TruncatedRule::score);
  // A judge with random weights tells captions apart by little: here every group counts, as in the peer.
  const Rloo estimator{.spread_floor = 0};
  const WeightedRollouts rollouts = weigh(collected, selection, estimator(selection.batch));
  add_policy_gradients(parts.policy, static_cast<const TinyVlmPolicy<>*>(nullptr), collected, rollouts, PolicyLoss{},
                       Aggregation{}, /*temperature=*/1.0, /*micro_tokens=*/2048);
  optimizer.step(1e-7);
  seconds.update = watch.lap();
  return seconds;
}

void ours(benchmark::State& state) {
  const Parts parts;
  AdamWOptimizer<float> optimizer(parameters_of<float>(parts.policy.model()), {});
  const std::vector<CaptionItem> items = make_items(step_items);
  Index tokens = 0;
  run_step(parts, optimizer, items, tokens);
  Seconds sum;
  for (auto _ : state) {
    const Seconds seconds = run_step(parts, optimizer, items, tokens);
    sum.rollout += seconds.rollout;
    sum.judge += seconds.judge;
    sum.update += seconds.update;
  }
  const auto mean = [](double value) { return benchmark::Counter(value, benchmark::Counter::kAvgIterations); };
  state.counters["rollout_s"] = mean(sum.rollout);
  state.counters["judge_s"] = mean(sum.judge);
  state.counters["update_s"] = mean(sum.update);
  state.counters["caption_tokens"] = static_cast<double>(tokens);
  state.counters["peak_MB"] = peak_resident();
}

BENCHMARK(ours)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--start") {
    const Parts parts;
    const CaptionItem item = make_items(1).front();
    return parts.policy.encode(item, load_noise(item)).tokens.empty() ? 1 : 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
