#include "caprl/frames/frame_sampler.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <numeric>
#include <sstream>
#include <string>

#include "caprl/frames/fixed_rate.hpp"
#include "caprl/frames/key_frames.hpp"
#include "caprl/frames/load_qwen_frames.hpp"
#include "caprl/frames/qwen_frames.hpp"
#include "caprl/frames/scene_change.hpp"
#include "caprl/frames/spread.hpp"
#include "caprl/frames/uniform.hpp"
#include "support/frame_sampler_laws.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;

namespace {

struct FirstFrame {
  std::vector<Index> operator()(const VideoTimeline&, FrameLook&) const { return {0}; }
};
struct GivesInts {
  std::vector<int> operator()(const VideoTimeline&, FrameLook&) const { return {0}; }
};
struct ChangesItself {
  std::vector<Index> operator()(const VideoTimeline&, FrameLook&) { return {0}; }
};
struct WantsNoLook {
  std::vector<Index> operator()(const VideoTimeline&) const { return {0}; }
};
struct ChangesTheTimeline {
  std::vector<Index> operator()(VideoTimeline&, FrameLook&) const { return {0}; }
};
struct CannotBeCalled {};

static_assert(FrameSampler<FirstFrame>);
static_assert(FrameSampler<Uniform>);
static_assert(FrameSampler<FixedRate>);
static_assert(FrameSampler<Qwen2VlFrames>);
static_assert(FrameSampler<Qwen3VlFrames>);
static_assert(FrameSampler<KeyFrames>);
static_assert(FrameSampler<SceneChange>);
static_assert(!FrameSampler<GivesInts>);
static_assert(!FrameSampler<ChangesItself>);
static_assert(!FrameSampler<WantsNoLook>);
static_assert(!FrameSampler<ChangesTheTimeline>);
static_assert(!FrameSampler<CannotBeCalled>);

/// A look that must not be used.
struct NoLook final : FrameLook {
  Thumbnail operator()(Index) override {
    FAIL("this sampler must not look");
    return {};
  }
} no_look;

/// Thumbnails of one brightness each.
struct Levels final : FrameLook {
  std::vector<std::uint8_t> levels;
  explicit Levels(std::vector<std::uint8_t> values) : levels(std::move(values)) {}
  Thumbnail operator()(Index frame) override {
    return {2, 2, std::vector<std::uint8_t>(4, levels.at(static_cast<std::size_t>(frame)))};
  }
};

std::vector<Index> all(Index count) {
  std::vector<Index> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), Index{0});
  return numbers;
}

}  // namespace

TEST_CASE("every sampler keeps the laws") {
  check_frame_sampler_laws(FirstFrame{}, 1);
  for (const Index limit : {1, 2, 7, 64}) {
    check_frame_sampler_laws(Uniform{.frames = limit}, limit);
    check_frame_sampler_laws(FixedRate{.frames_per_second = 2, .minimum = 1, .maximum = limit}, limit);
    check_frame_sampler_laws(FixedRate{.frames_per_second = 1000, .minimum = limit, .maximum = limit}, limit);
    check_frame_sampler_laws(Qwen2VlFrames{.frames_per_second = 2, .minimum = 1, .maximum = limit}, limit);
    check_frame_sampler_laws(Qwen2VlFrames{.frames_per_second = 1000, .minimum = limit, .maximum = limit}, limit);
    check_frame_sampler_laws(Qwen2VlFrames{.frames = limit}, limit + 1);  // to the nearest whole patch
    check_frame_sampler_laws(Qwen3VlFrames{.frames_per_second = 2, .minimum = 1, .maximum = limit}, limit);
    check_frame_sampler_laws(Qwen3VlFrames{.frames = limit}, limit);
    check_frame_sampler_laws(KeyFrames{.maximum = limit}, limit);
    check_frame_sampler_laws(SceneChange{.threshold = 0.2, .minimum_gap_seconds = 0, .maximum = limit}, limit);
  }
  check_frame_sampler_laws(FixedRate{}, 768);
}

TEST_CASE("the frame on the screen is the last one shown") {
  const VideoTimeline timeline = timeline_of(10, 10);
  CHECK(timeline.frame_at(-1) == 0);
  CHECK(timeline.frame_at(0) == 0);
  CHECK(timeline.frame_at(0.0999) == 0);
  CHECK(timeline.frame_at(0.1) == 1);
  CHECK(timeline.frame_at(0.3) == 3);
  CHECK(timeline.frame_at(99) == 9);
}

