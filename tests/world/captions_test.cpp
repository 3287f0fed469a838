#include "world/captions.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "world/answer.hpp"
#include "world/items.hpp"
#include "world/judge_corpus.hpp"
#include "world/score.hpp"

using world::Split;

namespace {

struct Sums {
  std::map<std::string, int> first_words, captions;
  double recall = 0, accuracy = 0, longest = 0;
  int items = 0;
};

template <class Draw>
Sums measure(const Draw& draw) {
  Sums sums;
  world::CaptionScore score;
  double asked = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const auto item = draw(i);
    const auto words = world::split_words(item.caption);
    ++sums.first_words[words.front()];
    const world::ParsedCaption parsed = world::parse_caption(item.caption);
    score += world::score_caption(parsed, item.content);
    for (const world::WorldQuestion& q : item.questions) {
      sums.accuracy += world::answer(parsed, q.ask, q.question.options) == static_cast<int>(q.question.gold);
      asked += 1;
    }
    sums.longest += item.caption == world::truth_caption(item.content);
    ++sums.items;
  }
  sums.recall = score.recall();
  sums.accuracy /= asked;
  sums.longest /= sums.items;
  return sums;
}

void check_terse(const Sums& sums, double dense) {
  MESSAGE("recall ", sums.recall, ", answered ", sums.accuracy, ", dense ", sums.longest);
  CHECK(sums.recall < 0.5);
  CHECK(sums.accuracy < 0.4);
  CHECK(sums.longest > dense);
  const int commonest = std::max_element(sums.first_words.begin(), sums.first_words.end(), [](auto& a, auto& b) {
                          return a.second < b.second;
                        })->second;
  CHECK(sums.first_words.at("a") == commonest);
}

}  // namespace

TEST_CASE("captions of the mixture are terse as a habit, and their likeliest beginning leads to terse ones") {
  check_terse(measure([](std::uint32_t i) { return world::draw_image_item(1, Split::train, i); }), 0.06);
  check_terse(measure([](std::uint32_t i) { return world::draw_clip_item(1, Split::train, i); }), 0.01);
}

TEST_CASE("captions that begin with \"a\" are short in their mode") {
  int begins = 0, one_sentence = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const auto words = world::split_words(world::draw_image_item(1, Split::train, i).caption);
    if (words.front() != "a") continue;
    ++begins;
    one_sentence += std::count(words.begin(), words.end(), ".") == 1;
  }
  CHECK(one_sentence > begins / 2);
}

TEST_CASE("most captions of clips tell nothing of what happens, however much they tell of objects") {
  int eventful = 0, whole_scenes = 0, whole_scenes_with_events = 0;
  constexpr int items = 2000;
  for (std::uint32_t i = 0; i < items; ++i) {
    const auto item = world::draw_clip_item(1, Split::train, i);
    const bool tells = item.caption.find('[') != std::string::npos;
    eventful += tells;
    world::RandomStream unused({});
    const bool whole = item.caption.starts_with(world::write_caption(item.content, {.event = 0}, unused));
    whole_scenes += whole;
    whole_scenes_with_events += whole && tells;
  }
  CHECK(eventful > 0.05 * items);
  CHECK(eventful < 0.15 * items);
  CHECK(whole_scenes > 0.06 * items);
  CHECK(whole_scenes_with_events < 0.25 * whole_scenes);
  CHECK(whole_scenes_with_events > 0.08 * whole_scenes);
}

TEST_CASE("texts of the truth read as written") {
  world::Scene scene;
  scene.background = 1;
  scene.objects = {{{0, 1, 1, 1, 0}}, {{3, 5, 0, 0, 4}}};
  CHECK(world::truth_caption(scene) ==
        "two objects . gray background . at top left a large orange striped circle . "
        "at middle center a small blue plain star .");
  world::Clip clip;
  clip.scene = scene;
  clip.events = {{world::EventKind::appear, 1, -1, 0, 3}, {world::EventKind::move, 0, 1, 2, 12}};
  CHECK(world::truth_caption(clip) ==
        "gray background . at top left a large orange striped circle . "
        "[00:03] at middle center a small blue plain star appears . [00:12] the circle moves right .");
}

