#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/data/item.hpp"
#include "world/ask.hpp"

namespace world {

/// A question of the world: what it asks, and the same in the library's form.
struct WorldQuestion {
  Ask ask;
  caprl::Question question;
};

/// Puts the options into random order, so that the right one is uniform over the letters.
inline WorldQuestion make_question(RandomStream& random, const Ask& ask, std::vector<std::string> options,
                                   const std::string& right) {
  random.shuffle(options);
  const auto gold = std::find(options.begin(), options.end(), right) - options.begin();
  return {ask, {.text = ask_text(ask), .options = std::move(options), .gold = static_cast<caprl::Index>(gold)}};
}

/// A question whose answer is a word of a list: the right word and up to three others of the list, each set of others
/// equally likely. Where the answer is uniform over the list, it is uniform over the options given the options.
inline WorldQuestion make_word_question(RandomStream& random, const Ask& ask, std::span<const std::string_view> list,
                                        int right) {
  std::vector<std::string> options = {std::string(list[static_cast<std::size_t>(right)])};
  for (const int i : draw_distinct(random, static_cast<int>(list.size()), static_cast<int>(list.size()))) {
    if (i != right && options.size() < 4) options.emplace_back(list[static_cast<std::size_t>(i)]);
  }
  const std::string answer = options.front();
  return make_question(random, ask, std::move(options), answer);
}

/// Questions for the same attribute of several objects that all differ in it: they share one set of options that holds
/// all the answers, so that no set of options tells which answers are taken.
inline std::vector<WorldQuestion> make_shared_questions(RandomStream& random, const std::vector<Ask>& asks,
                                                        std::span<const std::string_view> list,
                                                        const std::vector<int>& right) {
  std::vector<int> chosen = right;
  for (const int i : draw_distinct(random, static_cast<int>(list.size()), static_cast<int>(list.size()))) {
    if (chosen.size() < 4 && std::find(right.begin(), right.end(), i) == right.end()) chosen.push_back(i);
  }
  std::vector<std::string> options;
  for (const int i : chosen) options.emplace_back(list[static_cast<std::size_t>(i)]);
  std::vector<WorldQuestion> questions;
  for (std::size_t i = 0; i < asks.size(); ++i) {
    questions.push_back(make_question(random, asks[i], options, std::string(list[static_cast<std::size_t>(right[i])])));
  }
  return questions;
}

/// Questions about attributes of objects that are independent of all else: colour, size, texture. The object is named
/// by its shape, or by its place.
inline WorldQuestion ask_attribute(RandomStream& random, const Object& object, Attribute attribute, bool by_place) {
  Ask ask{.kind = attribute == Attribute::colour ? QuestionKind::colour
                  : attribute == Attribute::size ? QuestionKind::size
                                                 : QuestionKind::texture};
  (by_place ? ask.place : ask.shape) = object[by_place ? Attribute::place : Attribute::shape];
  return make_word_question(random, ask, words(attribute), object[attribute]);
}

inline WorldQuestion ask_background(RandomStream& random, const Scene& scene) {
  return make_word_question(random, {.kind = QuestionKind::background}, background_words, scene.background);
}

}  // namespace world
