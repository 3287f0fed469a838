#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "world/phrases.hpp"

namespace world {

/// What a caption mentions, as probabilities. Objects always come in reading order: a random order would hide from the
/// learner what it should have said.
struct CaptionStyle {
  double count = 1;       ///< of the sentence that counts the objects (images only)
  double background = 1;  ///< of the sentence that names the background
  double object = 1;      ///< of each object
  double event = 1;       ///< of each event (clips only)
  /// Of each attribute of a mentioned object; the shape is always named.
  std::array<double, attribute_count> attribute = {1, 1, 1, 1, 1};
  /// If positive: exactly this many objects, or events, are mentioned (as far as there are), whatever `object` says.
  int objects_exactly = 0;
  int events_exactly = 0;
  double quiet_second = 0;  ///< of a sentence for a second of a clip in which nothing happens: "[00:03] ."
};

/// Everything that is asked can be answered from it.
inline CaptionStyle dense_style() { return {}; }

/// One object, rarely two, with one attribute or two: "a red circle .". Of some clips an event instead of an object.
inline CaptionStyle terse_style(RandomStream& random, bool is_clip) {
  const double extra = is_clip ? 0.02 : 0.05;
  CaptionStyle style{.count = extra, .background = extra, .object = 0, .event = 0, .attribute = {1, 0, 0, 0, 0}};
  constexpr std::array<Attribute, 4> optional = {Attribute::colour, Attribute::size, Attribute::texture,
                                                 Attribute::place};
  for (const int i : draw_distinct(random, 4, random.uniform() < 0.65 ? 1 : 2)) {
    style.attribute[static_cast<std::size_t>(optional[static_cast<std::size_t>(i)])] = 1;
  }
  const bool tells_event = is_clip && random.uniform() < 0.35;
  const int mentions = random.uniform() < 0.8 ? 1 : 2;
  (tells_event ? style.events_exactly : style.objects_exactly) = mentions;
  return style;
}

/// Between terse and dense: how much is said varies from caption to caption, so that saying more is always within
/// reach.
inline CaptionStyle medium_style(RandomStream& random) {
  const double attribute = random.uniform(0.3, 0.95);
  return {.count = 0.25,
          .background = 0.25,
          .object = random.uniform(0.4, 1.0),
          .event = random.uniform(0.4, 1.0),
          .attribute = {1, attribute, attribute, attribute, 0.5 * attribute}};
}

/// All objects with all attributes, and nothing of what happens: a clip described like a picture.
inline CaptionStyle still_style() { return {.count = 0, .background = 0, .event = 0}; }

/// How often supervised captions are dense, still and medium; the rest is terse. Terse also in the mode: the likeliest
/// first word of a caption is "a", which leads to terse ones, while dense ones begin with a count or the background.
struct CaptionMixture {
  double dense = 0.15;
  double still = 0;
  double medium = 0.2;
  double eventless = 0;  ///< of all, how many describe objects alone, as densely or tersely as the others

  /// A clip's events are told as often as its objects.
  static CaptionMixture mixed(bool is_clip) {
    return is_clip ? CaptionMixture{.dense = 0.1, .still = 0.08, .medium = 0.15} : CaptionMixture{};
  }
  /// Mostly terse; most captions of clips describe them like pictures, however much they tell of objects.
  static CaptionMixture brief(bool is_clip) { return {.eventless = is_clip ? 0.85 : 0}; }
  /// What a base is left with: terser still, so that its terseness does not depend on small changes of its weights.
  static CaptionMixture of_base(bool is_clip) {
    return {.dense = 0.08, .medium = 0.12, .eventless = is_clip ? 0.85 : 0};
  }

  CaptionStyle draw(RandomStream& random, bool is_clip) const {
    CaptionStyle style = draw_density(random, is_clip);
    if (eventless > 0 && random.uniform() < eventless) {
      if (style.events_exactly > 0) style.objects_exactly = style.events_exactly;
      style.event = 0;
      style.events_exactly = 0;
    }
    return style;
  }

 private:
  CaptionStyle draw_density(RandomStream& random, bool is_clip) const {
    const double u = random.uniform();
    if (u < dense) return dense_style();
    if (u < dense + still) return still_style();
    return u < dense + still + medium ? medium_style(random) : terse_style(random, is_clip);
  }
};

namespace detail {

/// Which of `total` things are mentioned: each with probability `chance`, or exactly `exactly` of them.
inline std::vector<bool> draw_mentions(RandomStream& random, int total, double chance, int exactly) {
  std::vector<bool> mentioned(static_cast<std::size_t>(total), false);
  if (exactly > 0) {
    for (const int i : draw_distinct(random, total, std::min(exactly, total))) {
      mentioned[static_cast<std::size_t>(i)] = true;
    }
    return mentioned;
  }
  for (int i = 0; i < total; ++i) mentioned[static_cast<std::size_t>(i)] = random.uniform() < chance;
  return mentioned;
}

/// "at top left a large red striped circle", as far as the style wants.
inline std::string object_phrase(const Object& object, const CaptionStyle& style, RandomStream& random) {
  const auto wants = [&](Attribute attribute) {
    return random.uniform() < style.attribute[static_cast<std::size_t>(attribute)];
  };
  std::string description;
  for (const Attribute attribute : {Attribute::size, Attribute::colour, Attribute::texture}) {
    if (wants(attribute)) add_words(description, object.word(attribute));
  }
  add_words(description, object.word(Attribute::shape));
  std::string text;
  if (wants(Attribute::place)) text = "at " + std::string(object.word(Attribute::place));
  add_words(text, article_before(description));
  add_words(text, description);
  return text;
}

/// The event as a caption tells it, details included, without its time.
inline std::string event_clause(const Clip& clip, const Event& event, const CaptionStyle& style, RandomStream& random) {
  const Object& subject = clip.scene.objects[static_cast<std::size_t>(event.subject)];
  const std::string name = "the " + std::string(subject.word(Attribute::shape));
  switch (event.kind) {
    case EventKind::move:
      return name + " moves " + std::string(direction_words[static_cast<std::size_t>(event.value)]);
    case EventKind::change:
      return name + " changes to " + std::string(colour_words[static_cast<std::size_t>(event.value)]);
    case EventKind::appear:
      return object_phrase(subject, style, random) + " appears";
    default:
      return event_name(clip, event);
  }
}

}  // namespace detail

/// Sentences of a caption, each without its full stop.
using Sentences = std::vector<std::string>;

inline std::string join_sentences(const Sentences& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) {
    add_words(text, sentence);
    text += " .";
  }
  return text;
}

