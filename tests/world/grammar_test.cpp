#include "world/grammar.hpp"

#include <doctest/doctest.h>

#include <set>

#include "world/answer.hpp"
#include "world/items.hpp"
#include "world/score.hpp"
#include "world/vocabulary.hpp"

using world::Attribute;
using world::EventKind;
using world::Split;

namespace {

constexpr std::uint32_t items = 600;

/// A scene to write about: a large red striped circle at the top left, a small blue plain star in the middle.
world::Scene two_objects() {
  world::Scene scene;
  scene.background = 1;
  scene.objects = {{{0, 0, 1, 1, 0}}, {{3, 5, 0, 0, 4}}};
  return scene;
}

world::CaptionScore score(const std::string& caption) {
  return world::score_caption(world::parse_caption(caption), two_objects());
}

template <class Item>
void check_truth(const Item& item) {
  const world::ParsedCaption truth = world::parse_caption(world::truth_caption(item.content));
  const world::CaptionScore dense = world::score_caption(truth, item.content);
  CHECK(dense.recall() == 1);
  CHECK(dense.precision() == 1);
  CHECK(dense.unparsable == 0);
  for (const world::WorldQuestion& question : item.questions) {
    CHECK(world::answer(truth, question.question) == static_cast<int>(question.question.gold));
    CHECK(world::parse_question(question.question.text) == question.ask);
  }
  const world::CaptionScore mixed = world::score_caption(world::parse_caption(item.caption), item.content);
  CHECK(mixed.precision() == 1);
  CHECK(mixed.claims > 0);
  for (const world::WorldQuestion& question : item.questions) {
    const auto said = world::answer(world::parse_caption(item.caption), question.question);
    if (said) CHECK(*said == static_cast<int>(question.question.gold));
  }
}

}  // namespace

TEST_CASE("the truth written out is complete, true, and answers every question") {
  for (std::uint32_t i = 0; i < items; ++i) {
    check_truth(world::draw_image_item(1, Split::validation, i));
    check_truth(world::draw_clip_item(1, Split::validation, i));
  }
}

TEST_CASE("captions, questions and options keep to the vocabulary, and dense captions to their length") {
  const std::vector<std::string> list = world::vocabulary();
  const std::set<std::string> known(list.begin(), list.end());
  CHECK(known.size() < 120);
  const auto check = [&](const std::string& text) {
    for (const std::string& word : world::split_words(text)) CHECK_MESSAGE(known.contains(word), word);
  };
  for (std::uint32_t i = 0; i < items; ++i) {
    const auto picture = world::draw_image_item(1, Split::train, i);
    const auto clip = world::draw_clip_item(1, Split::train, i);
    check(world::truth_caption(picture.content));
    check(world::truth_caption(clip.content));
    CHECK(world::split_words(world::truth_caption(picture.content)).size() <= 48);
    CHECK(world::split_words(world::truth_caption(clip.content)).size() <= 72);
    for (const auto& question : picture.questions) check(question.question.text);
    for (const auto& question : clip.questions) {
      check(question.question.text);
      for (const std::string& option : question.question.options) check(option);
    }
  }
}

TEST_CASE("a true caption that omits is precise; recall counts what it states") {
  const world::CaptionScore half = score("two objects . at top left a red circle .");
  CHECK(half.claims == 4);
  CHECK(half.true_claims == 4);
  CHECK(half.facts == 12);
  CHECK(half.stated == 4);
  CHECK(half.sentences == 2);
}

TEST_CASE("false, repeated and contradicting claims count as false") {
  CHECK(score("a blue circle .").true_claims == 1);
  CHECK(score("a red circle . a red circle .").true_claims == 2);
  CHECK(score("a red circle . a red circle .").claims == 4);
  CHECK(score("a red circle . a blue circle .").true_claims == 1);  // that there is a circle
  CHECK(score("a circle . a blue circle .").true_claims == 1);      // the second is not the blue star
  CHECK(score("two objects . two objects .").true_claims == 1);
  CHECK(score("two objects . three objects .").true_claims == 0);
  CHECK(score("gray background . black background .").true_claims == 0);
  CHECK(score("at top left a circle . at top left a star .").true_claims == 2);  // the shapes
  CHECK(score("[00:03] the circle moves left .").true_claims == 0);
  CHECK(score("[00:03] the circle moves left .").claims == 3);
}

TEST_CASE("objects are matched one to one, to the caption's advantage") {
  CHECK(score("at top left a large red striped square .").true_claims == 4);  // the circle, but for its shape
  CHECK(score("a red circle . a red square . a red triangle .").true_claims == 2);
  CHECK(score("a circle . a star . a cross .").true_claims == 2);
}

