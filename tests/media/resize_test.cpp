#include "caprl/media/resize.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

using namespace caprl;

namespace {

Image fixture(const std::string& name, ImageSize size) {
  std::ifstream file(CAPRL_TEST_DATA "/media/" + name + ".rgb", std::ios::binary);
  Image image(size.height, size.width);
  image.rgb.assign(std::istreambuf_iterator<char>(file), {});
  REQUIRE(image.rgb.size() == static_cast<std::size_t>(size.pixels() * 3));
  return image;
}

int largest_difference(const Image& a, const Image& b) {
  REQUIRE(a.size() == b.size());
  int largest = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) largest = std::max(largest, std::abs(int{a.rgb[i]} - int{b.rgb[i]}));
  return largest;
}

}  // namespace

TEST_CASE("resizing agrees with Pillow, to the bit but where one axis grows and the other shrinks") {
  const Image source = fixture("resize_source", {37, 53});
  for (const ImageSize to : {ImageSize{11, 20}, {71, 90}, {9, 53}, {37, 7}, {1, 1}, {5, 64}}) {
    const std::string size = std::to_string(to.height) + "x" + std::to_string(to.width);
    CAPTURE(size);
    const int allowed = to == ImageSize{5, 64} ? 1 : 0;
    CHECK(largest_difference(resize(source, to, ResizeFilter::bilinear), fixture("resize_bilinear_" + size, to)) <=
          allowed);
    CHECK(largest_difference(resize(source, to, ResizeFilter::bicubic), fixture("resize_bicubic_" + size, to)) <=
          allowed);
  }
}

TEST_CASE("one size to itself changes nothing, and flat pictures stay flat") {
  const Image source = fixture("resize_source", {37, 53});
  CHECK(resize(source, {37, 53}) == source);
  Image flat(400, 300);
  std::fill(flat.rgb.begin(), flat.rgb.end(), std::uint8_t{255});
  const Image resized = resize(flat, {130, 611});
  CHECK(std::all_of(resized.rgb.begin(), resized.rgb.end(), [](std::uint8_t value) { return value == 255; }));
}

TEST_CASE("the thread count does not change a byte") {
  Image image(301, 407);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i * 2654435761u >> 13);
  const int before = threads();
  set_threads(1);
  const Image one = resize(image, {100, 333});
  set_threads(3);
  CHECK(resize(image, {100, 333}) == one);
  set_threads(before);
}

TEST_CASE("impossible sizes are errors") {
  const Image image(4, 4);
  CHECK_THROWS_WITH_AS(resize(image, {0, 4}), doctest::Contains("got 4 x 4 to 0 x 4"), Error);
  CHECK_THROWS_WITH_AS(Resizer({5, 4}, {2, 2})(image), doctest::Contains("expected a picture of 5 x 4, got 4 x 4"),
                       Error);
}