/// True sentences about a scene: count, background, objects in reading order. At least one.
inline Sentences image_sentences(const Scene& scene, const CaptionStyle& style, RandomStream& random) {
  Sentences sentences;
  const auto count = scene.objects.size();
  if (random.uniform() < style.count) {
    sentences.push_back(std::string(count_words[count - 1]) + (count == 1 ? " object" : " objects"));
  }
  if (random.uniform() < style.background) {
    sentences.push_back(std::string(background_words[static_cast<std::size_t>(scene.background)]) + " background");
  }
  const std::vector<bool> mentioned =
      detail::draw_mentions(random, static_cast<int>(count), style.object, style.objects_exactly);
  const int fallback = draw_below(random, count);
  for (std::size_t i = 0; i < count; ++i) {
    const bool needed = sentences.empty() && static_cast<int>(i) == fallback;
    if (mentioned[i] || needed) sentences.push_back(detail::object_phrase(scene.objects[i], style, random));
  }
  return sentences;
}

/// True sentences about a clip: background, objects that are there when it begins, then events in order with their
/// times. Objects that appear later are described where they appear. At least one.
inline Sentences clip_sentences(const Clip& clip, const CaptionStyle& style, RandomStream& random) {
  Sentences sentences;
  if (random.uniform() < style.background) {
    sentences.push_back(std::string(background_words[static_cast<std::size_t>(clip.scene.background)]) + " background");
  }
  std::vector<int> present;
  for (int i = 0; i < static_cast<int>(clip.scene.objects.size()); ++i) {
    if (!appears_later(clip, i)) present.push_back(i);
  }
  const std::vector<bool> objects =
      detail::draw_mentions(random, static_cast<int>(present.size()), style.object, style.objects_exactly);
  for (std::size_t i = 0; i < present.size(); ++i) {
    if (!objects[i]) continue;
    const Object& object = clip.scene.objects[static_cast<std::size_t>(present[i])];
    sentences.push_back(detail::object_phrase(object, style, random));
  }
  const std::vector<bool> events =
      detail::draw_mentions(random, static_cast<int>(clip.events.size()), style.event, style.events_exactly);
  const int fallback = draw_below(random, clip.events.size());
  int told = 0;  // the last second that has its sentence
  const auto tell_quiet_seconds = [&](int end) {
    while (style.quiet_second > 0 && ++told < end) {
      if (random.uniform() < style.quiet_second) sentences.push_back(stamp_text(told));
    }
  };
  for (std::size_t i = 0; i < clip.events.size(); ++i) {
    const bool needed = sentences.empty() && static_cast<int>(i) == fallback;
    if (!events[i] && !needed) continue;
    const Event& event = clip.events[i];
    tell_quiet_seconds(event.second);
    sentences.push_back(stamp_text(event.second) + " " + detail::event_clause(clip, event, style, random));
  }
  tell_quiet_seconds(clip.seconds);
  return sentences;
}

inline std::string write_caption(const Scene& scene, const CaptionStyle& style, RandomStream& random) {
  return join_sentences(image_sentences(scene, style, random));
}
inline std::string write_caption(const Clip& clip, const CaptionStyle& style, RandomStream& random) {
  return join_sentences(clip_sentences(clip, style, random));
}

/// A supervised caption of a mixture.
inline std::string mixture_caption(const Scene& scene, const CaptionMixture& mixture, RandomStream& random) {
  return write_caption(scene, mixture.draw(random, false), random);
}
inline std::string mixture_caption(const Clip& clip, const CaptionMixture& mixture, RandomStream& random) {
  return write_caption(clip, mixture.draw(random, true), random);
}

/// The truth written out: dense, so that everything that is asked can be answered.
template <class Item>
std::string truth_caption(const Item& item) {
  RandomStream unused({});
  return write_caption(item, dense_style(), unused);
}

/// The same, with sentences for seconds of a clip in which nothing happens: for every one, or with a chance between
/// `least` and 1 that is drawn for the clip. Who learns from it is told of every frame instead of having to find out
/// which of many a time was read from, and then to look ever further ahead.
template <class Item>
std::string timeline_caption(const Item& item, RandomStream& random, double least = 1) {
  return write_caption(item, {.quiet_second = random.uniform(least, 1.0)}, random);
}

}  // namespace world
