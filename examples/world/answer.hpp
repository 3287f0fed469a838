#pragma once

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/data/item.hpp"
#include "world/ask.hpp"
#include "world/grammar.hpp"

namespace world {

namespace detail {

/// The one value of a set: nothing said, and contradictions, give nothing.
inline std::optional<int> only(const std::set<int>& values) {
  return values.size() == 1 ? std::optional(*values.begin()) : std::nullopt;
}

/// What the caption says of an attribute of the object with the given value of another attribute.
inline std::optional<int> said(const ParsedCaption& caption, Attribute key, int value, Attribute wanted) {
  std::set<int> values;
  for (const ObjectMention& mention : caption.objects) {
    if (mention[key] == value && mention[wanted] >= 0) values.insert(mention[wanted]);
  }
  return only(values);
}

inline std::optional<int> said_of_object(const ParsedCaption& caption, const Ask& ask, Attribute wanted) {
  return ask.place >= 0 ? said(caption, Attribute::place, ask.place, wanted)
                        : said(caption, Attribute::shape, ask.shape, wanted);
}

/// When the caption says that the event happens.
inline std::optional<int> said_time(const ParsedCaption& caption, const EventName& name) {
  std::set<int> values;
  for (const EventMention& mention : caption.events) {
    if (mention.name == name && mention.second >= 0) values.insert(mention.second);
  }
  return only(values);
}

inline std::optional<int> said_detail(const ParsedCaption& caption, EventKind kind, int shape) {
  std::set<int> values;
  for (const EventMention& mention : caption.events) {
    if (mention.name.kind == kind && mention.name.subject == shape) values.insert(mention.value);
  }
  return only(values);
}

inline std::optional<std::string> word_at(std::span<const std::string_view> list, std::optional<int> index) {
  return index ? std::optional(std::string(list[static_cast<std::size_t>(*index)])) : std::nullopt;
}

inline std::optional<std::string> said_relation(const ParsedCaption& caption, const Ask& ask) {
  const auto place = said_of_object(caption, ask, Attribute::place);
  const auto from = said(caption, Attribute::shape, ask.other, Attribute::place);
  if (!place || !from || *place == *from) return std::nullopt;
  return std::string(relation_words[static_cast<std::size_t>(relation_between(*place, *from))]);
}

inline std::optional<std::string> said_before_after(const ParsedCaption& caption, const Ask& ask) {
  const auto first = said_time(caption, ask.event), second = said_time(caption, ask.second);
  if (!first || !second || *first == *second) return std::nullopt;
  return *first < *second ? "before" : "after";
}

/// The option that the words are.
inline std::optional<int> choose_word(const std::optional<std::string>& word, const std::vector<std::string>& options) {
  if (!word) return std::nullopt;
  const auto found = std::find(options.begin(), options.end(), *word);
  return found == options.end() ? std::nullopt : std::optional(static_cast<int>(found - options.begin()));
}

/// The option nearest to a time, if it is at most a second away and the only one so near.
inline std::optional<int> choose_time(std::optional<int> second, const std::vector<std::string>& options) {
  if (!second) return std::nullopt;
  int best = -1, distance = 2;
  bool tie = false;
  for (int i = 0; i < static_cast<int>(options.size()); ++i) {
    const auto stamps = caprl::find_time_stamps(options[static_cast<std::size_t>(i)]);
    if (stamps.empty()) continue;
    const int away = std::abs(static_cast<int>(stamps.front().start_seconds) - *second);
    tie = away == distance ? true : away < distance ? false : tie;
    if (away < distance) {
      best = i;
      distance = away;
    }
  }
  return best < 0 || tie ? std::nullopt : std::optional(best);
}

/// The option that happens first, or last, if the caption tells the times of all of them.
inline std::optional<int> choose_order(const ParsedCaption& caption, bool last,
                                       const std::vector<std::string>& options) {
  std::vector<int> times;
  for (const std::string& option : options) {
    const auto name = parse_event_name(option);
    const auto time = name ? said_time(caption, *name) : std::nullopt;
    if (!time) return std::nullopt;
    times.push_back(last ? -*time : *time);
  }
  const auto first = std::min_element(times.begin(), times.end());
  if (std::count(times.begin(), times.end(), *first) != 1) return std::nullopt;
  return static_cast<int>(first - times.begin());
}

}  // namespace detail

/// Answers a question from what a caption says and from nothing else: an index into the options, or nothing where the
/// caption does not say, contradicts itself, or says what is not among the options.
inline std::optional<int> answer(const ParsedCaption& caption, const Ask& ask,
                                 const std::vector<std::string>& options) {
  using detail::word_at;
  const auto attribute = [&](Attribute wanted) {
    return word_at(words(wanted), detail::said_of_object(caption, ask, wanted));
  };
  const auto one = [&](std::span<const std::string_view> list, const std::vector<int>& values) {
    return word_at(list, detail::only(std::set<int>(values.begin(), values.end())));
  };
  switch (ask.kind) {
    case QuestionKind::colour:
      return detail::choose_word(attribute(Attribute::colour), options);
    case QuestionKind::size:
      return detail::choose_word(attribute(Attribute::size), options);
    case QuestionKind::texture:
      return detail::choose_word(attribute(Attribute::texture), options);
    case QuestionKind::place:
      return detail::choose_word(attribute(Attribute::place), options);
    case QuestionKind::shape:
      return detail::choose_word(attribute(Attribute::shape), options);
    case QuestionKind::background:
      return detail::choose_word(one(background_words, caption.backgrounds), options);
    case QuestionKind::count:
      return detail::choose_word(one(count_words, caption.counts), options);
    case QuestionKind::relation:
      return detail::choose_word(detail::said_relation(caption, ask), options);
    case QuestionKind::time:
      return detail::choose_time(detail::said_time(caption, ask.event), options);
    case QuestionKind::order:
      return detail::choose_order(caption, ask.last, options);
    case QuestionKind::before_after:
      return detail::choose_word(detail::said_before_after(caption, ask), options);
    case QuestionKind::direction:
      return detail::choose_word(word_at(direction_words, detail::said_detail(caption, EventKind::move, ask.shape)),
                                 options);
    default:
      return detail::choose_word(word_at(colour_words, detail::said_detail(caption, EventKind::change, ask.shape)),
                                 options);
  }
}

/// The same for a question in the library's form, as it is read from a data file. Throws Error for a question that is
/// not of this world.
inline std::optional<int> answer(const ParsedCaption& caption, const caprl::Question& question) {
  const auto ask = parse_question(question.text);
  if (!ask) throw caprl::Error("[answer] expected a question of the example world, got \"" + question.text + "\"");
  return answer(caption, *ask, question.options);
}

}  // namespace world
