#include "caprl/media/patches.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace caprl;

namespace {

Image numbered(Index height, Index width, int seed) {
  Image image(height, width);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>((i + seed) * 37 % 256);
  return image;
}

}  // namespace

TEST_CASE("each value of a patch is its pixel's, normalised, in rows by (frame, y, x) and columns by (channel, y, x)") {
  const PatchSettings settings{.patch_pixels = 4, .mean = {0.1f, 0.2f, 0.3f}, .deviation = {0.5f, 0.25f, 2.0f}};
  const std::vector<Image> images = {numbered(8, 12, 0), numbered(8, 12, 91)};
  const Index pitch = 50;  // wider than the 48 columns
  std::vector<float> values(static_cast<std::size_t>(12 * pitch), -7.0f);
  write_patches(images, settings, {values.data(), 12, 48, pitch});
  for (Index frame = 0; frame < 2; ++frame) {
    for (Index y = 0; y < 8; ++y) {
      for (Index x = 0; x < 12; ++x) {
        for (Index c = 0; c < 3; ++c) {
          const Index row = frame * 6 + y / 4 * 3 + x / 4, column = c * 16 + y % 4 * 4 + x % 4;
          const auto at = static_cast<std::size_t>(c);
          const double expected = (images[static_cast<std::size_t>(frame)].pixel(y, x)[c] / 255.0 -
                                   static_cast<double>(settings.mean[at])) /
                                  static_cast<double>(settings.deviation[at]);
          REQUIRE(values[static_cast<std::size_t>(row * pitch + column)] == doctest::Approx(expected).epsilon(1e-5));
        }
      }
    }
  }
  for (Index row = 0; row < 12; ++row) CHECK(values[static_cast<std::size_t>(row * pitch + 48)] == -7.0f);
}

TEST_CASE("shapes that do not fit are errors") {
  const PatchSettings settings{.patch_pixels = 4};
  std::vector<float> values(1000);
  CHECK(patch_grid({8, 12}, settings) == ImageSize{2, 3});
  CHECK_THROWS_WITH_AS(patch_grid({8, 10}, settings), doctest::Contains("patch of 4 pixels, got 8 x 10"), Error);
  CHECK_THROWS_WITH_AS(write_patches(numbered(8, 8, 0), settings, {values.data(), 3, 48, 48}),
                       doctest::Contains("expected rows [4, 48], got [3, 48]"), Error);
  const std::vector<Image> mixed = {numbered(8, 8, 0), numbered(8, 4, 0)};
  CHECK_THROWS_WITH_AS(write_patches(mixed, settings, {values.data(), 6, 48, 48}),
                       doctest::Contains("pictures of one size"), Error);
}