TEST_CASE("evenly spread places are numpy's") {
  std::ifstream file(CAPRL_TEST_DATA "/media/linspace.txt");
  int cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    std::istringstream numbers(line);
    Index count = 0, chosen = 0;
    numbers >> count >> chosen;
    std::vector<Index> expected;
    for (Index place = 0; numbers >> place;) expected.push_back(place);
    CHECK(spread_evenly(count, chosen) == expected);
  }
  CHECK(cases == 9);
  CHECK(spread_evenly(0, 3).empty());
}

TEST_CASE("uniform takes the middles of equal parts of the time") {
  CHECK(Uniform{.frames = 4}(timeline_of(80, 10), no_look) == std::vector<Index>{10, 30, 50, 70});
  CHECK(Uniform{.frames = 1}(timeline_of(80, 10), no_look) == std::vector<Index>{40});
  CHECK(Uniform{.frames = 8}(timeline_of(5, 10), no_look) == all(5));
  VideoTimeline still = timeline_of(3, 10);  // the last of three frames stays for ten seconds
  still.duration_seconds = 10;
  CHECK(Uniform{.frames = 2}(still, no_look) == std::vector<Index>{2});
}

TEST_CASE("fixed rate takes the frames at its ticks, within its limits") {
  const FixedRate two{.frames_per_second = 2, .minimum = 4, .maximum = 20};
  CHECK(two(timeline_of(100, 25), no_look) == std::vector<Index>{0, 12, 25, 37, 50, 62, 75, 87});
  CHECK(two(timeline_of(240, 23.976), no_look).size() == 20);  // one tick lies beyond the cap
  CHECK(two(timeline_of(2000, 25), no_look) == spread_evenly(2000, 20));
  CHECK(two(timeline_of(20, 25), no_look) == spread_evenly(20, 4));
  CHECK(two(timeline_of(3, 25), no_look) == all(3));
  CHECK(FixedRate{.frames_per_second = 100, .minimum = 1, .maximum = 999}(timeline_of(50, 10), no_look) == all(50));
  // A rate above the video's, with uneven frames: each frame is chosen once.
  CHECK(FixedRate{.frames_per_second = 7, .minimum = 1, .maximum = 999}(timeline_of(30, 2, 12, true), no_look) ==
        all(30));
}

TEST_CASE("Qwen's samplers take the frames that the video processors take") {
  const Json fixture = load_json(CAPRL_TEST_DATA "/media/qwen_processors.json");
  for (const Json& row : fixture["frames"]) {
    CAPTURE(row.dump());
    const VideoTimeline timeline = timeline_of(row[1], row[2]);
    const auto limits = [&](auto sampler) {
      if (row[3] != 0) sampler.frames_per_second = row[3];
      sampler.minimum = row[4];
      sampler.maximum = row[5];
      if (row[6] != 0) sampler.frames = row[6].get<Index>();
      return sampler(timeline, no_look);
    };
    const std::vector<Index> expected = row[7];
    CHECK((row[0] == "Qwen3VLVideoProcessor" ? limits(Qwen3VlFrames{}) : limits(Qwen2VlFrames{})) == expected);
  }
  CHECK(fixture["frames"].size() == 120);
}

TEST_CASE("where the video processors fail, Qwen's samplers take what there is") {
  const VideoTimeline seventeen = timeline_of(17, 8);
  const std::vector<Index> fourteen = Qwen2VlFrames{.frames = 14}(seventeen, no_look);
  CHECK(fourteen.size() == 14);  // torch.arange(0, 17, 17 / 14) has a fifteenth, 17
  CHECK(fourteen.back() == 15);
  CHECK(Qwen2VlFrames{.frames = 30}(seventeen, no_look).size() == 16);
  CHECK(Qwen2VlFrames{}(timeline_of(1, 8), no_look) == std::vector<Index>{0});
  CHECK(Qwen3VlFrames{.frames = 30}(seventeen, no_look) == all(17));
  CHECK(Qwen3VlFrames{}(timeline_of(1, 8), no_look) == std::vector<Index>{0});
  CHECK(Qwen2VlFrames{}(VideoTimeline{}, no_look).empty());
  CHECK(Qwen3VlFrames{}(VideoTimeline{}, no_look).empty());
}

TEST_CASE("the rate of a video that states none is its frames by its duration") {
  VideoTimeline timeline = timeline_of(80, 10);
  timeline.frames_per_second = 0;
  CHECK(Qwen3VlFrames{}(timeline, no_look) == spread_evenly(80, 16));
}

