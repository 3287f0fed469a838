#include "caprl/train/trainer.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "caprl/advantage/gdpo.hpp"
#include "caprl/advantage/grpo.hpp"
#include "caprl/judge/length_term.hpp"
#include "caprl/judge/per_caption.hpp"
#include "caprl/judge/weighted_sum.hpp"
#include "caprl/model/lora.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/sampling/sample.hpp"
#include "caprl/train/published_recipe.hpp"
#include "caprl/train/supervised.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_world.hpp"

using namespace caprl;
using namespace caprl::test;

namespace {

TinyVlmPolicy<> small_policy() {
  const Tokenizer tokenizer = small_tokenizer();
  return TinyVlmPolicy<>(small_vlm(tokenizer), tokenizer);
}

std::vector<CaptionItem> small_items(Index count) {
  std::vector<CaptionItem> items;
  for (Index i = 0; i < count; ++i) {
    items.push_back(image_item());
    items.back().id = std::to_string(i);
  }
  return items;
}

/// Items have no files: their pictures are made from their ids.
const auto load_noise = [](const CaptionItem& item) {
  return std::vector<Clip>{image_clip(static_cast<std::uint32_t>(std::stoul(item.id)))};
};

/// Rewards captions for the letter e.
const auto share_of_e = [](const CaptionItem&, const Caption& caption) {
  const auto count = std::count(caption.text.begin(), caption.text.end(), 'e');
  return static_cast<double>(count) / static_cast<double>(std::max<std::size_t>(caption.text.size(), 1));
};

TrainerSettings small_settings(const std::filesystem::path& folder, Index steps) {
  TrainerSettings settings;
  settings.run.folder = folder;
  settings.run.steps = steps;
  settings.run.checkpoint_every = 2;
  settings.run.learning_rate = {.peak = 5e-3};
  settings.batch_items = 4;
  settings.samples = 6;
  settings.maximum_tokens = 12;
  settings.truncated = TruncatedRule::score;
  return settings;
}

template <class Judge>
void train(const TinyVlmPolicy<>& policy, Judge& judge, const TrainerSettings& settings) {
  std::filesystem::create_directories(settings.run.folder);
  const auto items = small_items(8);
  Trainer trainer(policy, Sample<>(), judge, Rloo{.spread_floor = 0}, settings);
  trainer.run(std::span<const CaptionItem>(items), load_noise, [](Index, MetricsRow&) { return 0.0; });
}

/// Adapters on some layers of tower, projection and decoder.
constexpr std::size_t adapted_layers = 2 + 1 + 2 * 2;
TinyVlmPolicy<> adapted_policy(Index rank = 2, double dropout = 0) {
  const Tokenizer tokenizer = small_tokenizer();
  const auto model = small_vlm(tokenizer);
  add_lora<float>(model,
                  {.rank = rank,
                   .dropout = dropout,
                   .targets = std::vector<std::string>{"q_proj", "down_proj", "visual.projection"}},
                  3);
  return TinyVlmPolicy<>(model, tokenizer);
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<float> weights_of(const TinyVlmPolicy<>& policy) {
  std::vector<float> weights;
  for (const auto& parameter : parameters_of<float>(policy.model())) {
    weights.insert(weights.end(), parameter.value().span().begin(), parameter.value().span().end());
  }
  return weights;
}

/// The weights after the trainer's first step.
template <class Judge>
std::vector<float> after_one_step(Judge judge, TrainerSettings settings) {
  const auto policy = small_policy();
  settings.run.steps = 1;
  train(policy, judge, settings);
  return weights_of(policy);
}

/// The same with the step written out, on the rollouts for which keep(group, rollout) holds and as if there were no
/// others.
template <class Keep>
std::vector<float> after_step_by_hand(const TrainerSettings& settings, const Keep& keep) {
  const auto policy = small_policy();
  const auto items = small_items(8);
  std::vector<const CaptionItem*> batch;
  GenerateSettings generate{.samples = settings.samples, .maximum_tokens = settings.maximum_tokens, .item_keys = {}};
  for (const Index i : DataOrder(8, settings.seed).batch(0, settings.batch_items)) {
    batch.push_back(&items[static_cast<std::size_t>(i)]);
    generate.item_keys.push_back(static_cast<std::uint32_t>(i));
  }
  const auto all = collect(policy, batch, load_noise, Sample<>(), generate);
  Collected<TinyVlmPolicy<>> kept;
  for (std::size_t g = 0; g < all.groups.size(); ++g) {
    RolloutGroup group;
    for (const Rollout& rollout : all.groups[g]) {
      if (keep(g, rollout)) group.push_back(rollout);
    }
    if (group.empty()) continue;
    kept.items.push_back(all.items[g]);
    kept.prompts.push_back(all.prompts[g]);
    kept.groups.push_back(std::move(group));
  }
  PerCaption judge{"e", share_of_e};
  std::vector<std::vector<bool>> truncated;
  for (const RolloutGroup& group : kept.groups) truncated.emplace_back(group.size(), false);
  const std::vector<double> weights{1.0};
  const auto selection = select_rewards(judge_groups(judge, kept), truncated, weights);
  const auto weighted = weigh(kept, selection, Rloo{.spread_floor = 0}(selection.batch));
  RunSettings run_settings = settings.run;
  run_settings.folder += "_by_hand";
  std::filesystem::create_directories(run_settings.folder);
  TrainingRun<float> run(run_settings, policy.blocks());
  for (Index update = 0; update < settings.updates; ++update) {
    add_policy_gradients<TinyVlmPolicy<>>(policy, nullptr, kept, weighted, settings.loss, settings.aggregation, 1.0,
                                          settings.micro_tokens);
    run.update();
  }
  return weights_of(policy);
}

const auto keep_all = [](std::size_t, const Rollout&) { return true; };

nlohmann::json first_row(const std::filesystem::path& folder) {
  std::ifstream file(folder / "metrics.jsonl");
  std::string line;
  std::getline(file, line);
  return nlohmann::json::parse(line);
}

/// Leaves out the last caption, or the last group of captions.
struct Short : TinyVlmPolicy<> {
  bool group = false;
  using TinyVlmPolicy<>::TinyVlmPolicy;
  template <Sampler S>
  std::vector<RolloutGroup> generate(std::span<const Prompt> prompts, const S& sampler,
                                     const GenerateSettings& settings) const {
    auto groups = TinyVlmPolicy<>::generate(prompts, sampler, settings);
    group ? groups.pop_back() : groups.back().pop_back();
    return groups;
  }
};

/// Records numbers that are not those of its captions.
struct WronglyRecorded : TinyVlmPolicy<> {
  using TinyVlmPolicy<>::TinyVlmPolicy;
  template <Sampler S>
  std::vector<RolloutGroup> generate(std::span<const Prompt> prompts, const S& sampler,
                                     const GenerateSettings& settings) const {
    auto groups = TinyVlmPolicy<>::generate(prompts, sampler, settings);
    for (RolloutGroup& group : groups) group.front().log_probabilities.front() -= 0.01F;
    return groups;
  }
};

/// Takes its time to say how likely captions are.
struct Slow : TinyVlmPolicy<> {
  std::chrono::milliseconds pause{0};
  using TinyVlmPolicy<>::TinyVlmPolicy;
  Var<float> log_probabilities(std::span<const Prompt> prompts, std::span<const RolloutGroup> groups,
                               double temperature) const {
    std::this_thread::sleep_for(pause);
    return TinyVlmPolicy<>::log_probabilities(prompts, groups, temperature);
  }
};

/// Fails at one caption of each group from a share of the groups on.
struct Failing {
  double from = 0;
  std::vector<std::string> part_names() const { return {"e"}; }
  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) {
    std::vector<std::vector<Reward>> rewards;
    for (std::size_t r = 0; r < requests.size(); ++r) {
      const bool fails = static_cast<double>(r) >= from * static_cast<double>(requests.size());
      auto& group = rewards.emplace_back();
      for (const Caption& caption : requests[r].captions) {
        group.push_back(Reward::of(share_of_e(*requests[r].item, caption)));
      }
      if (fails) group.back() = Reward::missing("the service did not answer");
    }
    return rewards;
  }
};

double mean_reward(const std::filesystem::path& folder, Index from, Index to) {
  std::ifstream file(folder / "metrics.jsonl");
  double sum = 0;
  std::string line;
  for (Index step = 0; std::getline(file, line); ++step) {
    if (step >= from && step < to) sum += nlohmann::json::parse(line).at("reward").get<double>();
  }
  return sum / static_cast<double>(to - from);
}

/// Trains policies that `make` makes, one without and one with an interruption, to the same bytes.
template <class Make>
void check_goes_on(const std::filesystem::path& folder, const Make& make) {
  PerCaption judge{"e", share_of_e};
  train(make(), judge, small_settings(folder / "whole", 6));

  // The judge breaks down in step 3, after the checkpoint of step 2: that step's work is lost and done again.
  Index calls = 0;
  PerCaption breaking{"e", [&](const CaptionItem& item, const Caption& caption) {
                        if (++calls > 3 * 24 + 5) throw Error("[test] out of order");
                        return share_of_e(item, caption);
                      }};
  CHECK_THROWS_AS(train(make(), breaking, small_settings(folder / "parts", 6)), Error);
  train(make(), judge, small_settings(folder / "parts", 6));

  CHECK(bytes_of(folder / "whole/metrics.jsonl") == bytes_of(folder / "parts/metrics.jsonl"));
  for (const std::string name : {"weights.safetensors", "optimizer.safetensors", "state.json"}) {
    const auto file = std::filesystem::path("checkpoints/step-000006") / name;
    CHECK(bytes_of(folder / "whole" / file) == bytes_of(folder / "parts" / file));
  }
}

}  // namespace

