#pragma once

#include <set>
#include <string>
#include <vector>

#include "world/ask.hpp"
#include "world/phrases.hpp"

namespace world {

/// Every word that captions, questions, options and prompts of the world may hold, sorted: a tokenizer for it should
/// have a token for each, with the blank before it.
inline std::vector<std::string> vocabulary() {
  std::set<std::string> all = {".",       ":",      "?",       "a",          "an",      "at",    "the",
                               "one",     "object", "objects", "background", "appears", "moves", "vanishes",
                               "changes", "colour", "to",      "hits",       "before",  "after"};
  const auto add = [&](std::string_view text) {
    for (std::string& word : split_words(text)) all.insert(std::move(word));
  };
  for (const Attribute attribute : attributes) {
    for (const std::string_view word : words(attribute)) add(word);
  }
  for (const std::string_view word : background_words) add(word);
  for (const std::string_view word : count_words) add(word);
  for (const std::string_view word : relation_words) add(word);
  for (const std::string_view word : direction_words) add(word);
  for (int second = 0; second <= longest_clip_seconds; ++second) add(stamp_text(second));
  for (int kind = 0; kind < static_cast<int>(question_kind_words.size()); ++kind) {
    const EventName move{EventKind::move, 0, -1};
    for (const bool last : {false, true}) {
      add(ask_text({.kind = static_cast<QuestionKind>(kind),
                    .shape = 0,
                    .other = 0,
                    .last = last,
                    .event = move,
                    .second = move}));
    }
  }
  add(image_prompt);
  add(video_prompt);
  return {all.begin(), all.end()};
}

}  // namespace world
