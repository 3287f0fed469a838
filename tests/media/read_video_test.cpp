#include "caprl/media/read_video.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "support/video_files.hpp"

using namespace caprl;

namespace {

double mean_difference(const Image& a, const Image& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]});
  return sum / static_cast<double>(a.rgb.size());
}

std::vector<Index> all_of(const VideoReader& reader) {
  std::vector<Index> numbers(static_cast<std::size_t>(reader.timeline().frames()));
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<Index>(i);
  return numbers;
}

/// The frames in one pass, decoded in order.
std::vector<Image> sequential(const std::string& path, const std::vector<Index>& numbers, int threads = 1,
                              ImageSize target = {}) {
  VideoReader reader(path, {.threads = threads});
  std::vector<Image> images;
  reader.for_each_frame(
      numbers, [&](Index, double, const Image& image) { images.push_back(image); }, target);
  return images;
}

/// The timeline is ffprobe's, and any frame reached by a jump is the one of sequential decoding.
void check_against_ffprobe(const std::string& path, ImageSize target = {}) {
  CAPTURE(path);
  VideoReader reader(path, {.threads = 2});
  const std::vector<double> expected = ffprobe_times(path);
  const VideoTimeline& timeline = reader.timeline();
  REQUIRE(timeline.seconds.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    REQUIRE(std::abs(timeline.seconds[i] - (expected[i] - expected[0])) < 2e-6);
  }
  CHECK(timeline.duration_seconds > timeline.seconds.back());
  const std::vector<Image> images = sequential(path, all_of(reader), 2, target);
  const Index count = timeline.frames();
  for (const Index number : {count / 2, Index{0}, count - 1, count / 3, count / 3 + 1, count / 4}) {
    CAPTURE(number);
    CHECK(reader.frame(number, target) == images[static_cast<std::size_t>(number)]);
  }
  std::vector<Index> some;
  for (Index number = 1; number < count; number += 1 + number % 17) some.push_back(number);
  std::size_t seen = 0;
  reader.for_each_frame(
      some,
      [&](Index number, double seconds, const Image& image) {
        CHECK(number == some[seen++]);
        CHECK(seconds == timeline.seconds[static_cast<std::size_t>(number)]);
        CHECK(image == images[static_cast<std::size_t>(number)]);
      },
      target);
  CHECK(seen == some.size());
}

std::string problem_of(const std::string& path) {
  try {
    VideoReader reader(path, {.threads = 1});
    reader.for_each_frame(all_of(reader), [](Index, double, const Image&) {});
  } catch (const Error& error) {
    CHECK(error.where() == path);
    return error.problem();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

const std::string moving = "-f lavfi -i testsrc2=s=96x64:r=30:d=2 -pix_fmt yuv420p ";

}  // namespace

#define REQUIRE_FFMPEG() \
  if (!have_ffmpeg()) return

TEST_CASE("times and frames agree with ffprobe and with sequential decoding") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const std::string reordered = files.make("b.mp4", moving + "-c:v libx264 -bf 3 -b_strategy 0 -g 25");
  check_against_ffprobe(reordered);
  check_against_ffprobe(
      files.make("open.mp4", moving + "-c:v libx264 -bf 3 -g 20 -x264-params open-gop=1:b-pyramid=2"));
  check_against_ffprobe(files.make("intra.mp4", moving + "-c:v libx264 -g 1"));
  check_against_ffprobe(files.make("long.mp4", moving + "-c:v libx264 -g 250 -bf 2"));
  check_against_ffprobe(files.make("part4.mp4", moving + "-c:v mpeg4 -bf 2 -g 20"));
  check_against_ffprobe(files.make("motion.avi", moving + "-c:v mjpeg"));
  check_against_ffprobe(files.make("vp9.webm", moving + "-c:v libvpx-vp9 -deadline realtime -g 30"));
  check_against_ffprobe(files.make("vp8.webm", moving + "-c:v libvpx -auto-alt-ref 1 -lag-in-frames 12 -g 30"));
  for (const std::string name : {"copy.mkv", "copy.ts", "copy.mov"}) {
    check_against_ffprobe(files.make(name, "-i " + reordered + " -c copy"));
  }
}

