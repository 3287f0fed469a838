#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "world/clip.hpp"
#include "world/scene.hpp"

/// The wording that captions and questions share. Words are separated by single blanks, punctuation included, and the
/// vocabulary is small and closed, so that a tokenizer may give each word a token of its own.
namespace world {

inline constexpr std::string_view image_prompt = "describe the image in detail .";
inline constexpr std::string_view video_prompt = "describe the video in detail with times .";

/// A time as captions state it: "[00:07]".
inline std::string stamp_text(int second) {
  std::string text = "[00:00]";
  text[1] = static_cast<char>('0' + second / 600 % 10);
  text[2] = static_cast<char>('0' + second / 60 % 10);
  text[4] = static_cast<char>('0' + second % 60 / 10);
  text[5] = static_cast<char>('0' + second % 10);
  return text;
}

/// Adds words after a blank.
inline void add_words(std::string& text, std::string_view words) {
  if (!text.empty()) text += ' ';
  text += words;
}

/// "an" before orange, else "a".
inline std::string_view article_before(std::string_view word) {
  return std::string_view("aeiou").find(word.front()) == std::string_view::npos ? "a" : "an";
}

/// What happens, told without its details, as questions name events: "the circle moves".
inline std::string event_name(EventKind kind, std::string_view subject, std::string_view other = {}) {
  std::string text = "the " + std::string(subject);
  switch (kind) {
    case EventKind::move:
      return text + " moves";
    case EventKind::appear:
      return text + " appears";
    case EventKind::vanish:
      return text + " vanishes";
    case EventKind::change:
      return text + " changes colour";
    default:
      return text + " hits the " + std::string(other);
  }
}

inline std::string event_name(const Clip& clip, const Event& event) {
  const auto shape = [&](int object) {
    return clip.scene.objects[static_cast<std::size_t>(object)].word(Attribute::shape);
  };
  return event_name(event.kind, shape(event.subject), event.kind == EventKind::hit ? shape(event.value) : "");
}

}  // namespace world
