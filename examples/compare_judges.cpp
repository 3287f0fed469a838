/// Compares judges by what training takes from them: the error of their advantages, and the tokens that they read. The
/// exact judge with few option orders, and the published one, which draws questions and samples answers, are held
/// against all questions in all orders, over distinct captions of the same items.
///
///     caption --model build/base/model --data test.jsonl --temperature 1 --samples 8 --out captions.jsonl
///     compare_judges --judge build/judge/model --data test.jsonl --captions captions.jsonl --out summary.json
#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caprl/advantage/rloo.hpp"
#include "caprl/data/caption_data.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/judge/sampled_judge.hpp"
#include "caprl/model/language_model.hpp"
#include "support/captions_file.hpp"
#include "support/judge_options.hpp"
#include "support/program.hpp"
#include "support/summary.hpp"

using namespace caprl;
using namespace examples;

namespace {

struct Options {
  std::filesystem::path data, captions, out;
  JudgeOptions judge;
  Index items = 100;
  std::uint64_t seeds = 4;
  std::string name = "image";
};

/// Items with the distinct captions of their groups.
struct Groups {
  std::vector<CaptionItem> items;
  std::vector<std::vector<Caption>> captions;

  Index caption_count() const {
    Index count = 0;
    for (const auto& group : captions) count += std::ssize(group);
    return count;
  }
  std::vector<JudgeRequest> requests() const {
    std::vector<JudgeRequest> requests;
    for (std::size_t i = 0; i < items.size(); ++i) requests.push_back({&items[i], captions[i]});
    return requests;
  }
};

Groups load_groups(const Options& options) {
  auto items = load_caption_data(options.data);
  const auto captions = read_captions(options.captions, items);
  Groups groups;
  for (std::size_t i = 0; i < items.size() && std::ssize(groups.items) < options.items; ++i) {
    std::set<std::string> seen;
    std::vector<Caption> distinct;
    for (const Caption& caption : captions[i]) {
      if (seen.insert(caption.text).second) distinct.push_back(caption);
    }
    if (distinct.size() < 2) continue;
    groups.items.push_back(std::move(items[i]));
    groups.captions.push_back(std::move(distinct));
  }
  require(!groups.items.empty(), "[compare_judges] expected items with several different captions, got none");
  return groups;
}

/// RLOO's advantages, of groups of any spread.
template <class Judge>
std::vector<double> advantages(const Judge& judge, const Groups& groups) {
  RewardBatch batch{.group_begin = {0}, .totals = {}, .parts = {}, .weights = {}};
  for (const auto& group : judge.score(groups.requests())) {
    for (const Reward& reward : group) {
      require(reward.total.has_value(), "[compare_judges] expected a reward, got none: " + reward.missing_reason);
      batch.totals.push_back(*reward.total);
    }
    batch.group_begin.push_back(std::ssize(batch.totals));
  }
  return Rloo{.spread_floor = 0}(batch).values;
}

double mean_squared_error(const std::vector<double>& values, const std::vector<double>& truth) {
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += (values[i] - truth[i]) * (values[i] - truth[i]);
  return sum / static_cast<double>(values.size());
}

void run(const Options& options) {
  const Groups groups = load_groups(options);
  const auto folder = load_language_model(options.judge.folder);
  Summary summary;
  if (std::filesystem::exists(options.out)) summary = Summary::load(options.out);

  const QuestionPrompt prompt = options.judge.prompt();
  const ExactJudge<float> reference(folder.model, folder.tokenizer,
                                    {.prompt = prompt, .orders = {.kind = OptionOrders::Kind::all}});
  const std::vector<double> truth = advantages(reference, groups);
  const double spread = mean_squared_error(truth, std::vector<double>(truth.size()));
  std::printf("%ld distinct captions of %zu items; mean square of the advantages %.5f\n",
              static_cast<long>(groups.caption_count()), groups.items.size(), spread);
  std::printf("%-32s %16s %14s\n", "judge", "tokens a caption", "squared error");
  summary.add("judges." + options.name + ".advantage_square", spread);

  // make(seed, count) gives a judge; errors and tokens are means over seeds.
  const auto measure = [&](const std::string& judge_name, std::uint64_t seeds, const auto& make) {
    JudgeTally count;
    double error = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      error += mean_squared_error(advantages(make(seed, &count), groups), truth) / static_cast<double>(seeds);
    }
    const double tokens =
        static_cast<double>(count.read) / static_cast<double>(static_cast<Index>(seeds) * groups.caption_count());
    std::printf("%-32s %16.1f %14.6f\n", judge_name.c_str(), tokens, error);
    std::fflush(stdout);
    summary.add("judges." + options.name + "." + judge_name + ".tokens", tokens);
    summary.add("judges." + options.name + "." + judge_name + ".squared_error", error);
  };
  for (const Index orders : {1, 2, 0}) {
    const std::string which = orders == 0 ? "all" : std::to_string(orders);
    measure("exact.cyclic_" + which, orders == 0 ? 1 : options.seeds, [&](std::uint64_t seed, JudgeTally* count) {
      const OptionOrders some{.kind = OptionOrders::Kind::cyclic, .count = orders, .seed = seed};
      return ExactJudge<float>(folder.model, folder.tokenizer, {.prompt = prompt, .orders = some}, count);
    });
  }
  for (const Index draws : {1, 2, 4, 8, 16, 32}) {
    measure("sampled.draws_" + std::to_string(draws), options.seeds, [&](std::uint64_t seed, JudgeTally* count) {
      const SampledJudgeSettings settings{.prompt = prompt, .draws = draws, .seed = seed};
      return SampledJudge<float>(folder.model, folder.tokenizer, settings, count);
    });
  }
  if (!options.out.empty()) summary.save(options.out);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Compares judges by the error of their advantages and the tokens that they read.");
  add_judge_options(app, options.judge);
  app.add_option("--data", options.data, "Items with questions, JSON Lines")->required()->check(CLI::ExistingFile);
  app.add_option("--captions", options.captions, "Several for each item, by `caption --samples --out`")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--items", options.items, "How many of them")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--seeds", options.seeds, "Draws of each judge, averaged")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--name", options.name, "In the figures' names: judges.NAME.exact ...")->capture_default_str();
  app.add_option("--out", options.out, "summary.json to add the figures to");
  add_threads_option(app);
  return run_program(argc, argv, app, [&] { run(options); });
}