TEST_CASE("uneven frame times, edit lists and late starts count from the first frame shown") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const std::string uneven = files.make(
      "vfr.mp4",
      moving +
          "-vf \"setpts='(N*N*0.01+N)/30/TB',select='not(eq(mod(n,7),3))'\" -fps_mode vfr -c:v libx264 -bf 2 -g 15");
  check_against_ffprobe(uneven);
  CHECK(VideoReader(uneven).timeline().seconds[0] == 0.0);
  check_against_ffprobe(files.make("late.ts", moving + "-c:v libx264 -bf 2 -g 15 -output_ts_offset 100"));
  const std::string source = files.make("source.mp4", moving + "-c:v libx264 -bf 3 -g 30");
  const std::string cut = files.make("edit.mp4", "-ss 0.5 -i " + source + " -c copy");
  check_against_ffprobe(cut);
  // What the edit list hides is not shown: the first frame is the one of the source at 0.5 s.
  VideoReader whole(source), edited(cut);
  CHECK(edited.frame(0) == whole.frame(15));
}

TEST_CASE("files whose packets do not tell their times are counted") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const std::string source = files.make("b.mp4", moving + "-c:v libx264 -bf 2 -g 30");
  for (const std::string name : {"counted.avi", "counted.h264"}) {
    const std::string path = files.make(name, "-i " + source + " -c copy");
    CAPTURE(path);
    VideoReader reader(path), known(source);
    REQUIRE(reader.timeline().frames() == 60);
    CHECK(reader.timeline().seconds[30] == doctest::Approx(1.0).epsilon(0.001));
    CHECK(reader.timeline().duration_seconds == doctest::Approx(2.0).epsilon(0.001));
    CHECK(reader.timeline().frames_per_second == doctest::Approx(30).epsilon(0.01));
    for (const Index number : {50, 10, 11, 59, 0}) CHECK(reader.frame(number) == known.frame(number));
  }
}

TEST_CASE("key frames are those that ffprobe calls so, and decode alone") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const std::string path = files.make("b.mp4", moving + "-c:v libx264 -bf 2 -g 20 -sc_threshold 0");
  VideoReader reader(path);
  std::vector<Index> keys;
  for (const Index frame : all_of(reader)) {
    if (reader.timeline().is_key[static_cast<std::size_t>(frame)]) keys.push_back(frame);
  }
  CHECK(keys == std::vector<Index>{0, 20, 40});
  const std::vector<Image> images = sequential(path, all_of(reader));
  reader.for_each_frame(keys, [&](Index number, double, const Image& image) {
    CHECK(image == images[static_cast<std::size_t>(number)]);
  });
}

TEST_CASE("the thread count changes no pixel") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const std::string path = files.make("b.mp4", moving + "-c:v libx264 -bf 2 -g 20");
  const std::vector<Index> numbers = {3, 4, 17, 44, 50};
  CHECK(sequential(path, numbers, 1) == sequential(path, numbers, 4));
}

TEST_CASE("display matrices turn frames as ffmpeg turns them") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const std::string plain =
      files.make("plain.mp4", "-f lavfi -i testsrc=s=96x64:r=5:d=1 -pix_fmt yuv420p -c:v libx264 -qp 0");
  for (const int degrees : {90, 180, 270}) {
    CAPTURE(degrees);
    const std::string turned = files.make("turned" + std::to_string(degrees) + ".mp4",
                                          "-i " + plain + " -c copy -metadata:s:v:0 rotate=" + std::to_string(degrees));
    VideoReader reader(turned);
    CHECK(reader.size() == (degrees == 180 ? ImageSize{64, 96} : ImageSize{96, 64}));
    const Image image = reader.frame(2);
    CHECK(image.size() == reader.size());
    CHECK(mean_difference(image, files.ffmpeg_frame(turned, 2, reader.size())) < 2);
    CHECK(reader.frame(2, {30, 20}).size() == ImageSize{30, 20});
  }
}

TEST_CASE("every display matrix means the turn that it maps by") {
  const auto matrix = [](std::int32_t a, std::int32_t b, std::int32_t c, std::int32_t d) {
    const std::int32_t one = 1 << 16;
    const std::int32_t values[9] = {a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30};
    return detail::orientation_of(values);
  };
  CHECK(matrix(1, 0, 0, 1) == 1);
  CHECK(matrix(-1, 0, 0, 1) == 2);
  CHECK(matrix(-1, 0, 0, -1) == 3);
  CHECK(matrix(1, 0, 0, -1) == 4);
  CHECK(matrix(0, 1, 1, 0) == 5);
  CHECK(matrix(0, 1, -1, 0) == 6);
  CHECK(matrix(0, -1, -1, 0) == 7);
  CHECK(matrix(0, -1, 1, 0) == 8);
}

