#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "caprl/core/ascii.hpp"
#include "caprl/data/chat_prompt.hpp"
#include "caprl/data/choices.hpp"
#include "caprl/data/item.hpp"
#include "caprl/io/jsonl.hpp"

namespace caprl {

struct CaptionDataSettings {
  bool keep_extra = false;        ///< keep the fields that the schema does not name, as JSON text in `extra`
  bool require_questions = true;  ///< an item without questions is an error; false for captioning and supervised data
  bool require_captions = false;  ///< an item without a caption is an error; true for supervised data
};

namespace detail {

/// One entry of `images` or `videos`: a path, or {"image": path} / {"video": path}; relative to `folder`.
inline std::filesystem::path media_path(const Json& entry, const char* key, const JsonFields& line,
                                        const std::string& field, const std::filesystem::path& folder) {
  std::string text;
  if (entry.is_object()) {
    const JsonFields fields(entry, line.where(), field);
    fields.require_only({key});
    text = fields.get<std::string>(key);
  } else if (entry.is_string()) {
    text = entry.get<std::string>();
  } else {
    throw line.error(field, "expected a path, got " + json_type(entry));
  }
  if (text.starts_with("file://")) text.erase(0, 7);
  if (text.empty()) throw line.error(field, "expected a path, got an empty string");
  const std::filesystem::path path = folder / text;
  std::error_code refused;
  if (!std::filesystem::is_regular_file(path, refused)) {
    const std::string reason = refused ? refused.message() : "expected a regular file";
    throw line.error(field, reason + ": " + path.string());
  }
  return path;
}

/// The files of the list `field` ("images" or "videos"); empty if the field is absent.
inline std::vector<std::filesystem::path> media_paths(const JsonFields& line, const std::string& field, const char* key,
                                                      const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  if (!line.has(field)) return paths;
  const Json& entries = line.raw(field);
  if (!entries.is_array()) throw line.error(field, "expected a list, got " + json_type(entries));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    paths.push_back(media_path(entries[i], key, line, field + "[" + std::to_string(i) + "]", folder));
  }
  return paths;
}

/// The files in the order of their marks; there must be as many of each kind as there are marks.
inline std::vector<MediaFile> match_media(const JsonFields& line, const std::vector<MediaKind>& marks,
                                          const std::filesystem::path& folder) {
  const auto images = media_paths(line, "images", "image", folder);
  const auto videos = media_paths(line, "videos", "video", folder);
  std::vector<MediaFile> media;
  std::size_t next_image = 0, next_video = 0;
  for (const MediaKind kind : marks) {
    std::size_t& next = kind == MediaKind::image ? next_image : next_video;
    const auto& files = kind == MediaKind::image ? images : videos;
    if (next < files.size()) media.push_back({kind, files[next]});
    ++next;
  }
  const auto check = [&](const std::string& field, const std::string& mark, std::size_t count, std::size_t files) {
    if (count != files) {
      throw line.error(field, "expected as many files as " + mark + " marks in the prompt, got " +
                                  std::to_string(files) + " and " + std::to_string(count));
    }
  };
  check("images", "<image>", next_image, images.size());
  check("videos", "<video>", next_video, videos.size());
  if (media.empty()) throw line.error("prompt", "expected an <image> or <video> mark, got none");
  return media;
}

inline std::vector<Question> parse_questions(const JsonFields& line) {
  std::vector<Question> questions;
  if (!line.has("reward_model")) return questions;
  const JsonFields reward_model = line.object("reward_model");
  const Json& list = reward_model.raw("ground_truth");
  if (!list.is_array()) throw reward_model.error("ground_truth", "expected a list, got " + json_type(list));
  if (list.empty()) throw reward_model.error("ground_truth", "expected questions, got an empty list");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string place = "reward_model.ground_truth[" + std::to_string(i) + "]";
    questions.push_back(parse_question(JsonFields(list[i], line.where(), place)));
  }
  return questions;
}

inline std::string extra_fields(Json line) {
  for (const char* known : {"id", "prompt", "images", "videos", "data_source", "reward_model", "caption"}) {
    line.erase(known);
  }
  return line.dump();
}

inline std::string item_id(const JsonFields& line) {
  if (!line.has("id")) {
    const std::string& where = line.where();
    return std::filesystem::path(where).filename().string();
  }
  return line.raw("id").is_string() ? line.get<std::string>("id") : std::to_string(line.get<Index>("id"));
}

}  // namespace detail

/// One line of a data file. `where` is "file:line"; media paths are relative to `folder`. Throws Error with it and the
/// field.
inline CaptionItem parse_caption_item(const Json& json, const std::string& where, const std::filesystem::path& folder,
                                      const CaptionDataSettings& settings = {}) {
  const JsonFields line(json, where);
  ChatPrompt prompt = parse_chat_prompt(line);
  CaptionItem item;
  item.id = detail::item_id(line);
  item.where = where;
  item.system = std::move(prompt.system);
  item.prompt = std::move(prompt.user);
  item.media = detail::match_media(line, prompt.marks, folder);
  item.questions = detail::parse_questions(line);
  item.caption = trimmed(line.get_or<std::string>("caption", ""));
  item.source = line.get_or<std::string>("data_source", "");
  if (line.has("caption") && item.caption.empty()) throw line.error("caption", "expected text, got an empty string");
  if (settings.require_captions && item.caption.empty()) throw line.error("caption", "expected text, got none");
  if (settings.require_questions && item.questions.empty()) {
    throw line.error("reward_model", "expected questions, got none");
  }
  if (settings.keep_extra) item.extra = detail::extra_fields(json);
  return item;
}

/// Reads a JSON Lines data file of images or videos with questions, captions or both (docs/data.md has the schema).
/// Strict: the first line that is not as it should be ends in an Error with the file, line and field.
inline std::vector<CaptionItem> load_caption_data(const std::filesystem::path& path,
                                                  const CaptionDataSettings& settings = {}) {
  std::vector<CaptionItem> items;
  std::map<std::string, std::string> seen;  // id -> where
  for_each_json_line(path, [&](const Json& json, const std::string& where) {
    items.push_back(parse_caption_item(json, where, path.parent_path(), settings));
    const auto [entry, is_new] = seen.emplace(items.back().id, where);
    if (!is_new) {
      throw Error("[caption data] field id: expected a different one for each line, got \"" + entry->first +
                      "\" here and at " + entry->second,
                  where);
    }
  });
  if (items.empty()) throw Error("[caption data] expected at least one line, got an empty file", path.string());
  return items;
}

}  // namespace caprl
