#include <doctest/doctest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "caprl/judge/presets.hpp"
#include "caprl/judge/self_praise_term.hpp"
#include "judge/judge_laws.hpp"

using namespace caprl;

namespace {

std::vector<CaptionItem> items() {
  std::vector<CaptionItem> made(3);
  made[0].media = {{MediaKind::image, "a.png"}};
  made[1].media = {{MediaKind::video, "b.mp4"}};
  made[1].duration_seconds = 8.5;
  made[2].media = {{MediaKind::video, "c.mp4"}};  // of unknown duration
  return made;
}

std::vector<Caption> captions() {
  return {{"A red ball. [00:02] It bounces. [00:05 - 00:08] It rolls.", 20, false},
          {"", 0, false},
          {"[00:07] b [00:01] a [00:99] This caption is a comprehensive description.", 2500, true},
          {"[00:00][00:00][00:00]", 9, false}};
}

template <class Judge>
std::vector<double> totals(Judge judge, const CaptionItem& item, const std::vector<Caption>& group) {
  const std::vector<JudgeRequest> requests{{&item, group}};
  std::vector<double> values;
  const auto rewards = judge.score(requests);
  for (const Reward& reward : rewards[0]) values.push_back(reward.total.value_or(-99));
  return values;
}

const auto brevity = [](const CaptionItem&, const Caption& caption) { return -static_cast<double>(caption.tokens); };

}  // namespace

TEST_CASE("every term keeps the laws of judges") {
  const auto check = [](auto judge) { test::check_judge_laws(judge, items(), captions()); };
  check(LengthTerm{});
  check(LengthGate{});
  check(StampTerm{});
  check(StampTerm{.published = true});
  check(SelfPraiseTerm{});
  check(PerCaption{"brevity", brevity});
  check(published_image_reward(SelfPraiseTerm{}));
  check(published_video_reward(SelfPraiseTerm{}));
  check(video_reward(WeightedSum{Weighted{SelfPraiseTerm{}, 0.5}, Weighted{PerCaption{"brevity", brevity}, 2.0}}));
}

TEST_CASE("the published length reward is 1 to 2048 tokens and falls to 0 at 3072") {
  const LengthTerm length;
  CHECK(length.value(0) == 1);
  CHECK(length.value(2048) == 1);
  CHECK(length.value(2049) == doctest::Approx(1023.0 / 1024));
  CHECK(length.value(2560) == 0.5);
  CHECK(length.value(3072) == 0);
  CHECK(length.value(9999) == 0);
  CHECK_THROWS_AS((LengthTerm{.full_tokens = 5, .zero_tokens = 5}.value(1)), Error);
}

TEST_CASE("the length gate has two sides") {
  const LengthGate gate{.lowest = 10, .low = 20, .high = 40, .highest = 50};
  CHECK(gate.value(0) == 0);
  CHECK(gate.value(10) == 0);
  CHECK(gate.value(15) == 0.5);
  CHECK(gate.value(20) == 1);
  CHECK(gate.value(40) == 1);
  CHECK(gate.value(45) == 0.5);
  CHECK(gate.value(50) == 0);
  CHECK(gate.value(60) == 0);
  CHECK_THROWS_AS((LengthGate{.lowest = 3, .low = 3}.value(1)), Error);
}

TEST_CASE("stamps are found and scored as Python's re and the published formula do") {
  std::ifstream file(CAPRL_TEST_DATA "/judge/time_stamps.json");
  const auto cases = nlohmann::json::parse(file);
  REQUIRE(cases.size() == 124);
  for (const auto& one : cases) {
    const std::string text = one[0];
    CAPTURE(text);
    const auto stamps = find_time_stamps(text);
    CHECK(stamps.size() == one[1].get<std::size_t>());
    CHECK(published_stamp_reward(stamps) == doctest::Approx(one[2].get<double>()));
  }
}

TEST_CASE("a stamp holds its seconds") {
  const auto stamps = find_time_stamps("[01:05] and [1:05-02:00], [00:60], [00:05 - 00:04], [0:1], [1234:00], [00:01");
  REQUIRE(stamps.size() == 4);
  CHECK(stamps[0] == TimeStamp{65, 65, true});
  CHECK(stamps[1] == TimeStamp{65, 120, true});
  CHECK(stamps[2] == TimeStamp{60, 60, false});
  CHECK(stamps[3] == TimeStamp{5, 4, false});
}

TEST_CASE("worked example: clip-aware stamps") {
  const auto reward = [](const char* text, double duration) {
    return clip_stamp_reward(find_time_stamps(text), duration);
  };
  CHECK(reward("[00:00] a [00:03] b [00:06] c", 8.0) == doctest::Approx(1));
  CHECK(reward("no stamp", 8.0) == 0);
  // The same stamp three times: one counts; v = 1/3, c = 1/3, o = 1.
  CHECK(reward("[00:00] [00:00] [00:00]", 8.0) == doctest::Approx(0.45 / 9 + 0.25 / 3 + 0.30 / 3));
  CHECK(published_stamp_reward(find_time_stamps("[00:00] [00:00] [00:00]")) == doctest::Approx(1));
  // Two of four lie within the clip: v = 1/2, c = 2/3.
  CHECK(reward("[00:01] [00:04] [00:09] [00:05 - 00:20]", 8.9) == doctest::Approx(0.45 / 3 + 0.25 / 2 + 0.30 / 2));
  // The last whole second of a clip counts.
  CHECK(reward("[00:08] [00:09]", 8.0) == doctest::Approx(0.45 / 3 / 2 + 0.25 / 2 + 0.30 / 2));
  // A clip of 1.5 s holds two whole seconds, so two stamps are all that is wanted; one of 0.4 s holds one.
  CHECK(reward("[00:00] [00:01]", 1.5) == doctest::Approx(1));
  CHECK(reward("[00:00]", 0.4) == doctest::Approx(1));
  // Start times 4, 1, 6: two of three pairs are in order.
  CHECK(reward("[00:04] [00:01] [00:06]", 8.0) == doctest::Approx(0.45 + 0.25 + 0.30 * 2 / 3));
}