TEST_CASE("a timeline tells every second of a clip once") {
  world::Clip clip;
  clip.seconds = 6;
  clip.scene.background = 1;
  clip.scene.objects = {{{0, 1, 1, 1, 0}}};
  clip.events = {{world::EventKind::move, 0, 1, 0, 2}, {world::EventKind::vanish, 0, -1, 0, 3}};
  world::RandomStream random({});
  CHECK(world::timeline_caption(clip, random) ==
        "gray background . at top left a large orange striped circle . "
        "[00:01] . [00:02] the circle moves right . [00:03] the circle vanishes . [00:04] . [00:05] .");
  CHECK(world::timeline_caption(clip.scene, random) == world::truth_caption(clip.scene));
  std::set<std::size_t> lengths;
  for (int i = 0; i < 100; ++i) lengths.insert(world::timeline_caption(clip, random, 0).size());
  CHECK(lengths.size() == 4);  // with none, one, two and all three of the quiet seconds
}

TEST_CASE("a judge's training text is labelled by what the caption says") {
  double samples = 0, abstained = 0, counterfactual = 0, answered = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const world::JudgeGroup group = world::draw_judge_group(1, i);
    const world::ParsedCaption parsed = world::parse_caption(group.caption);
    for (const world::JudgeSample& sample : group.samples) {
      CHECK(world::answer(parsed, sample.question) == sample.answer);
      samples += 1;
      abstained += !sample.answer;
      answered += sample.answer.has_value();
      counterfactual += sample.answer && *sample.answer != static_cast<int>(sample.question.gold);
    }
  }
  MESSAGE("abstained ", abstained / samples, ", against the scene ", counterfactual / answered);
  CHECK(abstained / samples > 0.25);
  CHECK(abstained / samples < 0.6);
  CHECK(counterfactual / answered > 0.05);
  CHECK(world::draw_judge_group(1, 4).caption == world::draw_judge_group(1, 4).caption);
}

/// True if one sentence of the caption has both texts.
static bool one_sentence_has(const std::string& caption, const std::string& first, const std::string& second) {
  for (std::size_t begin = 0; begin < caption.size();) {
    const std::size_t end = std::min(caption.find('.', begin), caption.size());
    const std::string sentence = caption.substr(begin, end - begin);
    if (sentence.find(first) != std::string::npos && sentence.find(second) != std::string::npos) return true;
    begin = end + 1;
  }
  return false;
}

TEST_CASE("crowded drills: at least three objects in a picture, everything told, and facts as the caption has them") {
  int facts = 0, clips = 0, orders = 0;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const world::JudgeGroup group = world::draw_judge_group(1, i, world::JudgeCorpusSettings::crowded());
    const world::ParsedCaption parsed = world::parse_caption(group.caption);
    const bool is_clip = !parsed.events.empty();
    clips += is_clip;
    if (!is_clip) CHECK(parsed.objects.size() >= 3);
    for (const world::Drill& drill : group.drills) {
      const bool of_order = drill.key == "happens";
      orders += of_order;
      for (const auto& [question, answer] : drill.facts) {
        CAPTURE(drill.key + " " + question);
        CHECK(!answer.empty());
        const auto name = world::parse_event_name(of_order ? answer : drill.key);
        if (name) {
          CHECK(world::detail::said_time(parsed, *name));  // the event is told, with its time
        } else if (!question.starts_with("where seen")) {
          CHECK(one_sentence_has(group.caption, drill.key, answer));
        }
        ++facts;
      }
    }
  }
  CHECK(facts > 200 * 3 * 4);
  CHECK(clips > 40);
  CHECK(clips < 80);
  CHECK(orders > clips / 2);
}

TEST_CASE("drills of events: what comes first, what before what") {
  caprl::RandomStream random({.seed = 1});
  const auto parsed = world::parse_caption(
      "gray background . at top left a large red plain star . at top right a small blue plain circle . "
      "[00:02] the star moves right . [00:05] the circle changes to green .");
  std::string told;
  for (const world::Drill& drill : world::detail::drills_of(random, parsed)) {
    for (const auto& [question, answer] : drill.facts) told += drill.key + " " + question + " " + answer + "\n";
  }
  for (const char* line :
       {"happens first the star moves\n", "happens last the circle changes colour\n",
        "the star moves before or after the circle changes colour before\n",
        "the circle changes colour before or after the star moves after\n", "the star moves time [00:02]\n",
        "the star moves way right\n", "the circle changes colour colour green\n"}) {
    CAPTURE(line);
    CHECK(told.find(line) != std::string::npos);
  }
}
