// The figures of summary.json, from captions and answers written by hand.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "support/answer_table.hpp"
#include "support/captions_file.hpp"
#include "support/evaluation.hpp"
#include "support/gain.hpp"
#include "support/kept_answers.hpp"
#include "support/run_figures.hpp"
#include "support/temporary_folder.hpp"
#include "support/training_report.hpp"
#include "support/world_figures.hpp"

using namespace caprl;
using namespace examples;

namespace {

const Question colour{"what colour is the circle ?", {"red", "blue"}, 0};
const Question when{"the circle moves : at what time ?", {"[00:03]", "[00:07]"}, 0};

Json object(const std::string& shape, const std::string& painted, const std::string& place) {
  return {{"shape", shape}, {"colour", painted}, {"size", "large"}, {"texture", "plain"}, {"place", place}};
}

/// A red circle at top left, alone: a count, a background and five facts of the object.
CaptionItem picture() {
  CaptionItem item;
  item.id = "picture";
  item.questions = {colour};
  const Json scene = {{"background", "gray"}, {"objects", {object("circle", "red", "top left")}}};
  item.extra = Json{{"scene", scene}, {"caption_timeline", ""}, {"kinds", {"colour"}}}.dump();
  return item;
}

/// The same, and in second 3 the circle moves right.
CaptionItem clip() {
  CaptionItem item;
  item.id = "clip";
  item.questions = {colour, when};
  const Json moves = {{"kind", "move"}, {"object", "circle"}, {"to", "right"}, {"cells", 1}, {"second", 3}};
  const Json scene = {{"background", "gray"},
                      {"objects", {object("circle", "red", "top left")}},
                      {"seconds", 8},
                      {"events", Json::array({moves})}};
  item.extra = Json{{"scene", scene}, {"caption_timeline", ""}, {"kinds", {"colour", "time"}}}.dump();
  return item;
}

/// The judge's answers to an item's questions: the probability of the right one of two options, and of abstaining.
struct Said {
  double right, abstain;
};

ItemAccuracy judged(const CaptionItem& item, const std::vector<Said>& said) {
  std::vector<QuestionAnswer> answers;
  for (const Said& one : said) {
    answers.push_back({.options = {one.right, 1 - one.right - one.abstain}, .positions = {}, .abstain = one.abstain});
  }
  return item_accuracy(item, answers);
}

Evaluation evaluation(const std::vector<CaptionItem>& items, const std::vector<Caption>& captions,
                      const std::vector<std::vector<Said>>& said) {
  std::vector<ItemAccuracy> all;
  for (std::size_t i = 0; i < items.size(); ++i) all.push_back(judged(items[i], said[i]));
  const auto list = std::vector<const CaptionItem*>{&items[0], &items[1]};
  return evaluation_of(list, captions, std::move(all));
}

Summary figures_of(const std::string& name, const std::vector<CaptionItem>& items, const Evaluation& evaluated) {
  Summary summary;
  add_figures(summary, name, "now", evaluated);
  add_world_figures(summary, name, "now", items, evaluated);
  return summary;
}

void check(const Summary& summary, const std::string& figure, double value) {
  CAPTURE(figure);
  CHECK(summary.at(figure) == doctest::Approx(value));
}

}  // namespace

