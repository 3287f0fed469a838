#include "caprl/data/read_durations.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "support/video_files.hpp"

using namespace caprl;

TEST_CASE("items know how long their videos are") {
  if (!have_ffmpeg()) return;
  const VideoFiles files;
  const std::string clip = files.make("clip.mp4", "-f lavfi -i testsrc2=s=64x48:r=10:d=1.5 -pix_fmt yuv420p");
  std::vector<CaptionItem> items(3);
  items[0].media = {{MediaKind::image, "a.png"}, {MediaKind::video, clip}};
  items[1].media = {{MediaKind::image, "a.png"}};
  read_durations(items);
  CHECK(items[0].duration_seconds == doctest::Approx(1.5));
  CHECK(items[1].duration_seconds == 0);
  CHECK(items[2].duration_seconds == 0);
  items[1].media.push_back({MediaKind::video, "/nowhere.mp4"});
  CHECK_THROWS_WITH_AS(read_durations(items), doctest::Contains("/nowhere.mp4"), Error);
}
