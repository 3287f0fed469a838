#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/core/ascii.hpp"
#include "caprl/train/report_content.hpp"
#include "caprl/train/report_html.hpp"
#include "caprl/train/report_png.hpp"

namespace caprl::detail {

inline std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (c != ' ' && c != '\n' && c != '\t') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(word);
      word.clear();
    }
  }
  return words;
}

/// Words are the same if they differ in case or in the punctuation at their ends alone.
inline std::string plain_word(std::string word) {
  while (!word.empty() && std::string_view(".,;:!?").find(word.back()) != std::string_view::npos) word.pop_back();
  return ascii_lower(std::move(word));
}

/// For each word of `after`, whether it belongs to the longest common subsequence with `before`.
inline std::vector<bool> kept_words(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  const std::size_t rows = before.size(), columns = after.size();
  const auto same = [&](std::size_t i, std::size_t j) { return plain_word(before[i]) == plain_word(after[j]); };
  std::vector<std::vector<int>> common(rows + 1, std::vector<int>(columns + 1, 0));
  for (std::size_t i = rows; i-- > 0;) {
    for (std::size_t j = columns; j-- > 0;) {
      common[i][j] = same(i, j) ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  std::vector<bool> kept(columns, false);
  for (std::size_t i = 0, j = 0; i < rows && j < columns;) {
    if (same(i, j)) {
      kept[j] = true;
      ++i, ++j;
    } else if (common[i + 1][j] >= common[i][j + 1]) {
      ++i;
    } else {
      ++j;
    }
  }
  return kept;
}

/// The caption with the runs of words marked that the one before training does not have; plain if little is shared.
inline std::string marked_caption(const std::string& before, const std::string& after) {
  const auto old_words = words_of(before), new_words = words_of(after);
  if (old_words.size() > 1000 || new_words.size() > 1000) return html_text(after);
  const auto kept = kept_words(old_words, new_words);
  const auto shared = static_cast<std::size_t>(std::count(kept.begin(), kept.end(), true));
  if (2 * shared < old_words.size() || old_words.empty()) return html_text(after);
  std::string html;
  for (std::size_t i = 0; i < new_words.size(); ++i) {
    const bool opens = !kept[i] && (i == 0 || kept[i - 1]), closes = !kept[i] && (i + 1 == kept.size() || kept[i + 1]);
    html += (i == 0 ? "" : " ") + std::string(opens ? "<mark>" : "") + html_text(new_words[i]);
    if (closes) html += "</mark>";
  }
  return html;
}

inline std::string probability_bar(const std::vector<double>& probabilities, std::size_t option, const char* which) {
  if (option >= probabilities.size() || !std::isfinite(probabilities[option])) return "";
  const double share = std::clamp(probabilities[option], 0.0, 1.0);
  return "<span class=\"bar " + std::string(which) + "\"><i style=\"width:" + fixed(100 * share, 1) + "%\"></i><em>" +
         fixed(100 * share, 0) + "</em></span>";
}

inline std::string question_block(const ReportQuestion& question) {
  std::string rows;
  for (std::size_t i = 0; i < question.options.size(); ++i) {
    const bool gold = static_cast<Index>(i) == question.gold;
    const std::string letter(1, static_cast<char>('A' + i % 26));
    rows += element("div", gold ? "option gold" : "option",
                    element("span", "name", element("b", "", letter) + html_text(question.options[i])) +
                        element("span", "bars",
                                probability_bar(question.before, i, "was") + probability_bar(question.after, i, "is")));
  }
  return element("div", "question", text_element("p", "", question.text) + rows);
}

inline std::string picture_figure(const ReportPicture& picture) {
  const bool small = std::max(picture.image.width, picture.image.height) <= 128;
  return "<figure><img alt=\"" + html_text(picture.label) + "\"" + (small ? " class=\"small\"" : "") + " width=\"" +
         std::to_string(picture.image.width) + "\" height=\"" + std::to_string(picture.image.height) +
         "\" src=\"data:image/png;base64," + base64(png_bytes(picture.image)) + "\">" +
         text_element("figcaption", "", picture.label) + "</figure>";
}

inline std::string gallery_card(const ReportGalleryItem& item) {
  std::string pictures, questions, captions;
  for (const ReportPicture& picture : item.pictures) pictures += picture_figure(picture);
  for (const ReportQuestion& question : item.questions) questions += question_block(question);
  captions +=
      element("div", "caption was", element("h4", "", "Before") + element("p", "", html_text(item.caption_before)));
  captions +=
      element("div", "caption is",
              element("h4", "", "After") + element("p", "", marked_caption(item.caption_before, item.caption_after)));
  if (!questions.empty()) questions = element("div", "questions", questions);
  const std::string words = element("div", "words", element("div", "captions", captions) + questions);
  return element(
      "article", item.pictures.size() > 1 ? "card film" : "card",
      text_element("h3", "", item.title) + element("div", "view", element("div", "pictures", pictures) + words));
}

}  // namespace caprl::detail
