#pragma once

#include <string>
#include <vector>

#include "world/clip.hpp"
#include "world/questions.hpp"

namespace world {

namespace detail {

inline int shape_of(const Clip& clip, int object) {
  return clip.scene.objects[static_cast<std::size_t>(object)][Attribute::shape];
}

inline EventName name_of(const Clip& clip, const Event& event) {
  return {event.kind, shape_of(clip, event.subject), event.kind == EventKind::hit ? shape_of(clip, event.value) : -1};
}

/// The options of every question for a time are all the times among which the events were dealt out.
inline WorldQuestion ask_time(RandomStream& random, const Clip& clip, const Event& event) {
  std::vector<std::string> options;
  for (const int slot : clip.slots) options.push_back(stamp_text(slot));
  return make_question(random, {.kind = QuestionKind::time, .event = name_of(clip, event)}, std::move(options),
                       stamp_text(event.second));
}

/// The options are all that happens, so that none gives away what does not.
inline WorldQuestion ask_order(RandomStream& random, const Clip& clip) {
  const bool last = random.below(2) == 1;
  std::vector<std::string> options;
  for (const Event& event : clip.events) options.push_back(event_name(clip, event));
  const std::string right = last ? options.back() : options.front();
  return make_question(random, {.kind = QuestionKind::order, .last = last}, std::move(options), right);
}

inline WorldQuestion ask_before_after(RandomStream& random, const Clip& clip) {
  const std::vector<int> pair = draw_distinct(random, static_cast<int>(clip.events.size()), 2);
  const Event& event = clip.events[static_cast<std::size_t>(pair[0])];
  const Event& second = clip.events[static_cast<std::size_t>(pair[1])];
  const Ask ask{.kind = QuestionKind::before_after, .event = name_of(clip, event), .second = name_of(clip, second)};
  return make_question(random, ask, {"before", "after"}, event.second < second.second ? "before" : "after");
}

/// Direction, or new colour: what the event's name leaves out.
inline void add_detail_question(RandomStream& random, const Clip& clip, const Event& event,
                                std::vector<WorldQuestion>& questions) {
  const int shape = shape_of(clip, event.subject);
  if (event.kind == EventKind::move) {
    questions.push_back(
        make_word_question(random, {.kind = QuestionKind::direction, .shape = shape}, direction_words, event.value));
  } else if (event.kind == EventKind::change) {
    questions.push_back(
        make_word_question(random, {.kind = QuestionKind::new_colour, .shape = shape}, colour_words, event.value));
  }
}

inline std::vector<WorldQuestion> temporal_questions(RandomStream& random, const Clip& clip) {
  std::vector<WorldQuestion> questions;
  questions.push_back(ask_order(random, clip));
  questions.push_back(ask_before_after(random, clip));
  if (clip.seconds >= long_clip_seconds) {
    for (const int i : draw_distinct(random, static_cast<int>(clip.events.size()), 2)) {
      questions.push_back(ask_time(random, clip, clip.events[static_cast<std::size_t>(i)]));
    }
  }
  for (const Event& event : clip.events) add_detail_question(random, clip, event, questions);
  random.shuffle(questions);
  return questions;
}

}  // namespace detail

/// The questions of a clip, in random order: up to four that need its course, and still ones about objects as they
/// begin. Objects are named by shape. Places are not asked: that something moves or is hit says where it may be. The
/// colour of an object that changes it is not asked: it would be ambiguous.
inline std::vector<WorldQuestion> clip_questions(RandomStream& random, const Clip& clip) {
  constexpr std::size_t most_temporal = 4;
  std::vector<WorldQuestion> questions = detail::temporal_questions(random, clip);
  if (questions.size() > most_temporal) questions.resize(most_temporal);
  std::vector<WorldQuestion> still = {ask_background(random, clip.scene)};
  for (int i = 0; i < static_cast<int>(clip.scene.objects.size()); ++i) {
    const Event* event = event_of(clip, i);
    const bool changes = event && event->kind == EventKind::change;
    for (const Attribute attribute : detail::free_attributes) {
      if (attribute == Attribute::colour && changes) continue;
      still.push_back(ask_attribute(random, clip.scene.objects[static_cast<std::size_t>(i)], attribute, false));
    }
  }
  random.shuffle(still);
  for (std::size_t i = 0; i < still.size() && questions.size() < questions_per_clip; ++i) questions.push_back(still[i]);
  random.shuffle(questions);
  return questions;
}

}  // namespace world
