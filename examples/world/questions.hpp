#pragma once

#include <array>
#include <vector>

#include "world/clip.hpp"
#include "world/options.hpp"
#include "world/scene.hpp"

namespace world {

/// What the questions of a picture are about. The plan is drawn before the scene, and the number of objects from the
/// plan, so that the answer to "how many" is uniform among the items that ask it.
///
/// An item names its objects in one way only, by shape or by place: were both used, the shapes named in some questions
/// would answer others. An item that asks for the count speaks of one object only, for the same reason; one that asks
/// for a relation does not ask for places.
enum class ImagePlan : int { count_by_shape, count_by_place, relation, several_places, several_shapes };

inline constexpr int questions_per_image = 5;
inline constexpr int questions_per_clip = 6;

inline ImagePlan draw_image_plan(RandomStream& random) {
  constexpr std::array<double, 5> share = {0.24, 0.20, 0.36, 0.09, 0.11};
  double left = random.uniform();
  for (std::size_t i = 0; i + 1 < share.size(); ++i) {
    left -= share[i];
    if (left < 0) return static_cast<ImagePlan>(i);
  }
  return ImagePlan::several_shapes;
}

inline bool asks_count(ImagePlan plan) { return plan <= ImagePlan::count_by_place; }
inline bool names_by_place(ImagePlan plan) {
  return plan == ImagePlan::count_by_place || plan == ImagePlan::several_shapes;
}

/// Uniform over 1 to 4 where the count is asked, else over 2 to 4.
inline int draw_object_count(RandomStream& random, ImagePlan plan) {
  return asks_count(plan) ? 1 + draw_below(random, 4) : 2 + draw_below(random, 3);
}

namespace detail {

inline constexpr std::array<Attribute, 3> free_attributes = {Attribute::colour, Attribute::size, Attribute::texture};

/// Adds `missing` questions for the background, and colour, size and texture of `objects`: each kind once before any
/// comes twice.
inline void add_free_questions(RandomStream& random, const Scene& scene, const std::vector<int>& objects, bool by_place,
                               int missing, std::vector<WorldQuestion>& questions) {
  const std::vector<int> kinds = draw_distinct(random, 4, 4);
  for (std::size_t round = 0; round < objects.size() && missing > 0; ++round) {
    for (std::size_t i = 0; i < kinds.size() && missing > 0; ++i) {
      const auto kind = static_cast<std::size_t>(kinds[i]);
      if (kind == free_attributes.size()) {
        if (round > 0) continue;
        questions.push_back(ask_background(random, scene));
      } else {
        const auto object = static_cast<std::size_t>(objects[(i + round) % objects.size()]);
        questions.push_back(ask_attribute(random, scene.objects[object], free_attributes[kind], by_place));
      }
      --missing;
    }
  }
}

/// Asks for the place, or the shape, of the given objects.
inline std::vector<WorldQuestion> ask_identities(RandomStream& random, const Scene& scene,
                                                 const std::vector<int>& objects, bool by_place) {
  const Attribute attribute = by_place ? Attribute::shape : Attribute::place;
  std::vector<Ask> asks;
  std::vector<int> right;
  for (const int i : objects) {
    const Object& object = scene.objects[static_cast<std::size_t>(i)];
    Ask ask{.kind = by_place ? QuestionKind::shape : QuestionKind::place};
    (by_place ? ask.place : ask.shape) = object[by_place ? Attribute::place : Attribute::shape];
    asks.push_back(ask);
    right.push_back(object[attribute]);
  }
  return make_shared_questions(random, asks, words(attribute), right);
}

inline WorldQuestion ask_relation(RandomStream& random, const Scene& scene, int object, int from) {
  const Object& seen = scene.objects[static_cast<std::size_t>(object)];
  const Object& origin = scene.objects[static_cast<std::size_t>(from)];
  Ask ask{.kind = QuestionKind::relation, .shape = seen[Attribute::shape], .other = origin[Attribute::shape]};
  return make_word_question(random, ask, relation_words,
                            relation_between(seen[Attribute::place], origin[Attribute::place]));
}

}  // namespace detail

/// The questions of a picture, in random order.
inline std::vector<WorldQuestion> image_questions(RandomStream& random, const Scene& scene, ImagePlan plan) {
  const int count = static_cast<int>(scene.objects.size());
  const bool by_place = names_by_place(plan);
  const std::vector<int> objects = draw_distinct(random, count, asks_count(plan) ? 1 : 2);
  std::vector<WorldQuestion> questions;
  if (plan == ImagePlan::relation) {
    questions.push_back(detail::ask_relation(random, scene, objects[0], objects[1]));
  } else {
    questions = detail::ask_identities(random, scene, objects, by_place);
  }
  if (asks_count(plan)) {
    questions.push_back(make_word_question(random, {.kind = QuestionKind::count}, count_words, count - 1));
  }
  const int missing = questions_per_image - static_cast<int>(questions.size());
  detail::add_free_questions(random, scene, objects, by_place, missing, questions);
  random.shuffle(questions);
  return questions;
}

}  // namespace world
