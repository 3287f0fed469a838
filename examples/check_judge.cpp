/// Checks that a judge reads: it answers from the truth, abstains where a fact was removed, and follows the caption
/// where a fact was replaced by a false one. What a caption says is told by the grammar of the example world.
///
///     check_judge --judge build/judge/model --data world/images_test.jsonl --out summary.json
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caprl/advantage/statistics.hpp"
#include "caprl/data/caption_data.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/model/language_model.hpp"
#include "support/judge_options.hpp"
#include "support/program.hpp"
#include "support/summary.hpp"
#include "world/judge_corpus.hpp"
#include "world/scene_json.hpp"

using namespace caprl;
using namespace examples;

namespace {

struct Options {
  std::filesystem::path data, out;
  JudgeOptions judge;
  std::string name = "image";
  Index items = 1000;
  std::uint64_t seed = 1;
};

/// A caption with the questions that it is put to, and what the judge should say: an option, or nothing.
struct Case {
  CaptionItem item;
  Caption caption;
  std::vector<std::optional<int>> expected;
  std::vector<std::string> kinds;  ///< of the questions
};

enum class Change { none, removed, replaced };

/// Questions of the item that the truth answers, and that the changed caption leaves open (removed) or answers
/// otherwise (replaced).
template <class Content>
Case make_case(const CaptionItem& item, const Content& content, Change change, RandomStream& random) {
  Content told = content;
  if (change == Change::replaced) world::detail::replace_facts(random, told);
  const world::CaptionStyle style = change == Change::removed ? world::medium_style(random) : world::dense_style();
  Case result{item, {.text = world::write_caption(told, style, random)}, {}, {}};
  const world::ParsedCaption parsed = world::parse_caption(result.caption.text);
  result.item.questions.clear();
  const Json extra = parse_json(item.extra, item.where);
  for (std::size_t q = 0; q < item.questions.size(); ++q) {
    const Question& question = item.questions[q];
    const auto said = world::answer(parsed, question);
    const bool wanted = change == Change::none      ? said && *said == question.gold
                        : change == Change::removed ? !said
                                                    : said && *said != question.gold;
    if (!wanted) continue;
    result.item.questions.push_back(question);
    result.expected.push_back(said);
    result.kinds.push_back(extra.at("kinds").at(q).get<std::string>());
  }
  return result;
}

std::vector<Case> make_cases(const std::vector<CaptionItem>& items, Change change, std::uint64_t seed) {
  std::vector<Case> cases;
  for (std::size_t i = 0; i < items.size(); ++i) {
    RandomStream random({.seed = seed,
                         .purpose = Purpose::example,
                         .step = static_cast<std::uint32_t>(change),
                         .item = static_cast<std::uint32_t>(i)});
    const Json extra = parse_json(items[i].extra, items[i].where);
    const Json& scene = JsonFields(extra, items[i].where).raw("scene");
    Case one = world::is_clip_json(scene)
                   ? make_case(items[i], world::clip_from_json(scene, items[i].where), change, random)
                   : make_case(items[i], world::scene_from_json(scene, items[i].where), change, random);
    if (!one.expected.empty()) cases.push_back(std::move(one));
  }
  return cases;
}

/// Whether the judge's likeliest answer is the expected one.
bool is_expected(const QuestionAnswer& answer, const std::optional<int>& expected) {
  const auto top = std::ranges::max_element(answer.options);
  if (answer.abstain >= *top) return !expected;
  return expected && top - answer.options.begin() == *expected;
}

/// For each case the share of questions answered as expected, and the same for each kind of question.
struct Shares {
  std::vector<double> of_cases;
  std::map<std::string, std::vector<double>> of_kinds;
};

Shares expected_shares(const ExactJudge<float>& judge, const std::vector<Case>& cases) {
  std::vector<JudgeRequest> requests;
  for (const Case& one : cases) requests.push_back({&one.item, {&one.caption, 1}});
  const auto answers = judge.answer(requests);
  Shares shares;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    double right = 0;
    for (std::size_t q = 0; q < cases[i].expected.size(); ++q) {
      const double one = is_expected(answers[i].front()[q], cases[i].expected[q]);
      right += one;
      shares.of_kinds[cases[i].kinds[q]].push_back(one);
    }
    shares.of_cases.push_back(right / static_cast<double>(cases[i].expected.size()));
  }
  return shares;
}

void run(const Options& options) {
  auto items = load_caption_data(options.data, {.keep_extra = true});
  if (static_cast<Index>(items.size()) > options.items) items.resize(static_cast<std::size_t>(options.items));
  const auto folder = load_language_model(options.judge.folder);
  const ExactJudge<float> judge(folder.model, folder.tokenizer, {.prompt = options.judge.prompt()});
  Summary summary;
  if (std::filesystem::exists(options.out)) summary = Summary::load(options.out);
  const auto check = [&](const std::string& what, Change change) {
    const Shares shares = expected_shares(judge, make_cases(items, change, options.seed));
    const Interval share = bootstrap_mean(shares.of_cases);
    summary.add("judge." + options.name + "." + what, share);
    std::printf("%-18s %.3f (%.3f to %.3f)\n", what.c_str(), share.value, share.low, share.high);
    for (const auto& [kind, values] : shares.of_kinds) {
      std::printf("  %-16s %.3f of %zu\n", kind.c_str(), mean_of(values), values.size());
    }
  };
  check("truth_answered", Change::none);
  check("removed_abstained", Change::removed);
  check("replaced_followed", Change::replaced);
  if (!options.out.empty()) summary.save(options.out);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Checks that a judge answers from the caption and from nothing else.");
  add_judge_options(app, options.judge);
  app.add_option("--data", options.data, "Items of the example world")->required()->check(CLI::ExistingFile);
  app.add_option("--name", options.name, "In the figures' names: judge.NAME.truth_answered ...")->capture_default_str();
  app.add_option("--items", options.items, "At most")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--seed", options.seed, "Of the changes")->capture_default_str();
  app.add_option("--out", options.out, "summary.json to add the figures to");
  add_threads_option(app);
  return run_program(argc, argv, app, [&] { run(options); });
}
