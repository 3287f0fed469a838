#include "caprl/judge/sampled_judge.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "caprl/advantage/reward_selection.hpp"
#include "caprl/judge/presets.hpp"
#include "judge/judge_laws.hpp"
#include "judge/small_judge.hpp"

using namespace caprl;
using namespace caprl::test;

static_assert(RewardJudge<SampledJudge<float>>);

namespace {

SampledJudge<float> sampled_judge(SampledJudgeSettings settings = {}, JudgeTally* count = nullptr) {
  const Tokenizer tokenizer = small_tokenizer();
  settings.prompt = QuestionPrompt::brief();
  return SampledJudge<float>(opinionated_model(tokenizer), tokenizer, settings, count);
}

ExactJudge<float> exact_judge(ExactJudgeSettings settings = {}) {
  const Tokenizer tokenizer = small_tokenizer();
  settings.prompt = QuestionPrompt::brief();
  return ExactJudge<float>(opinionated_model(tokenizer), tokenizer, settings);
}

SampledJudge<float> reciting_judge(const std::string& text, SampledJudgeSettings settings) {
  const Tokenizer tokenizer = small_tokenizer();
  settings.prompt = QuestionPrompt::brief();
  settings.temperature = 0.1;
  return SampledJudge<float>(reciting_model(tokenizer, text), tokenizer, settings);
}

const std::vector<Caption> three_captions{{"a red circle", 3, false}, {"", 0, false}, {"a blue square .", 4, false}};

/// How far the mean of many draws lies from `expected`, in standard errors; the largest over the captions.
double standard_errors(const SampledJudge<float>& judge, const ExactJudge<float>& expected) {
  const CaptionItem item = asked_item();
  const std::vector<JudgeRequest> requests{{&item, three_captions}};
  const auto sampled = judge.answer(requests)[0];
  const auto exact = expected.score(requests)[0];
  double most = 0;
  for (std::size_t c = 0; c < three_captions.size(); ++c) {
    double sum = 0, squares = 0;
    for (const SampledAnswer& answer : sampled[c]) {
      sum += answer.score;
      squares += answer.score * answer.score;
    }
    const auto count = static_cast<double>(sampled[c].size());
    const double mean = sum / count;
    const double error = std::sqrt((squares / count - mean * mean) / count);
    CHECK(error > 0);
    most = std::max(most, std::abs(mean - *exact[c].total) / error);
  }
  return most;
}

std::vector<SampledAnswer> answers_of(const SampledJudge<float>& judge, const CaptionItem& item) {
  const std::vector<Caption> captions{{"a red circle", 3, false}};
  return judge.answer(std::vector<JudgeRequest>{{&item, captions}})[0][0];
}

}  // namespace

TEST_CASE("the sampled judge keeps the laws of judges") {
  auto judge = sampled_judge();
  CaptionItem other = asked_item();
  other.questions.pop_back();
  check_judge_laws(judge, {asked_item(), other}, three_captions, 1e-6);
}

TEST_CASE("the mean of its draws is what the exact judge gives for the same questions and orders") {
  const OptionOrders cyclic{.kind = OptionOrders::Kind::cyclic};
  const OptionOrders all{.kind = OptionOrders::Kind::all};
  const OptionOrders two{.kind = OptionOrders::Kind::cyclic, .count = 2, .seed = 5};
  CHECK(standard_errors(sampled_judge({.draws = 6000, .orders = cyclic}), exact_judge({.orders = cyclic})) < 4);
  CHECK(standard_errors(sampled_judge({.draws = 6000, .penalty = 0.25}),
                        exact_judge({.orders = all, .penalty = 0.25})) < 4);
  CHECK(standard_errors(sampled_judge({.draws = 6000, .orders = two, .penalty = 0.0}),
                        exact_judge({.orders = two, .penalty = 0.0})) < 4);
  // The same check tells other settings apart.
  CHECK(standard_errors(sampled_judge({.draws = 6000, .orders = cyclic}),
                        exact_judge({.orders = {.kind = OptionOrders::Kind::cyclic, .count = 1}})) > 4);
  CHECK(standard_errors(sampled_judge({.draws = 6000, .temperature = 5.0, .penalty = 0.0}),
                        exact_judge({.orders = all, .penalty = 0.0})) > 4);
  CHECK(standard_errors(sampled_judge({.draws = 6000}), exact_judge({.orders = all, .penalty = 0.0})) > 4);
}

