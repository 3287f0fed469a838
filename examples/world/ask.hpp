#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/error.hpp"
#include "world/phrases.hpp"

namespace world {

enum class QuestionKind : int {
  colour,
  size,
  texture,
  place,
  shape,
  background,
  count,
  relation,
  time,
  order,
  before_after,
  direction,
  new_colour,
};
inline constexpr std::array<std::string_view, 13> question_kind_words = {
    "colour",   "size", "texture", "place",        "shape",     "background", "count",
    "relation", "time", "order",   "before_after", "direction", "new_colour"};

/// The kind of a name in `question_kind_words`. Throws Error for another name.
inline QuestionKind question_kind(std::string_view name) {
  const auto found = std::ranges::find(question_kind_words, name);
  caprl::require(found != question_kind_words.end(),
                 "[question_kind] expected a kind of question, got " + std::string(name));
  return static_cast<QuestionKind>(found - question_kind_words.begin());
}

/// True of the kinds that one frame, or frames in another order, cannot answer.
inline bool is_temporal(QuestionKind kind) { return kind >= QuestionKind::time; }

/// An event as questions name it, by shapes.
struct EventName {
  EventKind kind = EventKind::move;
  int subject = -1;
  int other = -1;  ///< hit: the other object's shape
  bool operator==(const EventName&) const = default;
};

inline std::string event_name(const EventName& name) {
  const auto shape = [](int index) {
    return index < 0 ? std::string_view() : shape_words[static_cast<std::size_t>(index)];
  };
  return event_name(name.kind, shape(name.subject), shape(name.other));
}

/// What a question asks, apart from its options.
struct Ask {
  QuestionKind kind = QuestionKind::colour;
  int shape = -1;         ///< the object in question, by its shape ...
  int place = -1;         ///< ... or by its place
  int other = -1;         ///< relation: the shape it is seen from
  bool last = false;      ///< order: what happens last, else first
  EventName event = {};   ///< time, before_after
  EventName second = {};  ///< before_after: the event compared with
  bool operator==(const Ask&) const = default;
};

/// The question's text.
inline std::string ask_text(const Ask& ask) {
  const std::string object = ask.shape >= 0 ? "the " + std::string(shape_words[static_cast<std::size_t>(ask.shape)])
                             : ask.place >= 0
                                 ? "the object at " + std::string(place_words[static_cast<std::size_t>(ask.place)])
                                 : std::string();
  switch (ask.kind) {
    case QuestionKind::background:
      return "what colour is the background ?";
    case QuestionKind::count:
      return "how many objects are there ?";
    case QuestionKind::place:
      return "where is " + object + " ?";
    case QuestionKind::relation:
      return "where is " + object + " seen from the " + std::string(shape_words[static_cast<std::size_t>(ask.other)]) +
             " ?";
    case QuestionKind::time:
      return event_name(ask.event) + " : at what time ?";
    case QuestionKind::order:
      return ask.last ? "what happens last ?" : "what happens first ?";
    case QuestionKind::before_after:
      return event_name(ask.event) + " : before or after " + event_name(ask.second) + " ?";
    case QuestionKind::direction:
      return object + " moves : which way ?";
    case QuestionKind::new_colour:
      return object + " changes to what colour ?";
    default:
      return "what " + std::string(question_kind_words[static_cast<std::size_t>(ask.kind)]) + " is " + object + " ?";
  }
}

/// Words between blanks; a full stop that ends a word is a word of its own.
inline std::vector<std::string> split_words(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::string> list;
  for (std::string word; stream >> word;) {
    const bool stop = word.size() > 1 && word.back() == '.';
    if (stop) word.pop_back();
    list.push_back(word);
    if (stop) list.push_back(".");
  }
  return list;
}

/// Every name that an event of the world can have.
inline const std::vector<EventName>& all_event_names() {
  static const std::vector<EventName> names = [] {
    std::vector<EventName> list;
    const int shapes = static_cast<int>(shape_words.size());
    for (int kind = 0; kind < static_cast<int>(event_kind_words.size()); ++kind) {
      const bool hit = static_cast<EventKind>(kind) == EventKind::hit;
      for (int subject = 0; subject < shapes; ++subject) {
        for (int other = hit ? 0 : -1; other < (hit ? shapes : 0); ++other) {
          if (other != subject) list.push_back({static_cast<EventKind>(kind), subject, other});
        }
      }
    }
    return list;
  }();
  return names;
}

/// The event that `text` names, if it names one.
inline std::optional<EventName> parse_event_name(std::string_view text) {
  for (const EventName& name : all_event_names()) {
    if (event_name(name) == text) return name;
  }
  return std::nullopt;
}

namespace detail {

/// "the circle" or "the object at top left" into the question.
inline bool parse_object_name(std::string_view text, Ask& ask) {
  constexpr std::string_view at = "the object at ";
  if (text.starts_with(at)) {
    ask.place = find_word(place_words, text.substr(at.size()));
    return ask.place >= 0;
  }
  if (!text.starts_with("the ")) return false;
  ask.shape = find_word(shape_words, text.substr(4));
  return ask.shape >= 0;
}

/// The part of `text` between a beginning and an end, if it has them.
inline std::optional<std::string_view> between(std::string_view text, std::string_view begin, std::string_view end) {
  if (text.size() < begin.size() + end.size() || !text.starts_with(begin) || !text.ends_with(end)) return std::nullopt;
  return text.substr(begin.size(), text.size() - begin.size() - end.size());
}

inline std::optional<Ask> parse_event_question(std::string_view text) {
  Ask ask;
  if (const auto event = between(text, "", " : at what time ?")) {
    const auto name = parse_event_name(*event);
    if (!name) return std::nullopt;
    ask.kind = QuestionKind::time;
    ask.event = *name;
    return ask;
  }
  constexpr std::string_view middle = " : before or after ";
  const std::size_t cut = text.find(middle);
  if (cut == std::string_view::npos || !text.ends_with(" ?")) return std::nullopt;
  const auto first = parse_event_name(text.substr(0, cut));
  const auto second = parse_event_name(text.substr(cut + middle.size(), text.size() - cut - middle.size() - 2));
  if (!first || !second) return std::nullopt;
  ask.kind = QuestionKind::before_after;
  ask.event = *first;
  ask.second = *second;
  return ask;
}

inline std::optional<Ask> parse_relation(std::string_view between_words) {
  constexpr std::string_view from = " seen from the ";
  const std::size_t cut = between_words.find(from);
  if (cut == std::string_view::npos) return std::nullopt;
  Ask ask{.kind = QuestionKind::relation};
  ask.other = find_word(shape_words, between_words.substr(cut + from.size()));
  if (ask.other < 0 || !parse_object_name(between_words.substr(0, cut), ask)) return std::nullopt;
  return ask;
}

inline std::optional<Ask> parse_object_question(std::string_view text, QuestionKind kind, std::string_view begin,
                                                std::string_view end) {
  const auto object = between(text, begin, end);
  Ask ask{.kind = kind};
  if (!object || !parse_object_name(*object, ask)) return std::nullopt;
  return ask;
}

}  // namespace detail

/// Understands a question's text: the inverse of `ask_text`, or nothing.
inline std::optional<Ask> parse_question(std::string_view text) {
  for (const Ask& fixed : {Ask{.kind = QuestionKind::background}, Ask{.kind = QuestionKind::count},
                           Ask{.kind = QuestionKind::order}, Ask{.kind = QuestionKind::order, .last = true}}) {
    if (text == ask_text(fixed)) return fixed;
  }
  if (const auto words_between = detail::between(text, "where is ", " ?")) {
    if (const auto ask = detail::parse_relation(*words_between)) return ask;
  }
  struct Form {
    QuestionKind kind;
    std::string_view begin, end;
  };
  constexpr std::array<Form, 7> forms = {{{QuestionKind::place, "where is ", " ?"},
                                          {QuestionKind::colour, "what colour is ", " ?"},
                                          {QuestionKind::size, "what size is ", " ?"},
                                          {QuestionKind::texture, "what texture is ", " ?"},
                                          {QuestionKind::shape, "what shape is ", " ?"},
                                          {QuestionKind::direction, "", " moves : which way ?"},
                                          {QuestionKind::new_colour, "", " changes to what colour ?"}}};
  for (const Form& form : forms) {
    if (const auto ask = detail::parse_object_question(text, form.kind, form.begin, form.end)) return ask;
  }
  return detail::parse_event_question(text);
}

}  // namespace world