TEST_CASE("a policy learns what it is rewarded for, and nothing from rewards that are all the same") {
  const testing::TemporaryFolder folder;
  PerCaption judge{"e", share_of_e};
  train(small_policy(), judge, small_settings(folder.path() / "e", 40));
  CHECK(mean_reward(folder.path() / "e", 35, 40) > mean_reward(folder.path() / "e", 0, 5) + 0.1);

  // After a step that moved the weights neither decay nor momentum moves them on.
  const auto weights_after = [&](Index steps) {
    Index calls = 0;
    PerCaption once{"once", [&](const CaptionItem& item, const Caption& caption) {
                      return ++calls <= 4 * 6 ? share_of_e(item, caption) : 0.7;
                    }};
    const auto policy = small_policy();
    const TrainerSettings settings = small_settings(folder.path() / std::to_string(steps), steps);
    REQUIRE(settings.run.optimizer.weight_decay > 0);
    train(policy, once, settings);
    return weights_of(policy);
  };
  const auto moved = weights_after(1);
  CHECK(moved != weights_of(small_policy()));
  CHECK(weights_after(3) == moved);
}

TEST_CASE("a run whose recorded and recomputed log-probabilities differ stops") {
  const testing::TemporaryFolder folder;
  const Tokenizer tokenizer = small_tokenizer();
  const WronglyRecorded policy(small_vlm(tokenizer), tokenizer);
  const auto items = small_items(8);
  PerCaption judge{"e", share_of_e};
  TrainerSettings settings = small_settings(folder.path(), 1);
  const auto train_it = [&] {
    Trainer trainer(policy, Sample<>(), judge, Rloo{.spread_floor = 0}, settings);
    trainer.run(std::span<const CaptionItem>(items), load_noise, [](Index, MetricsRow&) { return 0.0; });
  };
  CHECK_THROWS_WITH_AS(train_it(), doctest::Contains("expected recorded and recomputed log-probabilities"), Error);
  settings.log_probability_bound = 0.02;
  CHECK_NOTHROW(train_it());
}

