#pragma once

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "world/answer.hpp"
#include "world/captions.hpp"
#include "world/clip_questions.hpp"
#include "world/questions.hpp"
#include "world/split.hpp"

namespace world {

/// A question about a caption and what a judge that reads nothing else should say.
struct JudgeSample {
  caprl::Question question;   ///< its `gold` is the answer about the scene, which the judge is not taught
  std::optional<int> answer;  ///< index of the option that the caption supports, or nothing: abstain
};

/// What a caption says of one thing: "circle", or "top left", has the colour "red", the size "small", ...
struct Drill {
  std::string key;
  std::vector<std::pair<std::string, std::string>> facts;
};

/// A caption with questions about it, and with everything it says of its objects and events.
struct JudgeGroup {
  std::string caption;
  std::vector<JudgeSample> samples;
  std::vector<Drill> drills;
};

/// How the captions of a judge's training text are made, each a probability.
struct JudgeCorpusSettings {
  double clip = 0.4;           ///< a clip instead of a picture
  double dense = 0.4;          ///< everything is said
  double terse = 0.2;          ///< little is said; the rest lies between
  double other_scene = 0.1;    ///< the caption is of an unrelated scene
  double replace_fact = 0.35;  ///< some facts are replaced by false ones before the caption is written
  double shuffle = 0.25;       ///< sentences in random order
  double repeat = 0.08;        ///< a sentence comes twice, or a second, contradicting one is added
  double garble = 0.06;        ///< the words of some sentences are shuffled
  double drop = 0.25;          ///< one sentence is left out
  /// Of the questions on which the judge should abstain this share is kept, at random; the rest is asked of no one.
  double keep_abstentions = 0.7;

  int fewest_objects = 1;  ///< of a picture

  /// Pictures of three or four objects, and some clips, with everything told: what belongs together must be told from
  /// what does not.
  static JudgeCorpusSettings crowded() {
    JudgeCorpusSettings settings = JudgeCorpusSettings{}.plain();
    settings.clip = 0.3;
    settings.dense = 1;
    settings.terse = 0;
    settings.fewest_objects = 3;
    return settings;
  }

