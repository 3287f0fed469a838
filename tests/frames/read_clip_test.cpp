#include "caprl/frames/read_clip.hpp"

#include <doctest/doctest.h>

#include <string>

#include "caprl/frames/fixed_rate.hpp"
#include "caprl/frames/key_frames.hpp"
#include "caprl/frames/scene_change.hpp"
#include "caprl/frames/uniform.hpp"
#include "support/video_files.hpp"

using namespace caprl;

namespace {

struct Chooses {
  std::vector<Index> frames;
  std::vector<Index> operator()(const VideoTimeline&, FrameLook&) const { return frames; }
};

/// Half a second each of red, white, dark blue and grey, at 20 frames a second.
std::string four_scenes(const VideoFiles& files) {
  std::string inputs, join;
  int number = 0;
  for (const std::string color : {"red", "white", "0x000030", "0x808080"}) {
    inputs += "-f lavfi -i color=" + color + ":s=64x48:r=20:d=0.5 ";
    join += "[" + std::to_string(number++) + "]";
  }
  return files.make("scenes.mp4", inputs + "-filter_complex \"" + join +
                                      "concat=n=4\" -pix_fmt yuv420p -c:v libx264 -g 12 -sc_threshold 0 -bf 2");
}

}  // namespace

TEST_CASE("a clip holds the frames that its sampler chose, with their times") {
  if (!have_ffmpeg()) return;
  const VideoFiles files;
  const std::string path = four_scenes(files);

  const Clip rate = read_clip(path, FixedRate{.frames_per_second = 4, .minimum = 1, .maximum = 99}, {24, 32});
  REQUIRE(rate.frames.size() == 8);
  CHECK(rate.duration_seconds == doctest::Approx(2.0).epsilon(1e-6));
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(rate.frames[i].seconds == doctest::Approx(0.25 * static_cast<double>(i)).epsilon(1e-6));
    CHECK(rate.frames[i].image.size() == ImageSize{24, 32});
  }
  CHECK(int{rate.frames[0].image.pixel(10, 10)[0]} > 230);  // red
  CHECK(int{rate.frames[0].image.pixel(10, 10)[1]} < 20);
  CHECK(int{rate.frames[3].image.pixel(10, 10)[1]} > 240);  // white
  CHECK(int{rate.frames[7].image.pixel(10, 10)[2]} == doctest::Approx(128).epsilon(0.03));

  const Clip scenes = read_clip(path, SceneChange{});
  REQUIRE(scenes.frames.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(scenes.frames[i].seconds == doctest::Approx(0.5 * static_cast<double>(i)).epsilon(1e-6));
    CHECK(scenes.frames[i].image.size() == ImageSize{48, 64});
  }
  const Clip keys = read_clip(path, KeyFrames{});
  REQUIRE(keys.frames.size() == 4);
  CHECK(keys.frames[1].seconds == doctest::Approx(0.6).epsilon(1e-6));
  CHECK(read_clip(path, Uniform{.frames = 3}).frames.size() == 3);
}

TEST_CASE("a sampler that breaks its laws is an error") {
  if (!have_ffmpeg()) return;
  const VideoFiles files;
  const std::string path = four_scenes(files);
  VideoReader reader(path);
  CHECK_THROWS_WITH_AS(read_clip(reader, Chooses{{}}), doctest::Contains("at least one frame, got none"), Error);
  CHECK_THROWS_WITH_AS(read_clip(reader, Chooses{{3, 3}}), doctest::Contains("got 3 as choice 1"), Error);
  CHECK_THROWS_WITH_AS(read_clip(reader, Chooses{{0, 40}}), doctest::Contains("within [0, 40), got 40"), Error);
  CHECK_THROWS_WITH_AS(read_clip(reader, Chooses{{-1}}), doctest::Contains("got -1"), Error);
  CHECK(read_clip(reader, Chooses{{0, 39}}).frames.size() == 2);
  CHECK_THROWS_WITH_AS(read_clip("/nowhere.mp4", Uniform{}), doctest::Contains("/nowhere.mp4"), Error);
}