TEST_CASE("what is said of a shape that is there is said of no other object") {
  const auto swapped = score("at top left a large red striped star . at middle center a small blue plain circle .");
  CHECK(swapped.claims == 10);
  CHECK(swapped.true_claims == 2);  // the shapes
  CHECK(score("a blue circle . a red star .").true_claims == 2);
}

TEST_CASE("unparsable sentences and empty captions count as false") {
  for (const char* text : {"circle red a .", "a red circle", "a circle at top left .", "the circle .", ".",
                           "[00:03] a circle .", "at top a circle .", "two object .", "[00:99] the circle vanishes .",
                           "the circle moves .", "the circle changes blue .", "a red red circle ."}) {
    CAPTURE(text);
    const world::CaptionScore bad = score(text);
    CHECK(bad.claims == 1);
    CHECK(bad.true_claims == 0);
    CHECK(bad.unparsable == 1);
  }
  for (const char* text : {"", "[00:03] .", "[00:01] . [00:02] ."}) {  // nothing is claimed
    CAPTURE(text);
    const world::CaptionScore empty = score(text);
    CHECK(empty.claims == 1);
    CHECK(empty.true_claims == 0);
    CHECK(empty.unparsable == 0);
  }
}

TEST_CASE("the clauses of a clip: event, detail, and time within a second") {
  world::Clip clip;
  clip.scene = two_objects();
  clip.seconds = 10;
  clip.events = {{EventKind::move, 0, 1, 1, 3}, {EventKind::vanish, 1, -1, 0, 7}};
  const auto events = [&](const std::string& text) { return world::score_caption(world::parse_caption(text), clip); };
  CHECK(events("").facts == 1 + 10 + 3 + 2);
  CHECK(events("[00:03] the circle moves right .").true_claims == 3);
  CHECK(events("[00:04] the circle moves left .").true_claims == 2);
  const world::CaptionScore late = events("[00:09] the star vanishes .");
  CHECK(late.true_claims == 1);
  CHECK(late.times == 1);
  CHECK(late.times_near == 0);
  CHECK(late.time_error_seconds == 2);
  CHECK(events("[00:07] the star vanishes . [00:08] the star vanishes .").true_claims == 1);
  CHECK(events("[00:07] the star vanishes . [00:07] the star vanishes .").true_claims == 2);
  CHECK(events("[00:07] the star vanishes . [00:07] the star vanishes .").claims == 4);
  CHECK(events("[00:07] the star hits the circle .").true_claims == 0);
}

TEST_CASE("the answerer follows the caption, and abstains where it does not say") {
  const auto answer = [](const std::string& caption, const world::Ask& ask, const std::vector<std::string>& options) {
    return world::answer(world::parse_caption(caption), ask, options);
  };
  const std::vector<std::string> colours = {"red", "blue", "green", "pink"};
  const world::Ask colour{.kind = world::QuestionKind::colour, .shape = 0};
  CHECK(answer("a blue circle .", colour, colours) == 1);
  CHECK(answer("a blue star .", colour, colours) == std::nullopt);
  CHECK(answer("a yellow circle .", colour, colours) == std::nullopt);
  CHECK(answer("a blue circle . a red circle .", colour, colours) == std::nullopt);
  CHECK(answer("a blue circle . a blue circle .", colour, colours) == 1);
  CHECK(answer("circle blue a .", colour, colours) == std::nullopt);
  const world::Ask time{.kind = world::QuestionKind::time, .event = {EventKind::vanish, 0, -1}};
  const std::vector<std::string> times = {"[00:07]", "[00:01]", "[00:03]", "[00:05]"};
  CHECK(answer("[00:03] the circle vanishes .", time, times) == 2);
  CHECK(answer("[00:08] the circle vanishes .", time, times) == 0);
  CHECK(answer("[00:09] the circle vanishes .", time, times) == std::nullopt);
  CHECK(answer("[00:04] the circle vanishes .", time, times) == std::nullopt);  // between two options
  const world::Ask first{.kind = world::QuestionKind::order};
  const std::vector<std::string> order = {"the star moves", "the circle vanishes"};
  CHECK(answer("[00:03] the circle vanishes . [00:05] the star moves up .", first, order) == 1);
  CHECK(answer("[00:03] the circle vanishes .", first, order) == std::nullopt);
}

TEST_CASE("a question of another world is an error") {
  const caprl::Question question{.text = "who painted this ?", .options = {"me", "you"}};
  CHECK_THROWS_AS(world::answer(world::parse_caption("a circle ."), question), caprl::Error);
}