TEST_CASE("the stamp term needs the duration of a video") {
  const auto all = items();
  CHECK(totals(StampTerm{}, all[0], captions()) == std::vector<double>{0, 0, 0, 0});
  CHECK(totals(StampTerm{}, all[1], captions())[0] > 0.8);
  CHECK(totals(StampTerm{}, all[2], captions())[0] == -99);
  CHECK(totals(StampTerm{.published = true}, all[2], captions())[3] == doctest::Approx(1));
}

TEST_CASE("self-praise is found as whole words, whatever the case") {
  CHECK(count_phrase("As an AI. as an ai, as an aide, has an ai", "as an ai") == 2);
  CHECK(count_phrase("aaa", "aa") == 0);
  CHECK(count_phrase("the end", "") == 0);
  CHECK(count_phrase("", "x") == 0);
  const SelfPraiseTerm term;
  CHECK(term.value("A dog runs across a field.") == 0);
  CHECK(term.value("A dog. THIS CAPTION is good.") == -1);
  const SelfPraiseTerm own{.phrases = {"dog", "field"}, .limit = 4};
  CHECK(own.value("A dog runs across a field to a dog.") == -0.75);
  CHECK(own.value("dog dog dog dog dog") == -1);
  CHECK_THROWS_AS((SelfPraiseTerm{.limit = 0}.value("")), Error);
}

TEST_CASE("any function of an item and a caption is a judge") {
  CHECK(totals(PerCaption{"brevity", brevity}, items()[0], captions()) == std::vector<double>{-20, 0, -2500, -9});
  CHECK(PerCaption{"brevity", brevity}.part_names() == std::vector<std::string>{"brevity"});
  const auto broken = [](const CaptionItem&, const Caption& caption) {
    return caption.tokens == 0 ? std::numeric_limits<double>::quiet_NaN() : 1.0;
  };
  PerCaption judge{"broken", broken};
  const auto item = items()[0];
  const auto group = captions();
  const std::vector<JudgeRequest> requests{{&item, group}};
  const auto rewards = judge.score(requests);
  CHECK(rewards[0][0].total == 1.0);
  CHECK_FALSE(rewards[0][1].total);
  CHECK(rewards[0][1].missing_reason == "broken: the result is not a finite number");
}

TEST_CASE("a weighted sum shows its parts, and is missing where a part is") {
  auto sum = video_reward(WeightedSum{Weighted{SelfPraiseTerm{}, 0.5}, Weighted{PerCaption{"brevity", brevity}, 2.0}});
  CHECK(sum.part_names() == std::vector<std::string>{"self_praise", "brevity", "stamps", "length"});
  CHECK(sum.part_weights() == std::vector<double>{0.5, 2.0, 0.2, 0.2});
  const auto all = items();
  const auto group = captions();
  const std::vector<JudgeRequest> requests{{&all[1], group}, {&all[2], group}};
  const auto rewards = sum.score(requests);
  CHECK(rewards[0][2].parts[0] == -1);
  CHECK(rewards[0][2].parts[1] == -2500);
  CHECK(*rewards[0][2].total == doctest::Approx(-0.5 - 5000 + 0.2 * rewards[0][2].parts[2] + 0.2 * 572.0 / 1024));
  for (const Reward& reward : rewards[1]) {
    CHECK_FALSE(reward.total);
    CHECK(reward.parts.empty());
    CHECK(reward.missing_reason == "stamps: the duration of the video is not known");
  }
  WeightedSum twice{Weighted{StampTerm{}, 1.0}, Weighted{LengthTerm{}, 1.0}, Weighted{StampTerm{}, 1.0}};
  CHECK(twice.score(requests)[1][0].missing_reason ==
        "stamps: the duration of the video is not known; stamps: the duration of the video is not known");
  CHECK(twice.judge<1>().full_tokens == 2048);
  CHECK(twice.part_names() == std::vector<std::string>{"stamps", "length", "stamps.2"});
}

namespace {

struct TwoParts {
  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) const {
    return std::vector<std::vector<Reward>>(requests.size());
  }
  std::vector<std::string> part_names() const { return {"a", "b"}; }
};

}  // namespace

TEST_CASE("a judge that breaks its contract is an error in a sum") {
  CHECK_THROWS_WITH_AS(part_weights(TwoParts{}), doctest::Contains("expected one part, got 2"), Error);
  CHECK(part_weights(LengthTerm{}) == std::vector<double>{1.0});
  const auto forgetful = [](const CaptionItem&, const Caption&) { return 1.0; };
  PerCaption fine{"fine", forgetful};
  struct Forgetful {
    std::vector<std::vector<Reward>> score(std::span<const JudgeRequest>) const { return {{}}; }
    std::vector<std::string> part_names() const { return {"forgetful"}; }
  };
  const auto item = items()[0];
  const auto group = captions();
  const std::vector<JudgeRequest> one{{&item, group}};
  const std::vector<JudgeRequest> two{{&item, group}, {&item, group}};
  WeightedSum sum{Weighted{fine, 1.0}, Weighted{Forgetful{}, 1.0}};
  CHECK_THROWS_WITH_AS(sum.score(one), doctest::Contains("one reward for each caption"), Error);
  CHECK_THROWS_WITH_AS(sum.score(two), doctest::Contains("one vector of rewards for each request"), Error);
}