TEST_CASE("the judge's time is its own, and its rate that of the answers it counted") {
  const testing::TemporaryFolder folder;
  const Tokenizer tokenizer = small_tokenizer();
  const Slow policy(small_vlm(tokenizer), tokenizer);
  Slow reference(small_vlm(tokenizer, 2), tokenizer);
  reference.pause = std::chrono::milliseconds(300);
  const auto items = small_items(8);
  JudgeTally count;
  Index answers = 0;  // of each caption
  PerCaption judge{"e", [&](const CaptionItem& item, const Caption& caption) {
                     count.answers += answers;
                     return share_of_e(item, caption);
                   }};
  const auto timings = [&](const std::string& name) {
    TrainerSettings settings = small_settings(folder.path() / name, 1);
    settings.judge_tally = &count;
    settings.kl_in_reward = 0.1;
    std::filesystem::create_directories(settings.run.folder);
    Trainer trainer(policy, Sample<>(), judge, Rloo{.spread_floor = 0}, settings, &reference);
    trainer.run(std::span<const CaptionItem>(items), load_noise, [](Index, MetricsRow&) { return 0.0; });
    std::ifstream file(settings.run.folder / "timings.jsonl");
    return nlohmann::json::parse(file);
  };
  const auto uncounted = timings("uncounted");
  CHECK_FALSE(uncounted.contains("questions_per_second.judge"));
  CHECK(uncounted.at("seconds.judge").get<double>() < 0.3);
  CHECK(uncounted.at("seconds.update").get<double>() > 0.3);
  answers = 5;
  const auto counted = timings("counted");
  CHECK(counted.at("questions_per_second.judge").get<double>() * counted.at("seconds.judge").get<double>() ==
        doctest::Approx(5 * 4 * 6));
}

TEST_CASE("a run that is stopped and goes on ends with the same bytes as one that was not") {
  const testing::TemporaryFolder folder;
  check_goes_on(folder.path(), small_policy);
}

TEST_CASE("so does a run that trains adapters, whose checkpoints hold nothing else") {
  const testing::TemporaryFolder folder;
  check_goes_on(folder.path(), [] { return adapted_policy(); });
  const auto checkpoint = folder.path() / "whole/checkpoints/step-000006";
  const SafetensorsFile saved(checkpoint / "weights.safetensors");
  for (const auto& [name, tensor] : saved.tensors()) {
    CHECK(name.find(".lora_") != std::string::npos);
  }
  CHECK(SafetensorsFile(checkpoint / "optimizer.safetensors").tensors().size() == 2 * 2 * adapted_layers);
}

TEST_CASE("training adapters changes A and B alone, and teaches") {
  const testing::TemporaryFolder folder;
  PerCaption judge{"e", share_of_e};
  const auto policy = adapted_policy();
  const auto before = weights_of(policy);
  std::vector<Tensor<float>> adapters;
  for (const auto& block : lora_blocks<float>(policy.model())) adapters.push_back(block.parameter.value().clone());
  TrainerSettings settings = small_settings(folder.path() / "e", 40);
  settings.run.learning_rate.peak = 2e-2;
  train(policy, judge, settings);
  CHECK(weights_of(policy) == before);
  const auto blocks = lora_blocks<float>(policy.model());
  REQUIRE(blocks.size() == 2 * adapted_layers);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    CAPTURE(blocks[i].name);
    CHECK_FALSE(std::ranges::equal(blocks[i].parameter.value().span(), adapters[i].span()));
  }
  CHECK(mean_reward(folder.path() / "e", 35, 40) > 2 * mean_reward(folder.path() / "e", 0, 5));
}

TEST_CASE("a run does not go on with other tensors frozen, and says which groups there were") {
  const testing::TemporaryFolder folder;
  RunSettings settings = small_settings(folder.path() / "run", 4).run;
  settings.groups = {{"visual", 0}, {"embed_tokens", 0.5}};
  std::filesystem::create_directories(settings.folder);
  const auto begin = [&](const TinyVlmPolicy<>& policy) { return TrainingRun<float>(settings, policy.blocks()); };
  const auto policy = small_policy();
  begin(policy).finish_step(MetricsRow(0), MetricsRow(0), 0.5);
  const SafetensorsFile saved = Checkpoint(settings.folder / "checkpoints/best-000001").tensors("weights");
  for (const auto& [name, tensor] : saved.tensors()) {
    CHECK_FALSE(name.starts_with("visual."));
  }
  CHECK(load_best(settings.folder, policy.blocks()));
  CHECK(begin(small_policy()).step() == 1);
  settings.groups = {{"visual", 0}};
  CHECK_THROWS_WITH_AS(begin(small_policy()),
                       doctest::Contains("setting run.trained.groups was "
                                         "[[\"visual\",0.0],[\"embed_tokens\",0.5]] before"),
                       Error);
  settings.groups = {};
  CHECK_THROWS_WITH_AS(begin(small_policy()), doctest::Contains("is absent now"), Error);

  settings.folder = folder.path() / "adapted";
  std::filesystem::create_directories(settings.folder);
  begin(adapted_policy()).finish_step(MetricsRow(0), MetricsRow(0), 0.5);
  CHECK_THROWS_WITH_AS(begin(adapted_policy(3)), doctest::Contains("run.trained.names_and_sizes"), Error);
  CHECK_THROWS_WITH_AS(begin(small_policy()), doctest::Contains("run.trained"), Error);
  const auto merged = adapted_policy();
  merge_lora<float>(merged.model());
  CHECK_THROWS_WITH_AS(begin(merged), doctest::Contains("got only frozen ones"), Error);
}