TEST_CASE("figures of images, and their gains, are the ones counted by hand") {
  const std::vector<CaptionItem> items(2, picture());
  // 2 of 7 facts by 2 claims; 1 of 7 by 2 claims, of which a sentence that is none.
  const auto before = evaluation(items, {{"a large circle .", 4}, {"gray background . so it is .", 6}},
                                 {{{0.5, 0.25}}, {{0.25, 0.75}}});
  // 7 of 7 by 7 claims; 2 of 7 by 3 claims, the colour being another.
  const auto after = evaluation(items,
                                {{"one object . gray background . at top left a large red plain circle .", 15},
                                 {"gray background . a blue circle .", 6}},
                                {{{1, 0}}, {{0.5, 0.5}}});
  const Summary now = figures_of("image", items, after);
  check(now, "image.accuracy.now", 0.75);
  check(now, "image.abstain.now", 0.25);
  check(now, "image.caption_tokens.now", 10.5);
  check(now, "image.recall.now", 9.0 / 14);
  check(now, "image.precision.now", 9.0 / 10);
  check(now, "image.accuracy.grammar.now", 0.5);
  check(now, "image.unparsable.now", 0);
  check(now, "image.chance", 0.5);
  CHECK_FALSE(now.has("image.accuracy.temporal.now"));
  check(figures_of("image", items, before), "image.unparsable.now", 1.0 / 3);

  Summary gains;
  add_gains(gains, "image", "now", before, after);
  add_world_gains(gains, "image", "now", items, before, after);
  check(gains, "image.accuracy.gain.now", 0.75 - 0.375);
  check(gains, "image.recall.gain.now", 9.0 / 14 - 3.0 / 14);
  check(gains, "image.precision.gain.now", 0.9 - 3.0 / 4);
  check(gains, "image.accuracy.grammar.gain.now", 0.5);
}

TEST_CASE("figures of clips tell of time what its questions and the stated times do") {
  const std::vector<CaptionItem> items(2, clip());
  const auto evaluated =
      evaluation(items, {{"[00:04] the circle moves right .", 6}, {"[00:06] the circle moves right .", 6}},
                 {{{0.2, 0}, {0.8, 0}}, {{0.4, 0}, {0.1, 0.9}}});
  const Summary now = figures_of("video", items, evaluated);
  check(now, "video.accuracy.now", 0.375);
  check(now, "video.accuracy.temporal.now", 0.45);
  check(now, "video.accuracy.time.now", 0.45);
  check(now, "video.times.mean_error_seconds.now", 2);  // 1 and 3
  check(now, "video.times.within_one_second.now", 0.5);
  const auto better = evaluation(items, evaluated.captions, {{{0.2, 0}, {1, 0}}, {{0.4, 0}, {0.3, 0.7}}});
  Summary gains;
  add_world_gains(gains, "video", "now", items, evaluated, better);
  check(gains, "video.accuracy.temporal.gain.now", 0.2);
}

TEST_CASE("lengths are figures of policies alone, and 0 is one") {
  const std::vector<CaptionItem> items(2, picture());
  auto silent = evaluation(items, {Caption{}, Caption{}}, {{{0.5, 0.5}}, {{0.5, 0.5}}});
  check(figures_of("image", items, silent), "image.caption_tokens.now", 0);
  silent.by_policy = false;
  CHECK_FALSE(figures_of("image", items, silent).has("image.caption_tokens.now"));
}

TEST_CASE("without a caption the options share what abstaining had") {
  const std::vector<CaptionItem> items(2, picture());
  const std::vector<const CaptionItem*> list{&items[0], &items[1]};
  auto blind = evaluation(items, {Caption{}, Caption{}}, {{{0.1, 0.8}}, {{0.3, 0}}});
  leave_out_abstaining(list, blind);
  CHECK(blind.judged[0].accuracy == doctest::Approx(0.5));
  CHECK(blind.judged[1].accuracy == doctest::Approx(0.3));
}

TEST_CASE("a table of answers finds what questions give away") {
  std::vector<CaptionItem> seen(3, picture());
  seen[2].questions[0].gold = 1;
  std::vector<CaptionItem> asked(2, picture());
  asked[1].questions[0].text = "never seen ?";
  const AnswerTable table(seen);
  CHECK(table.accuracies(asked) == std::vector<double>{1, 0.5});
  asked[0].questions[0].gold = 1;
  CHECK(table.accuracies(asked) == std::vector<double>{0, 0.5});
  seen.push_back(picture());
  seen.back().questions[0].options = {"green", "red"};
  for (std::size_t i = 0; i < 3; ++i) seen[i].questions[0].gold = i < 2 ? 1 : 0;
  asked[0].questions[0].options = {"blue", "green"};  // blue was right twice of three times, green once of one
  CHECK(AnswerTable(seen).accuracies(asked) == std::vector<double>{1, 0.5});
}