TEST_CASE("each letter is drawn as often as the exact judge finds it probable") {
  CaptionItem item = asked_item();
  item.questions.pop_back();
  const std::vector<Caption> captions{{"a red circle", 3, false}};
  const std::vector<JudgeRequest> requests{{&item, captions}};
  const OptionOrders one{.kind = OptionOrders::Kind::cyclic, .count = 1, .seed = 5};
  const QuestionAnswer exact = exact_judge({.orders = one, .temperature = 5.0}).answer(requests)[0][0][0];
  std::vector<double> expected = exact.positions, drawn(4);
  expected.push_back(exact.abstain);
  const double draws = 4000;
  const auto answers = sampled_judge({.draws = 4000, .orders = one, .temperature = 5.0}).answer(requests);
  for (const SampledAnswer& answer : answers[0][0]) {
    if (answer.letter) drawn[static_cast<std::size_t>(*answer.letter - 'A')] += 1 / draws;
  }
  for (std::size_t i = 0; i < 4; ++i) {
    CAPTURE(expected[i]);
    CHECK(std::abs(drawn[i] - expected[i]) <= 4 * std::sqrt(expected[i] * (1 - expected[i]) / draws));
  }
}

TEST_CASE("draws depend on the seed and the request, and a request is read once") {
  const CaptionItem item = asked_item();
  JudgeTally count;
  const auto judge = sampled_judge({.draws = 40}, &count);
  const auto first = answers_of(judge, item);
  CHECK(count.read > 0);
  CHECK(count.read < count.repeated / 4);
  const auto again = answers_of(judge, item);
  const auto other = answers_of(sampled_judge({.draws = 40, .seed = 1}), item);
  bool same = true, same_other = true;
  for (std::size_t d = 0; d < first.size(); ++d) {
    same &= first[d].draw == again[d].draw && first[d].letter == again[d].letter;
    same_other &= first[d].draw == other[d].draw;
  }
  CHECK(same);
  CHECK_FALSE(same_other);
}

TEST_CASE("equal captions are judged once, and how prompts are spread over passes changes no answer") {
  const CaptionItem item = asked_item();
  std::vector<Caption> captions = three_captions;
  captions.push_back(captions.front());
  const std::vector<JudgeRequest> requests{{&item, captions}};
  JudgeTally count;
  sampled_judge({.draws = 5}, &count).score(requests);
  CHECK(count.answers == 3 * 5);
  for (const bool written : {false, true}) {
    // So warm that answers differ from draw to draw.
    const SampledJudgeSettings settings{.draws = 20, .temperature = 5.0, .faults = {.first_capital = written}};
    SampledJudgeSettings one_by_one = settings;
    one_by_one.maximum_rows = 1;
    const auto together = sampled_judge(settings).answer(requests)[0];
    const auto apart = sampled_judge(one_by_one).answer(requests)[0];
    std::set<std::optional<char>> letters;
    for (std::size_t c = 0; c < captions.size(); ++c) {
      for (std::size_t d = 0; d < together[c].size(); ++d) {
        CHECK(together[c][d].letter == apart[c][d].letter);
        letters.insert(together[c][d].letter);
      }
    }
    CHECK(letters.size() > 1);
  }
}

TEST_CASE("published: each caption of a group is asked other questions") {
  CaptionItem item = asked_item();
  const std::vector<Question> twice = item.questions;
  item.questions.insert(item.questions.end(), twice.begin(), twice.end());
  REQUIRE(item.questions.size() == 4);
  const std::vector<Caption> captions(400, Caption{"a red circle", 3, false});
  const std::vector<JudgeRequest> requests{{&item, captions}};
  // Were the first two questions always answered right and the others never, a caption's reward would be this share.
  const auto deviation = [&](const SampledJudge<float>& judge) {
    double sum = 0, squares = 0;
    const auto answered = judge.answer(requests);
    for (const auto& answers : answered[0]) {
      const double right = static_cast<double>(std::ranges::count_if(
                               answers, [](const SampledAnswer& answer) { return answer.draw.question < 2; })) /
                           static_cast<double>(answers.size());
      sum += right / 400;
      squares += right * right / 400;
    }
    return std::sqrt(std::max(0.0, squares - sum * sum));
  };
  CHECK(deviation(sampled_judge()) == doctest::Approx(0.0));
  CHECK(deviation(sampled_judge({.faults = {.questions_by_caption = true}})) == doctest::Approx(0.177).epsilon(0.1));
}