TEST_CASE("supervised training drops inputs of adapters, the same ones when it goes on, and measures without") {
  const testing::TemporaryFolder folder;
  std::vector<CaptionItem> items = small_items(8);
  for (CaptionItem& item : items) item.caption = "a red circle is at the top .";
  const auto loss_of = [&](const TinyVlmPolicy<>& policy, const CaptionItem& item) {
    const std::vector<CaptionItem const*> one{&item};
    return add_supervised_gradients(policy, std::span(one), load_noise, 1).loss;
  };
  const auto taught = [&](const std::string& name, double dropout, std::vector<Index> stops) {
    for (const Index stop : stops) {
      const auto policy = adapted_policy(2, dropout);
      SupervisedSettings settings{
          .run = small_settings(folder.path() / name, stop).run, .batch_items = 4, .micro_items = 2};
      std::filesystem::create_directories(settings.run.folder);
      train_supervised(policy, std::span<const CaptionItem>(items), load_noise, settings, [&](Index, MetricsRow&) {
        CHECK_FALSE(DropoutScope::current());
        const double loss = loss_of(policy, items[0]);
        for (const auto& block : lora_blocks<float>(policy.model())) block.parameter.zero_gradient();
        CHECK(loss_of(policy, items[0]) == loss);
        for (const auto& block : lora_blocks<float>(policy.model())) block.parameter.zero_gradient();
      });
    }
    return bytes_of(folder.path() / name / "checkpoints/step-000004/weights.safetensors");
  };
  const auto whole = taught("whole", 0.5, {4});
  CHECK(taught("parts", 0.5, {1, 2, 4}) == whole);
  CHECK(taught("none", 0, {4}) != whole);
}

TEST_CASE("a run that died between saving a best checkpoint and keeping it keeps it when it goes on") {
  const testing::TemporaryFolder folder;
  const auto policy = small_policy();
  const RunSettings settings = small_settings(folder.path() / "run", 1).run;
  std::filesystem::create_directories(settings.folder);
  TrainingRun<float>(settings, policy.blocks()).finish_step(MetricsRow(0), MetricsRow(0), 0.5);
  const auto best = settings.folder / "checkpoints/best-000001";
  REQUIRE(std::filesystem::remove_all(best) > 0);
  TrainingRun<float> again(settings, policy.blocks());
  CHECK(std::filesystem::exists(best / "weights.safetensors"));
  CHECK(again.best_score() == 0.5);
}

TEST_CASE("two runs do not write to one folder at once") {
  const testing::TemporaryFolder folder;
  const auto policy = small_policy();
  const RunSettings settings = small_settings(folder.path() / "run", 1).run;
  {
    const TrainingRun<float> run(settings, policy.blocks());
    CHECK_THROWS_WITH_AS(TrainingRun<float>(settings, policy.blocks()), doctest::Contains("no other process"), Error);
  }
  CHECK_NOTHROW(TrainingRun<float>(settings, policy.blocks()));
}

TEST_CASE("the checkpoint with the highest score is kept, whatever follows and over an interruption") {
  const testing::TemporaryFolder folder;
  const auto policy = small_policy();
  const RunSettings settings = small_settings(folder.path() / "run", 4).run;
  std::filesystem::create_directories(settings.folder);
  {
    TrainingRun<float> run(settings, policy.blocks());
    run.finish_step(MetricsRow(0), MetricsRow(0), 0.5);
    run.finish_step(MetricsRow(1), MetricsRow(1), 0.75);
  }
  TrainingRun<float> again(settings, policy.blocks());
  again.finish_step(MetricsRow(2), MetricsRow(2), 0.625);
  CHECK(again.best_score() == 0.75);
  CHECK(std::filesystem::exists(settings.folder / "checkpoints/best-000002"));
  CHECK_FALSE(std::filesystem::exists(settings.folder / "checkpoints/best-000003"));
}

TEST_CASE("the tokens that a judge counts are in the metrics, step by step") {
  const testing::TemporaryFolder folder;
  JudgeTally count{.read = 1000};  // by others, before
  PerCaption judge{"e", [&](const CaptionItem& item, const Caption& caption) {
                     count.read += 3;
                     return share_of_e(item, caption);
                   }};
  TrainerSettings settings = small_settings(folder.path() / "run", 2);
  settings.judge_tally = &count;
  train(small_policy(), judge, settings);
  std::ifstream file(folder.path() / "run/metrics.jsonl");
  Index steps = 0;
  for (std::string line; std::getline(file, line); ++steps) {
    CHECK(nlohmann::json::parse(line).at("judge_tokens").get<Index>() == 3 * 4 * 6);
  }
  CHECK(steps == 2);
}

TEST_CASE("a run does not go on with other settings") {
  const testing::TemporaryFolder folder;
  PerCaption judge{"e", share_of_e};
  TrainerSettings settings = small_settings(folder.path() / "run", 2);
  settings.run.recorded = {{"batch", 4}};
  train(small_policy(), judge, settings);
  settings.run.recorded = {{"batch", 5}};
  CHECK_THROWS_WITH_AS(train(small_policy(), judge, settings), doctest::Contains("batch"), Error);
}

