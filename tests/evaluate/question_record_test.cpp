#include "caprl/evaluate/question_record.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "judge/small_judge.hpp"

using namespace caprl;
using namespace caprl::test;

namespace {

const Question question{"what colour is it ?", {"red", "blue", "green", "grey"}, 2};

QuestionAnswer even_answer() {
  return {
      .options = {0.1, 0.1, 0.1, 0.1}, .positions = {0.1, 0.1, 0.1, 0.1}, .abstain = 0.6, .leftover = 0, .score = 0};
}

bool names(const std::vector<std::string>& faults, const std::string& what) {
  return faults.size() == 1 && faults[0].starts_with(what);
}

}  // namespace

TEST_CASE("a judge that knows nothing without a caption finds no fault with a question") {
  std::vector<QuestionAnswer> captioned(2, even_answer());
  captioned[0].options[2] = 0.5;
  captioned[0].abstain = 0.2;
  const QuestionRecord record = question_record(question, even_answer(), captioned);
  CHECK(record.chance == 0.25);
  CHECK(record.blind_accuracy == doctest::Approx(0.25));
  CHECK(record.blind_abstain == 0.6);
  CHECK(record.position_bias == doctest::Approx(0.0));
  CHECK(record.accuracy == doctest::Approx(0.3));
  CHECK(record.abstain == doctest::Approx(0.4));
  CHECK(record.captions == 2);
  CHECK(question_faults(record).empty());
}

TEST_CASE("each fault of a question is named") {
  QuestionAnswer answer = even_answer();
  answer.options = {0.05, 0.05, 0.2, 0.1};
  const QuestionRecord guessed = question_record(question, answer, {});
  CHECK(guessed.blind_accuracy == doctest::Approx(0.5));
  CHECK(names(question_faults(guessed), "answered without a caption"));
  CHECK(question_faults(guessed, {.blind_above_chance = 0.3}).empty());

  answer = even_answer();
  answer.positions = {0.4, 0, 0, 0};
  const QuestionRecord first = question_record(question, answer, {});
  CHECK(first.position_bias == doctest::Approx(0.75));
  CHECK(names(question_faults(first), "answered by the options' positions"));

  answer = even_answer();
  answer.leftover = 0.5;
  CHECK(names(question_faults(question_record(question, even_answer(), std::vector<QuestionAnswer>{answer})),
              "answered with something other than a letter"));

  answer = even_answer();
  answer.abstain = 0.99;
  CHECK(names(question_faults(question_record(question, even_answer(), std::vector<QuestionAnswer>{answer, answer})),
              "never settled by a caption"));
  CHECK(question_faults(question_record(question, even_answer(), std::vector<QuestionAnswer>{answer})).empty());

  answer = even_answer();
  answer.options[0] = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(question_faults(question_record(question, answer, {})).empty());
}

TEST_CASE("records hold what the judge says") {
  const CaptionItem item = asked_item();
  const std::vector<Caption> captions{{"a red circle", 3, false}, {"a blue square", 3, false}};
  const std::vector<Caption> nothing{{"", 0, false}};
  const auto judge = small_judge();
  const auto records = question_records(judge, std::vector<JudgeRequest>{{&item, captions}, {&item, {}}});
  REQUIRE(records.size() == 2);
  REQUIRE(records[0].size() == 2);
  const auto blind = judge.answer(std::vector<JudgeRequest>{{&item, nothing}})[0][0][0];
  const auto with = judge.answer(std::vector<JudgeRequest>{{&item, captions}})[0];
  const double options = blind.options[0] + blind.options[1] + blind.options[2];
  CHECK(records[0][0].blind_accuracy == doctest::Approx(blind.options[1] / options).epsilon(1e-4));
  CHECK(records[0][0].accuracy == doctest::Approx((with[0][0].options[1] + with[1][0].options[1]) / 2).epsilon(1e-4));
  CHECK(records[1][0].captions == 0);
  CHECK(records[1][0].blind_accuracy == doctest::Approx(records[0][0].blind_accuracy).epsilon(1e-4));
  // Positions and options hold the same probability, counted in two ways.
  CHECK(blind.positions[0] + blind.positions[1] + blind.positions[2] == doctest::Approx(options));
  // An untrained judge mostly writes no letter.
  CHECK(question_faults(records[0][0]).back().starts_with("answered with something other"));
  CHECK_THROWS_AS(question_records(small_judge({.orders = {.kind = OptionOrders::Kind::cyclic, .count = 1}}),
                                   std::vector<JudgeRequest>{{&item, captions}}),
                  Error);
}
