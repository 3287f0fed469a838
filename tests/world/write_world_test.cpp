#include "world/write_world.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "caprl/data/caption_data.hpp"
#include "caprl/frames/fixed_rate.hpp"
#include "caprl/frames/read_clip.hpp"
#include "caprl/media/read_image.hpp"

namespace {

/// A folder that is removed at the end.
struct TemporaryFolder {
  explicit TemporaryFolder(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("caprl_world_" + name + "_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

world::WorldSettings small_world(const std::filesystem::path& folder) {
  return {.folder = folder, .images = {6, 2, 2}, .clips = {2, 1, 1}, .seed = 5};
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

double mean_difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(static_cast<double>(a[i]) - b[i]);
  return sum / static_cast<double>(a.size());
}

}  // namespace

TEST_CASE("what is written is read back by the library's readers") {
  const TemporaryFolder folder("read");
  const world::WorldSettings settings = small_world(folder.path);
  caprl::Index files = 0;
  world::write_world(settings, [&](caprl::Index done) { files = done; });
  CHECK(files == world::file_count(settings));
  const auto pictures = caprl::load_caption_data(folder.path / "images_train.jsonl", {.keep_extra = true});
  REQUIRE(pictures.size() == 6);
  bool png = false, jpeg = false;
  for (std::uint32_t i = 0; i < 6; ++i) {
    const auto item = world::draw_image_item(settings.seed, world::Split::train, i);
    CHECK(pictures[i].questions.size() == item.questions.size());
    CHECK(pictures[i].questions[0].gold == item.questions[0].question.gold);
    CHECK(pictures[i].questions[0].options == item.questions[0].question.options);
    CHECK(pictures[i].caption == item.caption);
    CHECK(pictures[i].prompt == world::image_prompt);
    const world::Json extra = world::Json::parse(pictures[i].extra);
    CHECK(world::scene_from_json(extra.at("scene")).objects == item.content.objects);
    const std::filesystem::path path = pictures[i].media.at(0).path;
    const caprl::Image image = caprl::read_image(path.string());
    const bool is_png = path.extension() == ".png";
    (is_png ? png : jpeg) = true;
    const double difference = mean_difference(image.rgb, world::render_scene(item.content).rgb);
    CHECK(difference <= (is_png ? 0.0 : 12.0));
  }
  CHECK(png);
  CHECK(jpeg);
}

TEST_CASE("clips have their frames at their times") {
  const TemporaryFolder folder("clips");
  const world::WorldSettings settings = small_world(folder.path);
  world::write_world(settings);
  const auto clips = caprl::load_caption_data(folder.path / "videos_train.jsonl");
  REQUIRE(clips.size() == 2);
  for (std::uint32_t i = 0; i < 2; ++i) {
    const auto item = world::draw_clip_item(settings.seed, world::Split::train, i);
    const caprl::FixedRate every_frame{.frames_per_second = 4};
    const caprl::Clip read = caprl::read_clip(clips[i].media.at(0).path.string(), every_frame);
    REQUIRE(read.frames.size() == static_cast<std::size_t>(world::frame_count(item.content)));
    CHECK(read.duration_seconds == doctest::Approx(item.content.seconds));
    const world::Look look = world::draw_look(item.content.scene);
    for (int frame = 0; frame < world::frame_count(item.content); ++frame) {
      const caprl::Frame& got = read.frames[static_cast<std::size_t>(frame)];
      CHECK(got.seconds == doctest::Approx(frame * 0.25));
      CHECK(mean_difference(got.image.rgb, world::render_frame(item.content, look, frame).rgb) < 12.0);
    }
  }
}

TEST_CASE("the same settings give the same data files, another seed gives others") {
  const TemporaryFolder first("first"), second("second"), third("third");
  world::write_world(small_world(first.path));
  world::write_world(small_world(second.path));
  world::WorldSettings other = small_world(third.path);
  other.seed = 6;
  world::write_world(other);
  CHECK(text_of(first.path / "images_test.jsonl") == text_of(second.path / "images_test.jsonl"));
  CHECK(text_of(first.path / "videos/train/000001.mp4") == text_of(second.path / "videos/train/000001.mp4"));
  CHECK(text_of(first.path / "images_test.jsonl") != text_of(third.path / "images_test.jsonl"));
}

TEST_CASE("impossible settings and places are errors") {
  const TemporaryFolder folder("errors");
  world::WorldSettings settings = small_world(folder.path);
  settings.pixels = 33;
  CHECK_THROWS_WITH_AS(world::write_world(settings), doctest::Contains("even number of pixels"), caprl::Error);
  CHECK_THROWS_AS(world::write_world({}), caprl::Error);
  CHECK_THROWS_AS(world::write_png((folder.path / "no/such/folder.png").string(), world::Picture{1, 1, {0, 0, 0}}),
                  caprl::Error);
  const auto item = world::draw_clip_item(1, world::Split::train, 0);
  CHECK_THROWS_WITH_AS(world::write_mp4("/no/such/folder.mp4", item.content), doctest::Contains("/no/such/folder.mp4"),
                       caprl::Error);
}