TEST_CASE("missing rewards leave the step, and too many stop the run") {
  const testing::TemporaryFolder folder;
  Failing some{0.75};
  train(small_policy(), some, small_settings(folder.path() / "some", 2));
  CHECK(bytes_of(folder.path() / "some/metrics.jsonl").find("\"missing_groups\":1") != std::string::npos);
  Failing most{0.25};
  CHECK_THROWS_WITH_AS(train(small_policy(), most, small_settings(folder.path() / "most", 2)),
                       doctest::Contains("the service did not answer"), Error);
}

TEST_CASE("the mean reward is that of the rewards there are") {
  const testing::TemporaryFolder folder;
  Index calls = 0;
  PerCaption judge{"c", [&](const CaptionItem&, const Caption&) { return ++calls == 5 ? std::nan("") : 0.75; }};
  train(small_policy(), judge, small_settings(folder.path() / "run", 1));
  const auto row = first_row(folder.path() / "run");
  CHECK(row.at("missing_groups") == 1);
  CHECK(row.at("reward") == 0.75);
  CHECK(row.at("reward.c") == 0.75);
}

TEST_CASE("a step with missing rewards is the step without their groups, in every denominator") {
  const testing::TemporaryFolder folder;
  const auto not_last = [](std::size_t group, const Rollout&) { return group < 3; };
  for (const auto kind : {Aggregation::Kind::token_mean, Aggregation::Kind::sequence_mean_of_token_mean}) {
    TrainerSettings settings = small_settings(folder.path() / std::to_string(static_cast<int>(kind)), 1);
    settings.aggregation.kind = kind;
    const auto weights = after_one_step(Failing{0.75}, settings);
    CHECK(weights == after_step_by_hand(settings, not_last));
    settings.run.folder += "_all";
    CHECK(weights != after_step_by_hand(settings, keep_all));
  }
}

TEST_CASE("masked truncated captions leave the loss and the baseline") {
  const testing::TemporaryFolder folder;
  TrainerSettings settings = small_settings(folder.path() / "mask", 1);
  settings.samples = 24;
  settings.maximum_tokens = 60;
  settings.truncated = TruncatedRule::mask;
  const auto weights = after_one_step(PerCaption{"e", share_of_e}, settings);
  CHECK(weights == after_step_by_hand(settings, [](std::size_t, const Rollout& r) { return !r.caption.truncated; }));
  CHECK(weights != weights_of(small_policy()));  // some captions ended
  const double truncated = first_row(settings.run.folder).at("truncated").get<double>();
  CHECK(truncated > 0);
  CHECK(truncated < 1);
}

TEST_CASE("several updates follow one batch of rollouts, each with figures of its own") {
  const testing::TemporaryFolder folder;
  TrainerSettings settings = small_settings(folder.path() / "three", 1);
  settings.updates = 3;
  const auto weights = after_one_step(PerCaption{"e", share_of_e}, settings);
  CHECK(weights == after_step_by_hand(settings, keep_all));
  const auto row = first_row(settings.run.folder);
  CHECK(std::abs(row.at("recorded_kl").get<double>()) < 1e-9);
  CHECK(row.at("recorded_kl.update2").get<double>() > 1e-9);
  CHECK(row.at("recorded_kl.update3").get<double>() > row.at("recorded_kl.update2").get<double>());
  for (const std::string figure : {"loss", "gradient_norm", "clipped"}) CHECK(row.contains(figure + ".update3"));
  CHECK_FALSE(row.contains("loss.update4"));
  settings.updates = 0;
  CHECK_THROWS_AS(after_one_step(PerCaption{"e", share_of_e}, settings), Error);
}

TEST_CASE("the published settings are the published numbers") {
  const TrainerSettings settings = published_trainer_settings();
  CHECK(settings.batch_items == 128);
  CHECK(settings.samples == 8);
  CHECK(settings.updates == 1);
  CHECK(settings.maximum_tokens == 4096);
  CHECK(settings.truncated == TruncatedRule::score);
  CHECK(settings.loss.surrogate.clip_low == 0.2);
  CHECK(settings.loss.surrogate.clip_high == 0.2);
  CHECK(settings.loss.kl == KlInLoss::none);
  CHECK(settings.kl_in_reward == 0);
  CHECK(settings.aggregation.kind == Aggregation::Kind::sequence_mean_of_token_mean);
  CHECK(settings.run.optimizer.beta1 == 0.9);
  CHECK(settings.run.optimizer.beta2 == 0.999);
  CHECK(settings.run.optimizer.weight_decay == 0.01);
  CHECK(settings.run.optimizer.gradient_norm == 1);
  CHECK(settings.run.learning_rate(0) == doctest::Approx(1e-5 / 20));
  CHECK(settings.run.learning_rate(19) == doctest::Approx(1e-5));
  CHECK(settings.run.learning_rate(100000) == doctest::Approx(1e-5));  // constant
  CHECK(published_trainer_settings({}).truncated == TruncatedRule::zero_reward);
  CHECK(published_estimator().spread_floor == 0);
  CHECK_FALSE(published_estimator().whiten);
}

