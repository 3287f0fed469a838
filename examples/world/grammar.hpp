#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/judge/time_stamps.hpp"
#include "world/ask.hpp"

namespace world {

/// An object as a caption tells of it: an index into the words of each attribute, or -1 where nothing is said.
struct ObjectMention {
  std::array<int, attribute_count> value = {-1, -1, -1, -1, -1};

  int operator[](Attribute attribute) const { return value[static_cast<std::size_t>(attribute)]; }
  int& operator[](Attribute attribute) { return value[static_cast<std::size_t>(attribute)]; }
};

/// An event as a caption tells of it.
struct EventMention {
  EventName name = {};
  int value = -1;   ///< direction or new colour
  int second = -1;  ///< -1 without a time
};

/// What a caption says, sentence by sentence.
///
///     caption  = { sentence "." }
///     sentence = number ( "object" | "objects" ) | colour "background" | object | [ stamp ] event | stamp
///     object   = [ "at" place ] ( "a" | "an" ) [ size ] [ colour ] [ texture ] shape
///     event    = "the" shape ( "moves" direction | "vanishes" | "changes" "to" colour | "hits" "the" shape )
///              | object "appears"
///
/// A stamp alone, of a second in which nothing happens, claims nothing. A sentence of another form, or without its full
/// stop, is unparsable.
struct ParsedCaption {
  std::vector<int> counts;
  std::vector<int> backgrounds;
  std::vector<ObjectMention> objects;  ///< those that appear included
  std::vector<EventMention> events;
  int quiet_seconds = 0;  ///< sentences of a stamp alone
  int unparsable = 0;
};

namespace detail {

/// Reads words from the front of a sentence.
class SentenceReader {
 public:
  explicit SentenceReader(std::span<const std::string> words) : words_(words) {}

  bool done() const { return words_.empty(); }
  bool take(std::string_view word) {
    if (words_.empty() || words_.front() != word) return false;
    words_ = words_.subspan(1);
    return true;
  }
  /// The next word's index in `list`, or -1 with nothing taken.
  int take_one_of(std::span<const std::string_view> list) {
    const int index = words_.empty() ? -1 : find_word(list, words_.front());
    if (index >= 0) words_ = words_.subspan(1);
    return index;
  }
  /// A place of two words, or -1.
  int take_place() {
    if (words_.size() < 2) return -1;
    const int index = find_word(place_words, words_[0] + " " + words_[1]);
    if (index >= 0) words_ = words_.subspan(2);
    return index;
  }
  /// The seconds of a stamp like "[00:07]", or -1.
  int take_stamp() {
    if (words_.empty() || words_.front().size() != 7) return -1;
    const auto stamps = caprl::find_time_stamps(words_.front());
    if (stamps.size() != 1 || !stamps.front().legal) return -1;
    words_ = words_.subspan(1);
    return static_cast<int>(stamps.front().start_seconds);
  }

 private:
  std::span<const std::string> words_;
};

inline std::optional<ObjectMention> read_object(SentenceReader& reader) {
  ObjectMention mention;
  if (reader.take("at")) {
    mention[Attribute::place] = reader.take_place();
    if (mention[Attribute::place] < 0) return std::nullopt;
  }
  if (!reader.take("a") && !reader.take("an")) return std::nullopt;
  for (const Attribute attribute : {Attribute::size, Attribute::colour, Attribute::texture, Attribute::shape}) {
    mention[attribute] = reader.take_one_of(words(attribute));
  }
  if (mention[Attribute::shape] < 0) return std::nullopt;
  return mention;
}

inline std::optional<EventMention> read_event(SentenceReader& reader) {
  EventMention mention;
  if (!reader.take("the")) return std::nullopt;
  mention.name.subject = reader.take_one_of(shape_words);
  if (mention.name.subject < 0) return std::nullopt;
  if (reader.take("moves")) {
    mention.name.kind = EventKind::move;
    mention.value = reader.take_one_of(direction_words);
    return mention.value < 0 ? std::nullopt : std::optional(mention);
  }
  if (reader.take("vanishes")) {
    mention.name.kind = EventKind::vanish;
    return mention;
  }
  if (reader.take("changes")) {
    mention.name.kind = EventKind::change;
    mention.value = reader.take("to") ? reader.take_one_of(colour_words) : -1;
    return mention.value < 0 ? std::nullopt : std::optional(mention);
  }
  mention.name.kind = EventKind::hit;
  mention.name.other = reader.take("hits") && reader.take("the") ? reader.take_one_of(shape_words) : -1;
  return mention.name.other < 0 ? std::nullopt : std::optional(mention);
}

inline bool read_event_sentence(SentenceReader reader, int second, ParsedCaption& parsed) {
  if (auto event = read_event(reader)) {
    if (!reader.done()) return false;
    event->second = second;
    parsed.events.push_back(*event);
    return true;
  }
  return false;
}

inline bool read_object_sentence(SentenceReader reader, int second, ParsedCaption& parsed) {
  const auto object = read_object(reader);
  if (!object) return false;
  const bool appears = reader.take("appears");
  if (!reader.done() || (second >= 0 && !appears)) return false;
  parsed.objects.push_back(*object);
  if (appears) {
    parsed.events.push_back({.name = {EventKind::appear, (*object)[Attribute::shape], -1}, .second = second});
  }
  return true;
}

inline bool read_scene_sentence(SentenceReader reader, ParsedCaption& parsed) {
  if (const int count = reader.take_one_of(count_words); count >= 0) {
    const bool fits = reader.take(count == 0 ? "object" : "objects") && reader.done();
    if (fits) parsed.counts.push_back(count);
    return fits;
  }
  const int background = reader.take_one_of(background_words);
  const bool fits = background >= 0 && reader.take("background") && reader.done();
  if (fits) parsed.backgrounds.push_back(background);
  return fits;
}

inline bool read_sentence(std::span<const std::string> sentence, ParsedCaption& parsed) {
  SentenceReader reader(sentence);
  const int second = reader.take_stamp();
  if (second < 0 && read_scene_sentence(reader, parsed)) return true;
  if (second >= 0 && reader.done()) {
    ++parsed.quiet_seconds;
    return true;
  }
  return read_object_sentence(reader, second, parsed) || read_event_sentence(reader, second, parsed);
}

}  // namespace detail

inline ParsedCaption parse_caption(std::string_view text) {
  const std::vector<std::string> all = split_words(text);
  ParsedCaption parsed;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= all.size(); ++i) {
    const bool stop = i < all.size() && all[i] == ".";
    if (!stop && i < all.size()) continue;
    if (stop || i > begin) {
      const bool fits = stop && detail::read_sentence(std::span(all).subspan(begin, i - begin), parsed);
      parsed.unparsable += !fits;
    }
    begin = i + 1;
  }
  return parsed;
}

}  // namespace world