TEST_CASE("colours are those of the stream's matrix and range") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  struct Case {
    std::string name, matrix, range;
    double red_weight, blue_weight;
    bool full;
  };
  const std::vector<Case> cases = {{"601l", "smpte170m", "tv", 0.299, 0.114, false},
                                   {"601f", "smpte170m", "pc", 0.299, 0.114, true},
                                   {"709l", "bt709", "tv", 0.2126, 0.0722, false},
                                   {"709f", "bt709", "pc", 0.2126, 0.0722, true}};
  const double luma = 120, cb = 100, cr = 170;
  for (const Case& it : cases) {
    CAPTURE(it.name);
    const std::string path =
        files.make(it.name + ".mp4",
                   "-f lavfi -i color=black:s=64x64:r=5:d=1,format=yuv444p,geq=lum=120:cb=100:cr=170 -c:v libx264 -qp "
                   "0 -colorspace " +
                       it.matrix + " -color_range " + it.range);
    const double y = it.full ? luma / 255 : (luma - 16) / 219, scale = it.full ? 255 : 224;
    const double red = y + 2 * (1 - it.red_weight) * (cr - 128) / scale;
    const double blue = y + 2 * (1 - it.blue_weight) * (cb - 128) / scale;
    const double green = (y - it.red_weight * red - it.blue_weight * blue) / (1 - it.red_weight - it.blue_weight);
    const Image image = VideoReader(path).frame(1);
    CHECK(image.pixel(30, 30)[0] == doctest::Approx(255 * red).epsilon(0.01));
    CHECK(image.pixel(30, 30)[1] == doctest::Approx(255 * green).epsilon(0.01));
    CHECK(image.pixel(30, 30)[2] == doctest::Approx(255 * blue).epsilon(0.01));
  }
}

TEST_CASE("a target size comes out, near what a resize of the whole frame gives") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const std::string path =
      files.make("big.mp4", "-f lavfi -i testsrc=s=321x201:r=5:d=1 -pix_fmt yuv444p -c:v libx264 -qp 0");
  VideoReader reader(path);
  CHECK(reader.size() == ImageSize{201, 321});
  const Image small = reader.frame(1, {48, 80});
  CHECK(small.size() == ImageSize{48, 80});
  CHECK(mean_difference(small, files.ffmpeg_frame(path, 1, {48, 80})) < 2);
  CHECK_THROWS_WITH_AS(reader.frame(1, {-1, 5}), doctest::Contains("at least 1 x 1"), Error);
}

TEST_CASE("frames that are not there are errors") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  VideoReader reader(files.make("b.mp4", moving + "-c:v libx264"));
  const auto nothing = [](Index, double, const Image&) {};
  CHECK_THROWS_WITH_AS(reader.frame(60), doctest::Contains("expected a frame in [0, 60), got 60"), Error);
  CHECK_THROWS_AS(reader.frame(-1), Error);
  const std::vector<Index> falling = {5, 5};
  CHECK_THROWS_WITH_AS(reader.for_each_frame(falling, nothing), doctest::Contains("rise strictly"), Error);
}

TEST_CASE("files cut off, empty or without video are errors that name file and reason") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  CHECK(contains(problem_of(files.write("zero.mp4", "")), "got an empty file"));
  CHECK(contains(problem_of("/nowhere/clip.mp4"), "No such file or directory"));
  CHECK(contains(problem_of(files.write("text.mp4", std::string(5000, 'x'))), "expected a video file"));
  CHECK(contains(problem_of(files.make("sound.mp4", "-f lavfi -i sine=d=1")), "expected a video stream, got none"));
  const std::string late = files.make("late.mp4", moving + "-c:v libx264");
  const std::string fast = files.make("fast.mp4", moving + "-c:v libx264 -movflags faststart");
  const std::string matroska = files.make("whole.mkv", moving + "-c:v libx264");
  const std::string avi = files.make("whole.avi", moving + "-c:v mjpeg");
  for (const std::string& path : {late, fast, matroska, avi}) {
    CAPTURE(path);
    CHECK(problem_of(path) == "no error");
    // An AVI's last hundredth is its index: without it, all frames are still there.
    for (const double share : {path == avi ? 0.9 : 0.99, 0.7, 0.4}) {
      CHECK(contains(problem_of(files.cut(path, share)), "[VideoReader] expected"));
    }
  }
  CHECK(contains(problem_of(files.cut(late, 0.7)), "moov atom not found"));
  CHECK(contains(problem_of(files.cut(fast, 0.7)), "cut off"));
  CHECK(contains(problem_of(files.make("none.avi", moving + "-c:v mjpeg -frames:v 0")), "[VideoReader] expected"));
}