  /// Captions in order, not disturbed, half of them with everything told: what reading is learnt from first.
  JudgeCorpusSettings plain() const {
    return {.clip = clip,
            .dense = 0.5,
            .terse = 0.1,
            .other_scene = 0,
            .replace_fact = replace_fact,
            .shuffle = 0,
            .repeat = 0,
            .garble = 0,
            .drop = 0,
            .keep_abstentions = 0.1};
  }
};

namespace detail {

/// How a drill asks for an attribute: with the word that questions have for it.
inline constexpr std::array<std::string_view, attribute_count> attribute_questions = {"shape", "colour", "size",
                                                                                      "texture", "where"};

/// Gives two to five attributes of random objects, or the background, other values. The caption lies then about the
/// scene, and the judge has to follow it.
inline void replace_facts(RandomStream& random, Scene& scene) {
  const int changes = 2 + draw_below(random, 4);
  for (int i = 0; i < changes; ++i) {
    const auto object = static_cast<std::size_t>(draw_below(random, scene.objects.size()));
    const int what = draw_below(random, attribute_count + 1);
    if (what == attribute_count) {
      scene.background = draw_below(random, background_words.size());
    } else {
      const Attribute attribute = attributes[static_cast<std::size_t>(what)];
      scene.objects[object][attribute] = draw_below(random, words(attribute).size());
    }
  }
}

inline void replace_facts(RandomStream& random, Clip& clip) {
  replace_facts(random, clip.scene);
  for (Event& event : clip.events) {
    if (random.uniform() < 0.5) continue;
    event.second = draw_below(random, static_cast<std::size_t>(clip.seconds));
    if (event.kind == EventKind::move) event.value = draw_below(random, direction_words.size());
    if (event.kind == EventKind::change) event.value = draw_below(random, colour_words.size());
  }
}

inline std::string shuffle_words(RandomStream& random, const std::string& sentence) {
  std::vector<std::string> list = split_words(sentence);
  random.shuffle(list);
  std::string text;
  for (const std::string& word : list) add_words(text, word);
  return text;
}

/// Damages a caption's sentences as the settings say; `others` are sentences about a changed scene.
inline void disturb(RandomStream& random, const JudgeCorpusSettings& settings, const Sentences& others,
                    Sentences& sentences) {
  if (sentences.size() > 1 && random.uniform() < settings.drop) {
    sentences.erase(sentences.begin() + draw_below(random, sentences.size()));
  }
  if (random.uniform() < settings.repeat) {
    const Sentences& source = random.below(2) == 0 ? sentences : others;
    const std::string added = source[static_cast<std::size_t>(draw_below(random, source.size()))];
    sentences.insert(sentences.begin() + draw_below(random, sentences.size() + 1), added);
  }
  if (random.uniform() < settings.garble) {
    for (std::string& sentence : sentences) {
      if (random.below(2) == 0) sentence = shuffle_words(random, sentence);
    }
  }
  if (random.uniform() < settings.shuffle) random.shuffle(sentences);
}

inline Sentences sentences_of(const Scene& scene, const CaptionStyle& style, RandomStream& random) {
  return image_sentences(scene, style, random);
}
inline Sentences sentences_of(const Clip& clip, const CaptionStyle& style, RandomStream& random) {
  return clip_sentences(clip, style, random);
}

/// A caption for questions about `item`: of it, of it with facts replaced, or of `stranger`.
template <class Item>
std::string judge_caption(RandomStream& random, const JudgeCorpusSettings& settings, const Item& item,
                          const Item& stranger, bool is_clip) {
  const double u = random.uniform();
  const CaptionStyle style = u < settings.dense                    ? dense_style()
                             : u < settings.dense + settings.terse ? terse_style(random, is_clip)
                                                                   : medium_style(random);
  Item changed = item;
  replace_facts(random, changed);
  const double which = random.uniform();
  const Item& told = which < settings.other_scene                           ? stranger
                     : which < settings.other_scene + settings.replace_fact ? changed
                                                                            : item;
  Sentences sentences = sentences_of(told, style, random);
  disturb(random, settings, sentences_of(changed, dense_style(), random), sentences);
  return join_sentences(sentences);
}

/// An object by its place or its shape, its other attributes in random order, and where it is seen from the others.
/// Only what the caption settles: shapes may come twice.
inline Drill drill_of(RandomStream& random, const ParsedCaption& caption, const ObjectMention& object) {
  const bool by_place = object[Attribute::place] >= 0 && random.below(2) == 0;
  const Attribute key = by_place ? Attribute::place : Attribute::shape;
  if (object[key] < 0) return {};
  Drill drill{std::string(words(key)[static_cast<std::size_t>(object[key])]), {}};
  for (const Attribute attribute : attributes) {
    const auto value = attribute == key ? std::nullopt : said(caption, key, object[key], attribute);
    if (!value) continue;
    drill.facts.emplace_back(attribute_questions[static_cast<std::size_t>(attribute)],
                             words(attribute)[static_cast<std::size_t>(*value)]);
  }
  for (const ObjectMention& other : caption.objects) {
    const Ask ask{.kind = QuestionKind::relation,
                  .shape = by_place ? -1 : object[key],
                  .place = by_place ? object[key] : -1,
                  .other = other[Attribute::shape]};
    if (ask.other < 0 || ask.other == ask.shape) continue;
    if (const auto relation = said_relation(caption, ask)) {
      drill.facts.emplace_back("where seen from the " + std::string(shape_words[static_cast<std::size_t>(ask.other)]),
                               *relation);
    }
  }
  random.shuffle(drill.facts);
  return drill;
}

/// An event by its name: its time, its direction or new colour, and whether it comes before each of the others.
inline Drill drill_of(const ParsedCaption& caption, const EventMention& event) {
  Drill drill{event_name(event.name), {}};
  if (const auto second = said_time(caption, event.name)) drill.facts.emplace_back("time", stamp_text(*second));
  const auto detail = said_detail(caption, event.name.kind, event.name.subject);
  if (detail && event.name.kind == EventKind::move) {
    drill.facts.emplace_back("way", direction_words[static_cast<std::size_t>(*detail)]);
  }
  if (detail && event.name.kind == EventKind::change) {
    drill.facts.emplace_back("colour", colour_words[static_cast<std::size_t>(*detail)]);
  }
  for (const EventMention& other : caption.events) {
    if (const auto order = said_before_after(caption, {.event = event.name, .second = other.name})) {
      drill.facts.emplace_back("before or after " + event_name(other.name), *order);
    }
  }
  return drill;
}

/// What the caption tells as the first event, and as the last.
inline Drill drill_of_order(const ParsedCaption& caption) {
  Drill drill{"happens", {}};
  std::vector<std::string> names;
  for (const EventMention& event : caption.events) names.push_back(event_name(event.name));
  for (const bool last : {false, true}) {
    const auto found = choose_order(caption, last, names);
    if (found) drill.facts.emplace_back(last ? "last" : "first", names[static_cast<std::size_t>(*found)]);
  }
  return drill;
}

/// Everything that a caption settles.
inline std::vector<Drill> drills_of(RandomStream& random, const ParsedCaption& caption) {
  std::vector<Drill> drills;
  for (const ObjectMention& object : caption.objects) drills.push_back(drill_of(random, caption, object));
  for (const EventMention& event : caption.events) drills.push_back(drill_of(caption, event));
  if (caption.events.size() > 1) drills.push_back(drill_of_order(caption));
  std::erase_if(drills, [](const Drill& drill) { return drill.facts.empty(); });
  random.shuffle(drills);
  return drills;
}

inline JudgeGroup label(RandomStream& random, const JudgeCorpusSettings& settings, std::string caption,
                        const std::vector<WorldQuestion>& questions) {
  const ParsedCaption parsed = parse_caption(caption);
  JudgeGroup group{std::move(caption), {}, drills_of(random, parsed)};
  for (const WorldQuestion& question : questions) {
    const auto said = answer(parsed, question.ask, question.question.options);
    if (said || random.uniform() < settings.keep_abstentions) group.samples.push_back({question.question, said});
  }
  return group;
}

/// Questions that compare two things: few items ask them, and they are the hardest to learn.
inline std::vector<WorldQuestion> comparing_questions(RandomStream& random, const Scene& scene) {
  const int count = static_cast<int>(scene.objects.size());
  if (count < 2) return {};
  const std::vector<int> pair = draw_distinct(random, count, 2);
  return {ask_relation(random, scene, pair[0], pair[1]), ask_relation(random, scene, pair[1], pair[0])};
}
inline std::vector<WorldQuestion> comparing_questions(RandomStream& random, const Clip& clip) {
  return {ask_order(random, clip), ask_before_after(random, clip)};
}

/// Some of an item's own questions, and some that compare.
template <class Item>
std::vector<WorldQuestion> judge_questions(RandomStream& random, const Item& item, std::vector<WorldQuestion> own) {
  constexpr std::size_t most_own = 4;  // in random order
  if (own.size() > most_own) own.erase(own.begin() + most_own, own.end());
  std::ranges::move(comparing_questions(random, item), std::back_inserter(own));
  return own;
}

}  // namespace detail

/// Group `index` of the training text of a text-only judge. Scenes are of the training set; the label is what the
/// caption says, by the grammar, whether it is true of the scene or not. A group may be without samples.
inline JudgeGroup draw_judge_group(std::uint64_t seed, std::uint32_t index, const JudgeCorpusSettings& settings = {}) {
  RandomStream random({.seed = seed, .purpose = caprl::Purpose::example, .step = 3, .item = index});
  const auto train_scene = [&](int count) {
    while (true) {
      const Scene scene = draw_scene(random, count);
      if (split_of(scene) == Split::train) return scene;
    }
  };
  const auto train_clip = [&] {
    while (true) {
      const Clip clip = draw_clip(random);
      if (split_of(clip.scene) == Split::train) return clip;
    }
  };
  if (random.uniform() < settings.clip) {
    const Clip clip = train_clip(), stranger = train_clip();
    const auto questions = detail::judge_questions(random, clip, clip_questions(random, clip));
    return detail::label(random, settings, detail::judge_caption(random, settings, clip, stranger, true), questions);
  }
  const ImagePlan plan = draw_image_plan(random);
  const Scene scene = train_scene(std::max(settings.fewest_objects, draw_object_count(random, plan)));
  const Scene stranger = train_scene(1 + draw_below(random, 4));
  const auto questions = detail::judge_questions(random, scene, image_questions(random, scene, plan));
  return detail::label(random, settings, detail::judge_caption(random, settings, scene, stranger, false), questions);
}

}  // namespace world