TEST_CASE("published: wrong answers cost nothing") {
  const CaptionItem item = asked_item();
  const auto lowest = [&](const PublishedFaults& faults) {
    double score = 1;
    for (const auto& answer : answers_of(sampled_judge({.draws = 100, .faults = faults}), item)) {
      score = std::min(score, answer.score);
    }
    return score;
  };
  CHECK(lowest({}) == -1.0);  // the question with two options; half of it for the one with three
  CHECK(lowest({.abstaining_is_wrong = true}) == 0.0);
}

TEST_CASE("published: the first capital anywhere in a written answer decides") {
  const CaptionItem item = asked_item();
  for (const auto& answer : answers_of(reciting_judge("no B", {}), item)) CHECK_FALSE(answer.letter.has_value());
  const SampledJudgeSettings written{.faults = {.first_capital = true}};
  for (const auto& answer : answers_of(reciting_judge("no B", written), item)) {
    CHECK(answer.letter == 'B');
    const Question& question = item.questions[answer.draw.question];
    const bool right = answer.draw.order[1] == question.gold;
    CHECK(answer.score == (right ? 1.0 : -1.0 / static_cast<double>(question.options.size() - 1)));
  }
  for (const auto& answer : answers_of(reciting_judge("Can", written), item)) CHECK(answer.letter == 'C');
  SampledJudgeSettings brief = written;
  brief.answer_tokens = 3;
  for (const auto& answer : answers_of(reciting_judge("no B", brief), item)) CHECK_FALSE(answer.letter.has_value());
}

TEST_CASE("published: the abstain option is always F") {
  const CaptionItem item = asked_item();
  for (const auto& answer : answers_of(reciting_judge("F", {}), item)) CHECK_FALSE(answer.letter.has_value());
  for (const auto& answer : answers_of(reciting_judge("F", {.faults = {.fixed_abstain_letter = true}}), item)) {
    CHECK(answer.letter == 'F');
    CHECK(answer.score == 0);
  }
}

TEST_CASE("published: options of a video keep the letter they had") {
  CaptionItem item = asked_item();
  CHECK(with_old_labels(item)[0].options == item.questions[0].options);
  item.media[0].kind = MediaKind::video;
  CHECK(with_old_labels(item)[0].options == std::vector<std::string>{"A. red", "B. blue", "C. green"});
  CHECK(with_old_labels(item)[0].gold == 1);
  JudgeTally plain, labelled;
  answers_of(sampled_judge({}, &plain), item);
  answers_of(sampled_judge({.faults = {.old_labels = true}}, &labelled), item);
  CHECK(labelled.repeated > plain.repeated);
}

TEST_CASE("published: all faults together, stamps and truncated captions included") {
  const PublishedFaults all = published();
  CHECK((all.questions_by_caption && all.abstaining_is_wrong && all.first_capital && all.fixed_abstain_letter &&
         all.old_labels && all.repeated_stamps && all.score_truncated));
  CHECK(truncated_rule(all) == TruncatedRule::score);
  CHECK(truncated_rule({}) == TruncatedRule::zero_reward);
  CaptionItem item = asked_item();
  item.media[0].kind = MediaKind::video;
  item.duration_seconds = 9;
  const std::vector<Caption> captions{{"[00:00] a [00:00] b [00:00] c", 9, false}};
  const std::vector<JudgeRequest> requests{{&item, captions}};
  auto settings = SampledJudgeSettings::published();
  const auto stamps = [&](const PublishedFaults& faults) {
    auto reward = video_reward(sampled_judge(settings), faults);
    return reward.score(requests)[0][0].parts[1];
  };
  CHECK(stamps(all) == doctest::Approx(1.0));
  CHECK(stamps({}) < 0.5);
}

TEST_CASE("without questions, or with broken weights, there is no reward") {
  CaptionItem item = image_item();
  const auto none = sampled_judge().score(std::vector<JudgeRequest>{{&item, three_captions}});
  CHECK(none[0][0].missing_reason == "the item has no questions");

  const Tokenizer tokenizer = small_tokenizer();
  const Decoder<float> model = opinionated_model(tokenizer);
  model.final_norm.value().data()[0] = std::numeric_limits<float>::quiet_NaN();
  const CaptionItem asked = asked_item();
  for (const bool written : {false, true}) {
    SampledJudge<float> broken(model, tokenizer,
                               {.prompt = QuestionPrompt::brief(), .faults = {.first_capital = written}});
    const auto rewards = broken.score(std::vector<JudgeRequest>{{&asked, three_captions}});
    CHECK_FALSE(rewards[0][0].total.has_value());
    CHECK_FALSE(rewards[0][0].missing_reason.empty());
  }
}