TEST_CASE("run figures are means and largest values, of what was logged") {
  const testing::TemporaryFolder folder;
  folder.file("metrics.jsonl",
              "{\"step\":0,\"log_probability_difference\":2e-6}\n"
              "{\"step\":1,\"log_probability_difference\":1e-6}\n");
  folder.file(
      "timings.jsonl",
      "{\"step\":0,\"seconds.rollout\":1,\"seconds.judge\":2,\"seconds.update\":3,\"tokens_per_second.rollout\":8}\n"
      "{\"step\":1,\"seconds.rollout\":3,\"seconds.judge\":2,\"seconds.update\":5,\"tokens_per_second.rollout\":4}\n");
  Summary summary;
  add_run_figures(summary, "image", folder.path());
  check(summary, "image.seconds.rollout", 2);
  check(summary, "image.seconds.update", 4);
  check(summary, "seconds.image_rl", 16);
  check(summary, "image.tokens_per_second.rollout", 6);
  check(summary, "image.logprob.max_difference", 2e-6);
  CHECK_FALSE(summary.has("image.questions_per_second.judge"));
  summary.add("video.logprob.max_difference", 5e-6);
  summary.add("video.tokens_per_second.rollout", 2);
  add_overall_run_figures(summary);
  check(summary, "logprob.max_difference", 5e-6);
  check(summary, "tokens_per_second.rollout", 4);
  CHECK_FALSE(summary.has("questions_per_second.judge"));
}

TEST_CASE("a report has one stage of each medium") {
  const testing::TemporaryFolder folder;
  const std::vector<Stage> stages(2, Stage{.name = "image", .folder = folder.path()});
  CHECK_THROWS_WITH_AS(require_one_stage_of_each(stages), doctest::Contains("one stage of image captions"), Error);
  CHECK_NOTHROW(require_one_stage_of_each(std::span(stages).first(1)));
}

TEST_CASE("answers are kept apart by where texts end, and a damaged file is named") {
  const auto name = [](const std::string& asked, const std::vector<Caption>& captions) {
    return examples::detail::name_of_answers(asked, captions);
  };
  CHECK(name("judge", {{"ab"}, {"c"}}) != name("judge", {{"a"}, {"bc"}}));
  CHECK(name("judge", {{"ab"}}) != name("judgea", {{"b"}}));
  CHECK(name("judge", {{"ab"}}) == name("judge", {{"ab"}}));
  CHECK(name("judge", {{"ab"}}) != name("other judge", {{"ab"}}));
  const testing::TemporaryFolder folder;
  const CaptionItem item = picture();
  const std::vector<const CaptionItem*> items{&item};
  auto told = judged(item, {{0.25, 0.5}});
  told.answers[0].leftover = 0.125;
  const auto answers = examples::detail::answers_to_json({told}).dump();
  const ItemAccuracy read = examples::detail::load_answers(folder.file("whole.json", answers), items)[0];
  CHECK(read.accuracy == 0.25);
  CHECK(read.abstain == 0.5);
  CHECK(read.leftover == 0.125);
  CHECK(read.answers[0].options == std::vector<double>{0.25, 0.25});
  for (const std::string damaged : {"[]", "[[]]", "[[{}]]", "{}", R"([[{"options":[1],"abstain":0,"leftover":0}]])"}) {
    CHECK_THROWS_WITH_AS(examples::detail::load_answers(folder.file("damaged.json", damaged), items),
                         doctest::Contains("damaged.json"), Error);
  }
}

TEST_CASE("captions are read back by item, and an empty list of them is an error that names its line") {
  const testing::TemporaryFolder folder;
  const std::vector<CaptionItem> items{picture()};
  const std::string one = "{\"id\":\"picture\",\"captions\":[{\"caption\":\"a\",\"tokens\":1,\"truncated\":false}]}\n";
  CHECK(first_captions(read_captions(folder.file("one.jsonl", one), items))[0].text == "a");
  const auto empty = folder.file("empty.jsonl", one + "{\"id\":\"picture\",\"captions\":[]}\n");
  CHECK_THROWS_WITH_AS(read_captions(empty, items), doctest::Contains("empty.jsonl:2"), Error);
}