TEST_CASE("a run does not go on with another estimator, sampler or reward") {
  const testing::TemporaryFolder folder;
  TrainerSettings settings = small_settings(folder.path(), 1);
  settings.off_policy = true;
  const auto items = small_items(8);
  const auto policy = small_policy();
  const auto go_on = [&](const auto& sampler, const auto& estimator, Index full_tokens, double weight) {
    WeightedSum judge{Weighted{PerCaption{"e", share_of_e}, 1.0}, Weighted{LengthTerm{full_tokens, 3000}, weight}};
    Trainer trainer(policy, sampler, judge, estimator, settings);
    trainer.run(std::span<const CaptionItem>(items), load_noise, [](Index, MetricsRow&) { return 0.0; });
  };
  const auto refuses = [&](const char* setting, const auto& sampler, const auto& estimator, Index full_tokens,
                           double weight) {
    CHECK_THROWS_WITH_AS(go_on(sampler, estimator, full_tokens, weight), doctest::Contains(setting), Error);
  };
  go_on(Sample<>(), Rloo{}, 100, 0.2);
  CHECK_NOTHROW(go_on(Sample<Temperature>(), Rloo{}, 100, 0.2));
  refuses("rloo.spread_floor", Sample<>(), Rloo{.spread_floor = 0}, 100, 0.2);
  refuses("grpo.epsilon", Sample<>(), Grpo{}, 100, 0.2);
  refuses("top_k", Sample{TopK{.count = 50}}, Rloo{}, 100, 0.2);
  refuses("length.full_tokens", Sample<>(), Rloo{}, 200, 0.2);
  refuses("reward_weights.length", Sample<>(), Rloo{}, 100, 0.3);
}

TEST_CASE("a policy that leaves out a caption is an error") {
  const Tokenizer tokenizer = small_tokenizer();
  Short policy(small_vlm(tokenizer), tokenizer);
  const auto items = small_items(2);
  const auto collected = [&] {
    return collect(policy, {&items[0], &items[1]}, load_noise, Sample<>(),
                   {.samples = 2, .maximum_tokens = 4, .item_keys = {}});
  };
  CHECK_THROWS_WITH_AS(collected(), doctest::Contains("as many captions of an item"), Error);
  policy.group = true;
  CHECK_THROWS_WITH_AS(collected(), doctest::Contains("to caption each item"), Error);
}

TEST_CASE("a run does not go on as another") {
  const testing::TemporaryFolder folder;
  PerCaption judge{"e", share_of_e};
  TrainerSettings settings = small_settings(folder.path() / "run", 2);
  train(small_policy(), judge, settings);
  settings.run.steps = 3;
  CHECK_NOTHROW(train(small_policy(), judge, settings));
  settings.samples = 5;
  CHECK_THROWS_WITH_AS(train(small_policy(), judge, settings), doctest::Contains("samples"), Error);
}

TEST_CASE("a reference has weights of its own, and a policy for captions alone is not trained") {
  const testing::TemporaryFolder folder;
  const Tokenizer tokenizer = small_tokenizer();
  const auto model = small_vlm(tokenizer);
  const TinyVlmPolicy<> policy(model, tokenizer), same(model, tokenizer), other(small_vlm(tokenizer), tokenizer);
  PerCaption judge{"e", share_of_e};
  TrainerSettings settings = small_settings(folder.path(), 1);
  settings.loss = {.kl = KlInLoss::k3, .kl_coefficient = 0.1};
  const auto trainer = [&](const TinyVlmPolicy<>& trained, const TinyVlmPolicy<>* reference) {
    Trainer(trained, Sample<>(), judge, Rloo{}, settings, reference);
  };
  CHECK_THROWS_WITH_AS(trainer(policy, nullptr), doctest::Contains("expected a reference policy"), Error);
  CHECK_THROWS_WITH_AS(trainer(policy, &same), doctest::Contains("weights of its own"), Error);
  CHECK_NOTHROW(trainer(policy, &other));
  const TinyVlmPolicy<> packed(small_vlm(tokenizer), tokenizer, {.packed = WeightFormat::float32});
  CHECK_THROWS_WITH_AS(trainer(packed, &other), doctest::Contains("captions follow its weights"), Error);
}

TEST_CASE("a KL penalty in the reward is its part, and holds the policy back") {
  const testing::TemporaryFolder folder;
  PerCaption judge{"e", share_of_e};
  const auto last_kl = [&](const std::string& name, double coefficient) {
    const auto policy = small_policy(), reference = small_policy();
    TrainerSettings settings = small_settings(folder.path() / name, 20);
    settings.kl_in_reward = coefficient;
    std::filesystem::create_directories(settings.run.folder);
    const auto items = small_items(8);
    Trainer trainer(policy, Sample<>(), judge, Rloo{.spread_floor = 0}, settings, &reference);
    trainer.run(std::span<const CaptionItem>(items), load_noise, [](Index, MetricsRow&) { return 0.0; });
    std::ifstream file(settings.run.folder / "metrics.jsonl");
    nlohmann::json row;
    double kl = 0;
    for (std::string line; std::getline(file, line);) {
      row = nlohmann::json::parse(line);
      kl = -row.at("reward.kl").get<double>();
      CHECK(row.at("reward").get<double>() == doctest::Approx(row.at("reward.e").get<double>() - coefficient * kl));
    }
    return kl;
  };
  CHECK(last_kl("loose", 1e-6) > 2 * last_kl("tight", 0.1));
}