TEST_CASE("a damaged frame is an error however often it is asked for") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const std::string path = files.make("b.mp4", moving + "-c:v libx264 -bf 2 -g 30 -movflags faststart");
  int damaged_frames = 0;
  for (int seed = 0; seed < 4; ++seed) {
    VideoReader reader(files.damage(path, seed), {.threads = 1});
    for (Index number = 0; number < reader.timeline().frames(); ++number) {
      const auto fails = [&] {
        try {
          reader.frame(number);
          return false;
        } catch (const Error&) {
          return true;
        }
      };
      if (!fails()) continue;
      ++damaged_frames;
      CHECK(fails());
    }
  }
  CHECK(damaged_frames > 10);
}

TEST_CASE("damaged packets never crash, and a frame that they spoil is an error") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const std::string path = files.make("b.mp4", moving + "-c:v libx264 -bf 2 -g 30 -movflags faststart");
  int errors = 0;
  for (int seed = 0; seed < 12; ++seed) {
    const std::string damaged = files.damage(path, seed);
    errors += problem_of(damaged) != "no error" ? 1 : 0;
    VideoReader reader(damaged, {.threads = 1, .accept_damaged = true});
    Index shown = 0;
    reader.for_each_frame(all_of(reader),
                          [&](Index, double, const Image& image) { shown += image.size() == reader.size() ? 1 : 0; });
    CHECK(shown == 60);
  }
  CHECK(errors >= 8);
}

TEST_CASE("memory does not grow with the length of a clip") {
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const auto peak_kilobytes = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const std::string common = "-pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 50";
  const auto read_all = [&](const std::string& path) {
    VideoReader reader(path, {.threads = 1});
    reader.for_each_frame(all_of(reader), [](Index, double, const Image&) {});
  };
  const std::string brief = files.make("short.mp4", "-f lavfi -i testsrc2=s=320x240:r=25:d=2 " + common);
  read_all(brief);
  const auto before = peak_kilobytes();
  read_all(files.make("long.mp4", "-stream_loop 15 -i " + brief + " -c copy"));
  CHECK(peak_kilobytes() - before < 20000);  // 750 more frames would be 170,000
}

TEST_CASE("clips that we did not make") {
  const std::filesystem::path examples = "/usr/share/doc/opencv-doc";
  REQUIRE_FFMPEG();
  const VideoFiles files;
  const std::string data = (examples / "examples/data").string();
  for (const std::string name : {"tree.avi", "Megamind.avi", "vtest.avi"}) {
    const std::string path = data + "/" + name;
    if (!have_found_file(path)) continue;
    CAPTURE(path);
    VideoReader reader(path, {.threads = 2});
    const Index count = reader.timeline().frames();
    CHECK(count == (name == "tree.avi" ? 68 : name == "vtest.avi" ? 795 : 270));
    const std::vector<Index> numbers = {0, 31, 45};
    std::vector<Image> images;
    reader.for_each_frame(numbers, [&](Index, double, const Image& image) { images.push_back(image); }, {64, 96});
    CHECK(reader.frame(numbers[1], {64, 96}) == images[1]);
    CHECK(mean_difference(images[1], files.ffmpeg_frame(path, numbers[1], {64, 96})) < 3);
  }
  const std::string flawed = (examples / "opencv4/html/box.mp4.gz").string();
  if (have_found_file(flawed)) {  // a telephone's recording with one packet that does not decode
    const std::string path = files.unpack(flawed, "box.mp4");
    VideoReader strict(path), lenient(path, {.accept_damaged = true});
    CHECK_THROWS_WITH_AS(strict.frame(85, {48, 64}), doctest::Contains("expected frame 85 at 2.837"), Error);
    CHECK(lenient.frame(85, {48, 64}) == strict.frame(84, {48, 64}));
  }
  const std::string packed = (examples / "opencv4/html/cup.mp4.gz").string();
  if (have_found_file(packed)) check_against_ffprobe(files.unpack(packed, "cup.mp4"), {48, 64});
}
