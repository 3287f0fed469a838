#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "world/clip.hpp"
#include "world/grammar.hpp"

namespace world {

/// What a caption states, counted against the truth. Sums over items give the pooled recall and precision.
///
/// A claim is one fact that a sentence states: "at top left a large red circle ." makes four (place, size, colour,
/// shape), "[00:03] the circle moves left ." three (event, direction, time; the time is true within a second). Claims
/// that repeat or contradict others, and unparsable sentences, are false; a caption without a claim makes one false
/// one.
struct CaptionScore {
  int facts = 0;   ///< of the scene or clip
  int stated = 0;  ///< of them, stated
  int claims = 0;  ///< made by the caption, unparsable sentences included
  int true_claims = 0;
  int sentences = 0;
  int unparsable = 0;
  int times = 0;               ///< stated for events that do happen, once each
  int times_near = 0;          ///< of them, within one second
  int time_error_seconds = 0;  ///< their summed distances from the truth

  CaptionScore& operator+=(const CaptionScore& other) {
    facts += other.facts;
    stated += other.stated;
    claims += other.claims;
    true_claims += other.true_claims;
    sentences += other.sentences;
    unparsable += other.unparsable;
    times += other.times;
    times_near += other.times_near;
    time_error_seconds += other.time_error_seconds;
    return *this;
  }
  double recall() const { return facts == 0 ? 0 : static_cast<double>(stated) / facts; }
  double precision() const { return claims == 0 ? 0 : static_cast<double>(true_claims) / claims; }
};

namespace detail {

/// A claim about the whole scene, made any number of times: right once if it is never contradicted.
inline void score_single(const std::vector<int>& said, int truth, CaptionScore& score) {
  ++score.facts;
  score.claims += static_cast<int>(said.size());
  bool right = !said.empty();
  for (const int value : said) right = right && value == truth;
  score.true_claims += right;
  score.stated += right;
}

/// Takes out of each mention the claims that are false whatever the scene: all claims of a mention of a shape already
/// mentioned, values that two mentions of a shape contradict, places given to two shapes. They stay counted.
inline std::vector<ObjectMention> tenable_mentions(const std::vector<ObjectMention>& mentions) {
  std::vector<ObjectMention> tenable = mentions;
  for (std::size_t i = 0; i < mentions.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const bool same_shape = mentions[i][Attribute::shape] == mentions[j][Attribute::shape];
      for (const Attribute attribute : attributes) {
        const bool both = mentions[i][attribute] >= 0 && mentions[j][attribute] >= 0;
        const bool equal = mentions[i][attribute] == mentions[j][attribute];
        const bool clash = same_shape ? !equal : equal && attribute == Attribute::place;
        if (both && clash) tenable[i][attribute] = tenable[j][attribute] = -1;
      }
      if (same_shape) tenable[i] = ObjectMention{};
    }
  }
  return tenable;
}

inline int true_claims_of(const ObjectMention& mention, const Object& object) {
  int count = 0;
  for (const Attribute attribute : attributes) {
    count += mention[attribute] >= 0 && mention[attribute] == object[attribute];
  }
  return count;
}

/// Takes out the mentions and objects that a shape joins, and gives their true claims. Shapes are what objects are
/// called by: a "red square" next to a truly blue square is false about it, whatever else is red.
inline int claims_joined_by_shape(std::vector<ObjectMention>& mentions, std::vector<Object>& objects) {
  int right = 0;
  std::erase_if(mentions, [&](const ObjectMention& mention) {
    const auto named = std::ranges::find_if(
        objects, [&](const Object& object) { return object[Attribute::shape] == mention[Attribute::shape]; });
    if (named == objects.end()) return false;
    right += true_claims_of(mention, *named);
    objects.erase(named);
    return true;
  });
  return right;
}

/// The largest number of true claims when each mention stands for at most one object and each object for at most one
/// mention. Dynamic programme over the sets of objects taken.
inline int best_assignment(const std::vector<ObjectMention>& mentions, const std::vector<Object>& objects) {
  const std::size_t sets = std::size_t{1} << objects.size();
  constexpr int never = std::numeric_limits<int>::min() / 2;
  std::vector<int> best(sets, never);
  best[0] = 0;
  for (const ObjectMention& mention : mentions) {
    for (std::size_t set = sets; set-- > 0;) {
      for (std::size_t i = 0; i < objects.size(); ++i) {
        const std::size_t before = set & ~(std::size_t{1} << i);
        if (before != set) best[set] = std::max(best[set], best[before] + true_claims_of(mention, objects[i]));
      }
    }
  }
  return *std::max_element(best.begin(), best.end());
}

inline void score_objects(const std::vector<ObjectMention>& mentions, const std::vector<Object>& objects,
                          CaptionScore& score) {
  for (const ObjectMention& mention : mentions) {
    for (const int value : mention.value) score.claims += value >= 0;
  }
  std::vector<ObjectMention> tenable = tenable_mentions(mentions);
  std::vector<Object> rest = objects;
  const int by_shape = claims_joined_by_shape(tenable, rest);
  const int right = by_shape + best_assignment(tenable, rest);
  score.true_claims += right;
  score.stated += right;
  score.facts += attribute_count * static_cast<int>(objects.size());
}

inline bool has_detail(EventKind kind) { return kind == EventKind::move || kind == EventKind::change; }

inline EventName true_name(const Clip& clip, const Event& event) {
  const auto shape = [&](int i) { return clip.scene.objects[static_cast<std::size_t>(i)][Attribute::shape]; };
  return {event.kind, shape(event.subject), event.kind == EventKind::hit ? shape(event.value) : -1};
}

/// Scores all mentions of one true event.
inline void score_event(const ParsedCaption& caption, const EventName& name, const Event& event, CaptionScore& score) {
  std::vector<int> values, seconds;
  int mentions = 0;
  for (const EventMention& mention : caption.events) {
    if (!(mention.name == name)) continue;
    ++mentions;
    if (has_detail(event.kind)) values.push_back(mention.value);
    if (mention.second >= 0) seconds.push_back(mention.second);
  }
  score_single(std::vector<int>(static_cast<std::size_t>(mentions), 1), 1, score);
  if (has_detail(event.kind)) score_single(values, event.value, score);
  bool agree = !seconds.empty();
  for (const int second : seconds) agree = agree && second == seconds.front();
  const int error = agree ? std::abs(seconds.front() - event.second) : 0;
  score_single(seconds, agree && error <= 1 ? seconds.front() : -1, score);
  if (!agree) return;
  ++score.times;
  score.times_near += error <= 1;
  score.time_error_seconds += error;
}

inline void score_events(const ParsedCaption& caption, const Clip& clip, CaptionScore& score) {
  std::vector<EventName> happened;
  for (const Event& event : clip.events) {
    happened.push_back(true_name(clip, event));
    score_event(caption, happened.back(), event, score);
  }
  for (const EventMention& mention : caption.events) {
    if (std::find(happened.begin(), happened.end(), mention.name) != happened.end()) continue;
    score.claims += 1 + has_detail(mention.name.kind) + (mention.second >= 0);
  }
}

inline void finish(const ParsedCaption& caption, CaptionScore& score) {
  std::size_t appearances = 0;
  for (const EventMention& mention : caption.events) appearances += mention.name.kind == EventKind::appear;
  score.sentences = caption.unparsable + caption.quiet_seconds +
                    static_cast<int>(caption.counts.size() + caption.backgrounds.size() + caption.objects.size() +
                                     caption.events.size() - appearances);
  score.unparsable = caption.unparsable;
  score.claims += caption.unparsable;
  if (score.claims == 0) score.claims = 1;
}

}  // namespace detail

