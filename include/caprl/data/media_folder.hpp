#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/core/ascii.hpp"
#include "caprl/core/error.hpp"
#include "caprl/data/item.hpp"
#include "caprl/io/file_system.hpp"

namespace caprl {

/// The kind of media that a file's extension stands for; nothing for other files.
inline std::optional<MediaKind> media_kind_of(const std::filesystem::path& path) {
  const std::string extension = ascii_lower(path.extension().string());
  for (const std::string_view image : {".png", ".jpg", ".jpeg"}) {
    if (extension == image) return MediaKind::image;
  }
  for (const std::string_view video : {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"}) {
    if (extension == video) return MediaKind::video;
  }
  return std::nullopt;
}

/// What to ask of the captioner where no data file says it.
struct MediaPrompts {
  std::string image;
  std::string video;
};

/// An item without questions for one image or video file. Throws Error for another kind of file.
inline CaptionItem item_of_file(const std::filesystem::path& path, const MediaPrompts& prompts) {
  const auto kind = media_kind_of(path);
  if (!kind) {
    throw Error("[media file] expected an image (png, jpg) or a video (mp4, m4v, mov, mkv, webm, avi)", path.string());
  }
  const bool is_file = detail::with_file_errors("media file", path, "check the path",
                                                [&] { return std::filesystem::is_regular_file(path); });
  if (!is_file) throw Error("[media file] no such file", path.string());
  CaptionItem item;
  item.id = path.filename().string();
  item.where = path.string();
  item.prompt = *kind == MediaKind::image ? prompts.image : prompts.video;
  item.media.push_back({*kind, path});
  return item;
}

/// An item for each image and video in a folder, in the order of their names; hidden files, other files and folders
/// within are passed over. Throws Error if there is none.
inline std::vector<CaptionItem> load_media_folder(const std::filesystem::path& folder, const MediaPrompts& prompts) {
  std::vector<std::filesystem::path> paths;
  detail::with_file_errors("media folder", folder, "check the path", [&] {
    if (!std::filesystem::is_directory(folder)) throw Error("[media folder] no such folder", folder.string());
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const bool hidden = entry.path().filename().string().starts_with(".");
      if (!hidden && media_kind_of(entry.path()) && entry.is_regular_file()) paths.push_back(entry.path());
    }
  });
  if (paths.empty()) {
    throw Error("[media folder] expected images or videos, got none", folder.string(),
                "name the folder that holds them: those within it are not searched");
  }
  std::sort(paths.begin(), paths.end());
  std::vector<CaptionItem> items;
  for (const auto& path : paths) items.push_back(item_of_file(path, prompts));
  return items;
}

}  // namespace caprl