TEST_CASE("estimators that normalise parts see the KL penalty's coefficient") {
  const auto policy = small_policy(), reference = small_policy();
  const auto items = small_items(1);
  Collected<TinyVlmPolicy<>> collected;
  collected.items = {&items[0]};
  collected.prompts = {policy.encode(items[0], load_noise(items[0]))};
  collected.groups = policy.generate(std::span<const VlmPrompt>(collected.prompts), Sample<>(),
                                     {.samples = 4, .maximum_tokens = 8, .seed = 3, .step = 0, .item_keys = {}});
  float moved = 0;  // as if the policy had moved away from the reference
  for (Rollout& rollout : collected.groups.front()) rollout.log_probabilities.front() += moved += 0.5F;
  const auto advantages = [&](double coefficient) {
    std::vector<std::vector<Reward>> rewards{{Reward::of(1), Reward::of(0), Reward::of(0.5), Reward::of(0.25)}};
    subtract_kl(reference, collected, coefficient, 1.0, 8192, rewards);
    const std::vector<std::vector<bool>> truncated{std::vector<bool>(4, false)};
    const std::vector<double> weights{1.0, coefficient};
    const auto selection = select_rewards(rewards, truncated, weights);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(selection.batch.totals[i] ==
            doctest::Approx(selection.batch.parts[0][i] + coefficient * selection.batch.parts[1][i]));
    }
    return Gdpo{}(selection.batch).values;
  };
  CHECK(advantages(0.01) != advantages(1.0));
}

TEST_CASE("captions that nobody sampled have no policy gradient, and a difference that is no number is kept") {
  const auto policy = small_policy();
  const auto items = small_items(1);
  Collected<TinyVlmPolicy<>> collected;
  collected.items = {&items[0]};
  collected.prompts = {policy.encode(items[0], load_noise(items[0]))};
  collected.groups = {{policy.rollout_of("one"), policy.rollout_of("two")}};
  WeightedRollouts weighted{{0}, collected.groups, {{1.0, -1.0}}};
  const auto gradients = [&] {
    return add_policy_gradients<TinyVlmPolicy<>>(policy, nullptr, collected, weighted, {}, {}, 1.0, 1000);
  };
  CHECK_THROWS_WITH_AS(gradients(), doctest::Contains("expected a recorded log-probability"), Error);
  for (Rollout& rollout : weighted.groups[0]) rollout.log_probabilities.assign(rollout.tokens.size(), -1.0F);
  weighted.groups[0][0].log_probabilities[0] = std::nanf("");
  CHECK(std::isnan(gradients().largest_difference));
}

TEST_CASE("advantages go to their own rollouts, with a group missing before them and a rollout masked") {
  Collected<TinyVlmPolicy<>> collected;
  collected.groups.assign(3, RolloutGroup(2));
  for (Token g = 0; g < 3; ++g) {
    auto& group = collected.groups[static_cast<std::size_t>(g)];
    for (Token r = 0; r < 2; ++r) group[static_cast<std::size_t>(r)].tokens = {g, r};
  }
  const std::vector<std::vector<Reward>> rewards{
      {Reward::missing("none"), Reward::of(1)}, {Reward::of(1), Reward::of(0)}, {Reward::of(1), Reward::of(0.5)}};
  const std::vector<std::vector<bool>> truncated{{false, false}, {false, false}, {true, false}};
  const auto selection = select_rewards(rewards, truncated, std::vector<double>{1.0}, TruncatedRule::mask);
  const auto weighted = weigh(collected, selection, {.values = {0.5, -0.5, 0.25}, .group_has_spread = {true, true}});
  CHECK(weighted.items == std::vector<std::size_t>{1, 2});
  CHECK(weighted.advantages == std::vector<std::vector<double>>{{0.5, -0.5}, {0.25}});
  REQUIRE(weighted.groups.size() == 2);
  CHECK(weighted.groups[0][1].tokens == std::vector<Token>{1, 1});
  REQUIRE(weighted.groups[1].size() == 1);
  CHECK(weighted.groups[1][0].tokens == std::vector<Token>{2, 1});
}

TEST_CASE("captions that are sampled for a few items at a time are those of the whole batch") {
  const auto policy = small_policy();
  const auto items = small_items(4);
  GenerateSettings settings{.samples = 2, .maximum_tokens = 8, .seed = 3, .item_keys = {}};
  std::vector<std::size_t> told(4);
  settings.on_token = [&](const DrawnToken& drawn) { ++told.at(static_cast<std::size_t>(drawn.prompt)); };
  const auto captions = [&](Index items_at_once) {
    told.assign(4, 0);
    return collect(policy, {&items[0], &items[1], &items[2], &items[3]}, load_noise, Sample<>(), settings,
                   items_at_once);
  };
  const auto whole = captions(0), parts = captions(3);
  REQUIRE(parts.groups.size() == 4);
  for (std::size_t g = 0; g < 4; ++g) {
    CHECK(told[g] == parts.groups[g][0].tokens.size() + parts.groups[g][1].tokens.size());
    for (std::size_t s = 0; s < 2; ++s) {
      const Rollout &expected = whole.groups[g][s], &rollout = parts.groups[g][s];
      CHECK(rollout.tokens == expected.tokens);
      for (std::size_t t = 0; t < expected.tokens.size(); ++t) {
        CHECK(rollout.log_probabilities[t] == doctest::Approx(expected.log_probabilities[t]).epsilon(1e-5));
      }
    }
  }
  CHECK(whole.groups[3][0].tokens != whole.groups[0][0].tokens);
}