TEST_CASE("a folder says how its videos are sampled") {
  const caprl::testing::TemporaryFolder folder;
  const auto write = [&](const std::string& json) { folder.file("video_preprocessor_config.json", json); };
  write(R"({"fps": 1.5, "min_frames": 6, "max_frames": 30, "temporal_patch_size": 3, "num_frames": null})");
  const Qwen2VlFrames sampler = load_qwen2_vl_frames(folder.path());
  CHECK(sampler.frames_per_second == 1.5);
  CHECK(sampler.minimum == 6);
  CHECK(sampler.maximum == 30);
  CHECK(sampler.frames_per_patch == 3);
  CHECK(!sampler.frames);
  write(R"({"num_frames": 12})");
  CHECK(load_qwen3_vl_frames(folder.path()).frames == Index{12});
  write(R"({"num_frames": 12, "fps": 2})");
  CHECK_THROWS_WITH_AS(load_qwen3_vl_frames(folder.path()), doctest::Contains("field fps: expected fps or num_frames"),
                       Error);
  write(R"({"min_frames": 12, "max_frames": 2})");
  CHECK_THROWS_WITH_AS(load_qwen3_vl_frames(folder.path()), doctest::Contains("field min_frames"), Error);
  write(R"({"fps": 0})");
  CHECK_THROWS_WITH_AS(load_qwen2_vl_frames(folder.path()), doctest::Contains("field fps"), Error);
}

TEST_CASE("key frames are thinned evenly") {
  const VideoTimeline timeline = timeline_of(100, 25, 10);
  CHECK(KeyFrames{.maximum = 10}(timeline, no_look) == std::vector<Index>{0, 10, 20, 30, 40, 50, 60, 70, 80, 90});
  CHECK(KeyFrames{.maximum = 4}(timeline, no_look) == std::vector<Index>{0, 30, 60, 90});
  VideoTimeline none = timeline;
  none.is_key.assign(100, false);
  CHECK(KeyFrames{}(none, no_look) == std::vector<Index>{0});
}

TEST_CASE("scene changes are where the picture jumps") {
  const VideoTimeline timeline = timeline_of(8, 2);
  Levels look({10, 12, 200, 201, 90, 91, 250, 20});
  const SceneChange every{.threshold = 0.1, .minimum_gap_seconds = 0, .maximum = 10};
  CHECK(every(timeline, look) == std::vector<Index>{0, 2, 4, 6, 7});
  CHECK(SceneChange{.threshold = 0.1, .minimum_gap_seconds = 1, .maximum = 10}(timeline, look) ==
        std::vector<Index>{0, 2, 4, 6});
  CHECK(SceneChange{.threshold = 0.1, .minimum_gap_seconds = 0, .maximum = 3}(timeline, look) ==
        std::vector<Index>{0, 2, 7});
  CHECK(SceneChange{.threshold = 0.1, .minimum_gap_seconds = 0, .maximum = 1}(timeline, look) == std::vector<Index>{0});
  CHECK(SceneChange{.threshold = 0.95, .minimum_gap_seconds = 0, .maximum = 9}(timeline, look) ==
        std::vector<Index>{0});
}

TEST_CASE("impossible settings are errors that name the setting") {
  const VideoTimeline timeline = timeline_of(8, 2);
  CHECK_THROWS_WITH_AS(Uniform{.frames = 0}(timeline, no_look), doctest::Contains("[Uniform] expected frames"), Error);
  CHECK_THROWS_WITH_AS(FixedRate{.frames_per_second = 0}(timeline, no_look), doctest::Contains("frames_per_second"),
                       Error);
  CHECK_THROWS_WITH_AS((FixedRate{.minimum = 5, .maximum = 4}(timeline, no_look)), doctest::Contains("minimum"), Error);
  CHECK_THROWS_WITH_AS(Qwen2VlFrames{.frames = 0}(timeline, no_look), doctest::Contains("[Qwen2VlFrames]"), Error);
  CHECK_THROWS_WITH_AS(Qwen2VlFrames{.frames_per_patch = 0}(timeline, no_look), doctest::Contains("frames_per_patch"),
                       Error);
  CHECK_THROWS_WITH_AS((Qwen3VlFrames{.minimum = 5, .maximum = 4}(timeline, no_look)), doctest::Contains("minimum"),
                       Error);
  CHECK_THROWS_WITH_AS(KeyFrames{.maximum = 0}(timeline, no_look), doctest::Contains("[KeyFrames]"), Error);
  CHECK_THROWS_WITH_AS(SceneChange{.maximum = 0}(timeline, no_look), doctest::Contains("[SceneChange]"), Error);
}
