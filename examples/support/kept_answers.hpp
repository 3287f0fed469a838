#pragma once

#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/hash.hpp"
#include "caprl/evaluate/caption_accuracy.hpp"
#include "caprl/io/atomic_file.hpp"
#include "caprl/io/json_file.hpp"

/// A judge's answers, kept in files: the same captions are measured beside several others, and asked about once.
namespace examples {

namespace detail {

inline std::string name_of_answers(const std::string& asked, std::span<const caprl::Caption> captions) {
  caprl::Fnv1a hash;
  hash.add(asked);
  for (const caprl::Caption& caption : captions) hash.add(caption.text);
  char name[32];
  std::snprintf(name, sizeof name, "%016llx.json", static_cast<unsigned long long>(hash.value()));
  return name;
}

inline caprl::Json answers_to_json(const std::vector<caprl::ItemAccuracy>& judged) {
  caprl::Json items = caprl::Json::array();
  for (const caprl::ItemAccuracy& item : judged) {
    caprl::Json& answers = items.emplace_back(caprl::Json::array());
    for (const caprl::QuestionAnswer& answer : item.answers) {
      answers.push_back({{"options", answer.options}, {"abstain", answer.abstain}, {"leftover", answer.leftover}});
    }
  }
  return items;
}

inline std::vector<caprl::ItemAccuracy> answers_from_json(const caprl::Json& json,
                                                          std::span<const caprl::CaptionItem* const> items) {
  std::vector<caprl::ItemAccuracy> judged;
  for (std::size_t i = 0; i < items.size(); ++i) {
    std::vector<caprl::QuestionAnswer> answers;
    for (const caprl::Json& answer : json.at(i)) {
      answers.push_back({.options = answer.at("options").get<std::vector<double>>(),
                         .positions = {},
                         .abstain = answer.at("abstain").get<double>(),
                         .leftover = answer.at("leftover").get<double>()});
    }
    judged.push_back(caprl::item_accuracy(*items[i], std::move(answers)));
  }
  return judged;
}

}  // namespace detail

/// `caption_accuracy`, from a file of `folder` if the same was asked before. `asked` stands for the judge and the
/// items. With no folder nothing is kept. What is read back has no `positions`.
template <class T>
std::vector<caprl::ItemAccuracy> kept_caption_accuracy(const std::filesystem::path& folder, const std::string& asked,
                                                       const caprl::ExactJudge<T>& judge,
                                                       std::span<const caprl::CaptionItem* const> items,
                                                       std::span<const caprl::Caption> captions) {
  if (folder.empty()) return caprl::caption_accuracy(judge, items, captions);
  const auto file = folder / detail::name_of_answers(asked, captions);
  if (std::filesystem::exists(file)) return detail::answers_from_json(caprl::load_json(file), items);
  auto judged = caprl::caption_accuracy(judge, items, captions);
  std::filesystem::create_directories(folder);
  caprl::write_file_atomically(file, detail::answers_to_json(judged).dump() + "\n");
  return judged;
}

}  // namespace examples
