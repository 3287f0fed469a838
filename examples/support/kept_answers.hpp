#pragma once

#include <algorithm>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/core/hash.hpp"
#include "caprl/evaluate/caption_accuracy.hpp"
#include "caprl/io/atomic_file.hpp"
#include "caprl/io/fingerprint.hpp"
#include "caprl/io/json_file.hpp"

/// A judge's answers, kept in files: the same captions are measured beside several others, and asked about once.
namespace examples {

namespace detail {

inline std::string name_of_answers(const std::string& asked, std::span<const caprl::Caption> captions) {
  caprl::Fnv1a hash;
  constexpr std::string_view end = "\xFF";  // no UTF-8 text has it: else texts cut elsewhere would be the same
  hash.add(asked).add(end);
  for (const caprl::Caption& caption : captions) hash.add(caption.text).add(end);
  return caprl::hexadecimal(hash.value()) + ".json";
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

/// Throws Error unless there is an answer to each question of the item, over its options.
inline void require_fitting(const caprl::CaptionItem& item, const std::vector<caprl::QuestionAnswer>& answers) {
  const bool fit = std::ranges::equal(answers, item.questions, [](const auto& answer, const auto& question) {
    return answer.options.size() == question.options.size();
  });
  caprl::require(fit, "[kept answers] expected an answer to each question", item.where);
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
    require_fitting(*items[i], answers);
    judged.push_back(caprl::item_accuracy(*items[i], std::move(answers)));
  }
  return judged;
}

/// Throws Error that names the file where it does not hold the answers to the items' questions.
inline std::vector<caprl::ItemAccuracy> load_answers(const std::filesystem::path& file,
                                                     std::span<const caprl::CaptionItem* const> items) {
  const caprl::Json json = caprl::load_json(file);
  try {
    return answers_from_json(json, items);
  } catch (const std::exception& error) {
    throw caprl::Error(std::string("[kept answers] expected the answers to all questions, got ") + error.what(),
                       file.string(), "remove the file: the judge is then asked again");
  }
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
  if (std::filesystem::exists(file)) return detail::load_answers(file, items);
  auto judged = caprl::caption_accuracy(judge, items, captions);
  std::filesystem::create_directories(folder);
  caprl::write_file_atomically(file, detail::answers_to_json(judged).dump() + "\n");
  return judged;
}

}  // namespace examples
