#include "world/scene.hpp"

#include <doctest/doctest.h>

#include <array>
#include <set>

#include "world/clip.hpp"
#include "world/items.hpp"
#include "world/split.hpp"

using world::Attribute;

namespace {

world::RandomStream stream(std::uint32_t item) { return world::RandomStream({.seed = 7, .item = item}); }

}  // namespace

TEST_CASE("objects of a scene have distinct shapes and distinct places, in reading order") {
  for (std::uint32_t i = 0; i < 500; ++i) {
    auto random = stream(i);
    const int count = 1 + static_cast<int>(i % 4);
    const world::Scene scene = world::draw_scene(random, count);
    REQUIRE(scene.objects.size() == static_cast<std::size_t>(count));
    std::set<int> shapes;
    int last = -1;
    for (const world::Object& object : scene.objects) {
      CHECK(shapes.insert(object[Attribute::shape]).second);
      CHECK(object[Attribute::place] > last);
      last = object[Attribute::place];
    }
  }
}

TEST_CASE("the eight relations are equally frequent over the cells of the grid") {
  std::array<int, 8> count{};
  for (int place = 0; place < 9; ++place) {
    for (int from = 0; from < 9; ++from) {
      if (place != from) ++count[static_cast<std::size_t>(world::relation_between(place, from))];
    }
  }
  for (const int n : count) CHECK(n == 9);
  CHECK(world::relation_words[static_cast<std::size_t>(world::relation_between(0, 4))] == "above left");
  CHECK(world::relation_words[static_cast<std::size_t>(world::relation_between(5, 3))] == "right");
}

TEST_CASE("events of a clip are apart, fit into it, and belong to different objects") {
  for (std::uint32_t i = 0; i < 500; ++i) {
    auto random = stream(i);
    const world::Clip clip = world::draw_clip(random);
    CHECK(clip.seconds >= world::shortest_clip_seconds);
    CHECK(clip.seconds <= world::longest_clip_seconds);
    CHECK(clip.events.size() >= 2);
    const int gap = clip.seconds >= world::long_clip_seconds ? 2 : 1;
    std::set<int> subjects;
    for (std::size_t e = 0; e < clip.events.size(); ++e) {
      const world::Event& event = clip.events[e];
      CHECK(subjects.insert(event.subject).second);
      CHECK(event.second >= 1);
      CHECK(event.second <= clip.seconds - 2);
      if (e > 0) CHECK(event.second - clip.events[e - 1].second >= gap);
    }
  }
}

TEST_CASE("clips are as short as wanted") {
  std::set<int> lengths;
  for (std::uint32_t i = 0; i < 100; ++i) {
    auto random = stream(i);
    lengths.insert(world::draw_clip(random, 5).seconds);
  }
  CHECK(lengths == std::set<int>{4, 5});
}

TEST_CASE("no object moves onto another's place or path") {
  for (std::uint32_t i = 0; i < 500; ++i) {
    auto random = stream(i);
    const world::Clip clip = world::draw_clip(random);
    std::set<int> taken;
    for (const world::Object& object : clip.scene.objects) taken.insert(object[Attribute::place]);
    for (const world::Event& event : clip.events) {
      if (event.kind != world::EventKind::move) continue;
      int place = clip.scene.objects[static_cast<std::size_t>(event.subject)][Attribute::place];
      for (int step = 0; step < event.cells; ++step) {
        place = world::detail::step_from(place, event.value);
        REQUIRE(place >= 0);
        CHECK(taken.insert(place).second);
      }
    }
  }
}

TEST_CASE("an item depends on its index alone, and its set on the facts alone") {
  const auto first = world::draw_image_item(3, world::Split::test, 5);
  const auto again = world::draw_image_item(3, world::Split::test, 5);
  CHECK(world::fact_hash(first.content) == world::fact_hash(again.content));
  CHECK(first.caption == again.caption);
  world::Scene other_look = first.content;
  other_look.look += 1;
  CHECK(world::split_of(other_look) == world::Split::test);
  CHECK(world::fact_hash(first.content) != world::fact_hash(world::draw_image_item(4, world::Split::test, 5).content));
}

TEST_CASE("the register throws when a scene comes back in another set") {
  auto random = stream(1);
  const world::Scene scene = world::draw_scene(random, 2);
  world::SplitRegister splits;
  splits.add(scene, world::Split::train, "a");
  splits.add(scene, world::Split::train, "b");
  CHECK_THROWS_WITH_AS(splits.add(scene, world::Split::test, "c"), doctest::Contains("one scene in train and in test"),
                       caprl::Error);
}

TEST_CASE("facts survive the way through JSON") {
  const auto picture = world::draw_image_item(3, world::Split::train, 2);
  const world::Scene scene = world::scene_from_json(world::scene_to_json(picture.content));
  CHECK(scene.objects == picture.content.objects);
  CHECK(scene.background == picture.content.background);
  for (std::uint32_t i = 0; i < 30; ++i) {
    const auto item = world::draw_clip_item(3, world::Split::train, i);
    const world::Clip clip = world::clip_from_json(world::scene_to_json(item.content));
    CHECK(clip.events == item.content.events);
    CHECK(clip.seconds == item.content.seconds);
  }
}

TEST_CASE("facts with an unknown word are refused") {
  world::Json json = world::scene_to_json(world::draw_image_item(3, world::Split::train, 2).content);
  json["background"] = "mauve";
  CHECK_THROWS_WITH_AS(world::scene_from_json(json, "facts.jsonl:4"), doctest::Contains("mauve"), caprl::Error);
}
