#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/io/atomic_file.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/media/read_image.hpp"
#include "caprl/train/report_content.hpp"
#include "caprl/train/report_png.hpp"
#include "support/summary.hpp"

/// What a finished run of reinforcement leaves in its folder, for reports over several runs: stage.json, summary.json,
/// gallery/ and, in run/, the logs.
namespace examples {

struct Stage {
  std::string name;  ///< "image" or "video"
  std::filesystem::path folder;
  Summary summary = {};
  std::vector<caprl::ReportGalleryItem> gallery = {};
};

namespace detail {

inline caprl::Json question_to_json(const caprl::ReportQuestion& question) {
  return {{"text", question.text},
          {"options", question.options},
          {"gold", question.gold},
          {"before", question.before},
          {"after", question.after}};
}

inline caprl::ReportQuestion question_from_json(const caprl::Json& json) {
  return {.text = json.at("text").get<std::string>(),
          .options = json.at("options").get<std::vector<std::string>>(),
          .gold = json.at("gold").get<caprl::Index>(),
          .before = json.at("before").get<std::vector<double>>(),
          .after = json.at("after").get<std::vector<double>>()};
}

/// The pictures become files next to stage.json.
inline caprl::Json gallery_item_to_json(const caprl::ReportGalleryItem& item, const std::filesystem::path& folder,
                                        std::size_t number) {
  caprl::Json pictures = caprl::Json::array();
  for (std::size_t i = 0; i < item.pictures.size(); ++i) {
    const std::string file = "gallery/" + std::to_string(number) + "_" + std::to_string(i) + ".png";
    caprl::write_file_atomically(folder / file, caprl::detail::png_bytes(item.pictures[i].image));
    pictures.push_back({{"file", file}, {"label", item.pictures[i].label}});
  }
  caprl::Json questions = caprl::Json::array();
  for (const caprl::ReportQuestion& question : item.questions) questions.push_back(question_to_json(question));
  return {{"title", item.title},
          {"before", item.caption_before},
          {"after", item.caption_after},
          {"pictures", std::move(pictures)},
          {"questions", std::move(questions)}};
}

inline caprl::ReportGalleryItem gallery_item_from_json(const caprl::Json& json, const std::filesystem::path& folder) {
  caprl::ReportGalleryItem item{.title = json.at("title").get<std::string>(),
                                .pictures = {},
                                .caption_before = json.at("before").get<std::string>(),
                                .caption_after = json.at("after").get<std::string>(),
                                .questions = {}};
  for (const caprl::Json& picture : json.at("pictures")) {
    item.pictures.push_back(
        {caprl::read_image(folder / picture.at("file").get<std::string>()), picture.at("label").get<std::string>()});
  }
  for (const caprl::Json& question : json.at("questions")) item.questions.push_back(question_from_json(question));
  return item;
}

}  // namespace detail

/// stage.json comes last: a folder that has it is whole.
inline void save_stage(const Stage& stage) {
  std::filesystem::create_directories(stage.folder / "gallery");
  caprl::Json gallery = caprl::Json::array();
  for (std::size_t i = 0; i < stage.gallery.size(); ++i) {
    gallery.push_back(detail::gallery_item_to_json(stage.gallery[i], stage.folder, i));
  }
  stage.summary.save(stage.folder / "summary.json");
  caprl::write_file_atomically(stage.folder / "stage.json",
                               caprl::Json{{"name", stage.name}, {"gallery", std::move(gallery)}}.dump(2) + "\n");
}

inline bool is_finished_stage(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "stage.json");
}

inline Stage load_stage(const std::filesystem::path& folder) {
  const caprl::Json json = caprl::load_json(folder / "stage.json");
  Stage stage{.name = json.at("name").get<std::string>(), .folder = folder};
  stage.summary = Summary::load(folder / "summary.json");
  for (const caprl::Json& item : json.at("gallery")) {
    stage.gallery.push_back(detail::gallery_item_from_json(item, folder));
  }
  return stage;
}

}  // namespace examples