/// Facts of a scene: its count, its background, and five of each object.
inline CaptionScore score_caption(const ParsedCaption& caption, const Scene& scene) {
  CaptionScore score;
  detail::score_single(caption.counts, static_cast<int>(scene.objects.size()) - 1, score);
  detail::score_single(caption.backgrounds, scene.background, score);
  detail::score_objects(caption.objects, scene.objects, score);
  for (const EventMention& mention : caption.events) {  // nothing happens in a picture
    score.claims += 1 + detail::has_detail(mention.name.kind) + (mention.second >= 0);
  }
  detail::finish(caption, score);
  return score;
}

/// Facts of a clip: its background, five of each object as it begins, and of each event that it happens, when, and
/// where to or into what colour. Counts are judged where a caption states them, but are no fact that it lacks.
inline CaptionScore score_caption(const ParsedCaption& caption, const Clip& clip) {
  CaptionScore score;
  CaptionScore counts;
  detail::score_single(caption.counts, static_cast<int>(clip.scene.objects.size()) - 1, counts);
  score.claims += counts.claims;
  score.true_claims += counts.true_claims;
  detail::score_single(caption.backgrounds, clip.scene.background, score);
  detail::score_objects(caption.objects, clip.scene.objects, score);
  detail::score_events(caption, clip, score);
  detail::finish(caption, score);
  return score;
}

}  // namespace world