TEST_CASE("a batch's gradients are the sum of its captions', after the policy has moved and with a group left out") {
  const Tokenizer tokenizer = small_tokenizer();
  const TinyVlmPolicy<> policy(small_vlm(tokenizer), tokenizer), reference(small_vlm(tokenizer, 2), tokenizer);
  const auto items = small_items(4);
  const double temperature = 0.7;
  const auto collected =
      collect(policy, {&items[0], &items[1], &items[2], &items[3]}, load_noise, Sample{Temperature{temperature}},
              {.samples = 2, .maximum_tokens = 8, .seed = 3, .item_keys = {}});
  const auto& groups = collected.groups;
  // The third group is missing, the second has no spread; captions of a group differ in length.
  WeightedRollouts weighted{{0, 1, 3}, {groups[0], groups[1], groups[3]}, {{1, -0.5}, {0, 0}, {-1, 0.25}}};
  for (RolloutGroup& group : weighted.groups) {
    REQUIRE(group[0].tokens.size() > 5);
    group[0].tokens.resize(5);
    group[0].log_probabilities.resize(5);
    for (Rollout& rollout : group) {  // ratios of about 1.35, 1 and 0.74: some are clipped
      for (std::size_t t = 0; t < rollout.tokens.size(); ++t) {
        rollout.log_probabilities[t] += 0.3F * static_cast<float>(static_cast<int>(t % 3) - 1);
      }
    }
  }
  const auto parameters = parameters_of<float>(policy.model());
  const auto gradients_of = [&](const auto& add) {
    for (const auto& parameter : parameters) parameter.zero_gradient();
    add();
    std::vector<float> gradients;
    for (const auto& parameter : parameters) {
      gradients.insert(gradients.end(), parameter.gradient().span().begin(), parameter.gradient().span().end());
    }
    return gradients;
  };
  for (const double coefficient : {0.0, 0.1}) {
    double clipped_tokens = 0, kl = 0, tokens = 0;
    const auto expected = gradients_of([&] {
      for (std::size_t g = 0; g < weighted.groups.size(); ++g) {
        for (std::size_t r = 0; r < 2; ++r) {
          const Rollout& rollout = weighted.groups[g][r];
          const std::vector<VlmPrompt> prompt{collected.prompts[weighted.items[g]]};
          const std::vector<RolloutGroup> alone{{rollout}};
          const auto frozen = reference.log_probabilities(prompt, alone, temperature);
          const double advantage = weighted.advantages[g][r];
          Tape tape;
          const auto now = policy.log_probabilities(prompt, alone, temperature);
          Tensor<float> derivatives(now.shape());
          for (std::size_t t = 0; t < rollout.tokens.size(); ++t) {
            const auto of_policy = static_cast<double>(now.value().span()[t]);
            const double log_ratio = of_policy - static_cast<double>(rollout.log_probabilities[t]);
            const double ratio = std::exp(log_ratio);
            const bool clipped = advantage > 0 ? ratio > 1.2 : advantage < 0 && ratio < 0.8;
            const double of_kl = 1 - std::exp(static_cast<double>(frozen.value().span()[t]) - of_policy);
            const double slope = (clipped ? 0 : -ratio * advantage) + coefficient * of_kl;
            derivatives.span()[t] = static_cast<float>(slope / (6 * static_cast<double>(rollout.tokens.size())));
            if (advantage == 0 && coefficient == 0) continue;  // is not computed
            tokens += 1;
            clipped_tokens += clipped;
            kl += ratio - 1 - log_ratio;
          }
          now.seed_gradient(derivatives);
          tape.backward();
        }
      }
    });
    const PolicyLoss loss{.kl = KlInLoss::k3, .kl_coefficient = coefficient};
    for (const Index micro_tokens : {1, 1000}) {
      PolicyGradientStep step;
      const auto gradients = gradients_of([&] {
        step = add_policy_gradients(policy, &reference, collected, weighted, loss, {}, temperature, micro_tokens);
      });
      CHECK(static_cast<double>(step.tokens) == tokens);
      CHECK(step.clipped_share == doctest::Approx(clipped_tokens / tokens));
      CHECK(step.recorded_kl == doctest::Approx(kl / tokens).epsilon(1e-3));
      double error = 0, norm = 0;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        error += std::pow(static_cast<double>(gradients[i] - expected[i]), 2);
        norm += std::pow(static_cast<double>(expected[i]), 2);
      }
      CHECK(norm > 0);
      CHECK(std::sqrt(error / norm) < 1e-4);
    }
  }
}

TEST_CASE("a score that is no number is an error") {
  const testing::TemporaryFolder folder;
  const auto policy = small_policy();
  RunSettings settings;
  settings.folder = folder.path();
  TrainingRun<float> run(settings, policy.blocks());
  CHECK_THROWS_WITH_AS(run.finish_step(MetricsRow(0), MetricsRow(0), std::nan("")),
                       doctest::Contains("expected a validation score"), Error);
  settings.checkpoint_every = 0;
  CHECK_THROWS_AS(TrainingRun<float>(settings, policy.blocks()), Error);
}

TEST_CASE("a sampler that filters is refused unless the data may be off-policy") {
  const testing::TemporaryFolder folder;
  const auto policy = small_policy();
  PerCaption judge{"e", share_of_e};
  TrainerSettings settings = small_settings(folder.path(), 1);
  using Filtering = Sample<Temperature, TopK>;
  CHECK_THROWS_AS(Trainer(policy, Filtering(Temperature{1.0}, TopK{.count = 3}), judge, Rloo{}, settings), Error);
  settings.off_policy = true;
  CHECK_NOTHROW(Trainer(policy, Filtering(Temperature{1.0}, TopK{.count = 3}), judge, Rloo{}, settings));
}

TEST_CASE("micro-batches change nothing but rounding") {
  const testing::TemporaryFolder folder;
  PerCaption judge{"e", share_of_e};
  const auto weights = [&](const std::string& name, Index micro_tokens) {
    const auto policy = small_policy();
    TrainerSettings settings = small_settings(folder.path() / name, 1);
    settings.micro_tokens = micro_tokens;
    train(policy, judge, settings);
    return first_row(folder.path() / name).at("gradient_norm").get<double>();
  };
  CHECK(weights("whole", 1 << 20) == doctest::Approx(weights("small", 1)).epsilon(1e-5));
}
