#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <string>

#include "caprl/io/atomic_file.hpp"
#include "world/image_file.hpp"
#include "world/items.hpp"
#include "world/video_file.hpp"

namespace world {

/// How many pictures and clips each set gets (train, validation, test), and where.
struct WorldSettings {
  std::filesystem::path folder;
  std::array<int, 3> images = {0, 0, 0};
  std::array<int, 3> clips = {0, 0, 0};
  std::uint64_t seed = 1;
  int pixels = 48;
  int longest_clip = longest_clip_seconds;
};

/// Called after each file with the number of files written.
using WorldProgress = std::function<void(caprl::Index)>;

inline caprl::Index file_count(const WorldSettings& settings) {
  caprl::Index count = 0;
  for (const int images : settings.images) count += images;
  for (const int clips : settings.clips) count += clips;
  return count;
}

namespace detail {

inline std::string numbered(std::string_view split, int index, std::string_view ending) {
  std::string number = std::to_string(index);
  number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
  return std::string(split) + "/" + number + std::string(ending);
}

/// Half of the pictures are JPEG files of quality 60 to 95, half PNG files; by chance, not by what they show.
inline std::string write_picture(const WorldSettings& settings, const Scene& scene, std::string_view split, int index) {
  RandomStream random({.seed = scene.look, .purpose = caprl::Purpose::example, .step = 4});
  const Picture picture = render_scene(scene, settings.pixels);
  const bool is_jpeg = random.below(2) == 0;
  const std::string path = "images/" + numbered(split, index, is_jpeg ? ".jpg" : ".png");
  const std::string full = (settings.folder / path).string();
  is_jpeg ? write_jpeg(full, picture, 60 + draw_below(random, 36)) : write_png(full, picture);
  return path;
}

inline std::string write_clip(const WorldSettings& settings, const Clip& clip, std::string_view split, int index) {
  const std::string path = "videos/" + numbered(split, index, ".mp4");
  write_mp4((settings.folder / path).string(), clip, settings.pixels);
  return path;
}

/// Writes one set of pictures or clips and its data file, which comes last and whole.
template <class DrawItem, class WriteMedia>
void write_set(const WorldSettings& settings, const std::string& kind, int count, Split split, SplitRegister& splits,
               const DrawItem& draw, const WriteMedia& write) {
  if (count == 0) return;
  const std::string name(split_names[static_cast<std::size_t>(split)]);
  const std::string id = kind + "-" + name + "-";
  std::filesystem::create_directories(settings.folder / (kind + "s") / name);
  std::string lines;
  for (int i = 0; i < count; ++i) {
    const auto item = draw(settings.seed, split, static_cast<std::uint32_t>(i));
    const std::string path = write(item.content, name, i);
    if constexpr (std::is_same_v<decltype(item), const ClipItem>) {
      splits.add(item.content.scene, split, path);
    } else {
      splits.add(item.content, split, path);
    }
    lines += item_to_json(item, id + std::to_string(i), path).dump() + "\n";
  }
  caprl::write_file_atomically(settings.folder / (kind + "s_" + name + ".jsonl"), lines);
}

}  // namespace detail

/// Writes a world: folder/images/train/000000.png ..., folder/videos/train/000000.mp4 ..., and the data files
/// images_train.jsonl, images_validation.jsonl, images_test.jsonl, videos_train.jsonl ... of the sets that are not
/// empty. Checks that no scene is in two sets. The same settings give the same data files.
inline void write_world(const WorldSettings& settings, const WorldProgress& progress = {}) {
  caprl::require(!settings.folder.empty(), "[write_world] expected a folder, got an empty path");
  caprl::require(settings.pixels >= 32 && settings.pixels % 2 == 0,
                 "[write_world] expected pictures of an even number of pixels, 32 or more");
  SplitRegister splits;
  caprl::Index done = 0;
  const auto count_up = [&](std::string path) {
    ++done;
    if (progress) progress(done);
    return path;
  };
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const auto index = static_cast<std::size_t>(split);
    detail::write_set(settings, "image", settings.images[index], split, splits, draw_image_item,
                      [&](const Scene& scene, std::string_view name, int i) {
                        return count_up(detail::write_picture(settings, scene, name, i));
                      });
    detail::write_set(
        settings, "video", settings.clips[index], split, splits,
        [&](std::uint64_t seed, Split set, std::uint32_t i) {
          return draw_clip_item(seed, set, i, settings.longest_clip);
        },
        [&](const Clip& clip, std::string_view name, int i) {
          return count_up(detail::write_clip(settings, clip, name, i));
        });
  }
}

}  // namespace world
