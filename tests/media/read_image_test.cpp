#include "caprl/media/read_image.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/skipped.hpp"

using namespace caprl;

namespace {

const std::string data = CAPRL_TEST_DATA "/media/";

std::vector<std::uint8_t> bytes_of(const std::string& path) { return detail::read_bytes(path, 1 << 24); }

/// The largest difference of a channel value from the fixture beside the file; 256 where the sizes differ.
int largest_difference(const std::string& name) {
  const Image image = read_image(data + name);
  const std::vector<std::uint8_t> expected = bytes_of(data + name + ".rgb");
  if (image.rgb.size() != expected.size()) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(int{image.rgb[i]} - int{expected[i]}));
  }
  return largest;
}

/// What the error says, or "no error".
std::string problem_of(const std::vector<std::uint8_t>& bytes, const ReadImageSettings& settings = {}) {
  try {
    decode_image(bytes, "somewhere.img", settings);
  } catch (const Error& error) {
    CHECK(error.where() == "somewhere.img");
    return error.problem();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("every kind of PNG gives what Pillow gives") {
  for (const std::string name :
       {"rgb", "rgba", "grey", "grey_alpha", "palette", "palette_clear", "bilevel", "exif6", "rgb16", "rgba16"}) {
    CAPTURE(name);
    CHECK(largest_difference(name + ".png") == 0);
  }
}

TEST_CASE("16-bit grey keeps the high byte") {
  const Image image = read_image(data + "grey16.png"), eight = read_image(data + "rgb16.png");
  REQUIRE(image.size() == eight.size());
  for (Index y = 0; y < image.height; ++y) CHECK(image.pixel(y, 5)[0] == eight.pixel(y, 5)[1]);
}

TEST_CASE("JPEG agrees with Pillow within what decoders may differ, all orientations included") {
  for (const std::string name :
       {"baseline", "progressive", "grey", "exif1", "exif2", "exif3", "exif4", "exif5", "exif6", "exif7", "exif8"}) {
    CAPTURE(name);
    CHECK(largest_difference(name + ".jpg") <= 3);
  }
  CHECK(largest_difference("cmyk.jpg") <= 6);
  CHECK(read_image(data + "exif6.jpg").size() == ImageSize{35, 24});
}

TEST_CASE("a picture cut off anywhere is an error") {
  for (const std::string name : {"baseline.jpg", "progressive.jpg", "exif6.jpg", "rgb.png", "palette.png"}) {
    const std::vector<std::uint8_t> whole = bytes_of(data + name);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(name);
      CAPTURE(size);
      REQUIRE(problem_of({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}) != "no error");
    }
    CHECK(problem_of(whole) == "no error");
  }
  std::vector<std::uint8_t> half = bytes_of(data + "baseline.jpg");
  half.resize(half.size() / 2);
  CHECK(contains(problem_of(half), "cut off before its end marker"));
  half = bytes_of(data + "rgb.png");
  half.resize(half.size() / 2);
  CHECK(contains(problem_of(half), "cut off before its end chunk"));
}

TEST_CASE("damaged bytes never crash, and no damage to a PNG passes") {
  for (const std::string name :
       {"baseline.jpg", "progressive.jpg", "cmyk.jpg", "exif5.jpg", "rgba.png", "palette.png"}) {
    const std::vector<std::uint8_t> whole = bytes_of(data + name);
    int passed = 0;
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const int change : {0xFF, 0x01, 0x80}) {
        std::vector<std::uint8_t> damaged = whole;
        damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ change);
        passed += problem_of(damaged, {.maximum_pixels = 1 << 20}) == "no error" ? 1 : 0;
      }
    }
    CAPTURE(name);
    if (contains(name, ".png")) CHECK(passed == 0);  // both hold nothing but chunks that are read
  }
}

TEST_CASE("what is not a picture is an error that says so") {
  CHECK(problem_of({}) == "[read_image] expected a JPEG or PNG, got an empty file");
  CHECK(contains(problem_of({'G', 'I', 'F', '8', '9', 'a', 0, 0, 0}), "begins with the bytes 47 49 46 38 39 61 00 00"));
  CHECK(contains(problem_of({0xFF, 0xD8, 0xFF, 0xD9}), "with a picture in it"));
  CHECK_THROWS_WITH_AS(read_image("/nowhere/picture.png"),
                       doctest::Contains("No such file or directory\n  where: /nowhere/picture.png"), Error);
  CHECK_THROWS_AS(read_image(CAPRL_TEST_DATA), Error);
}

TEST_CASE("a JPEG's code tables are checked before they are believed") {
  std::vector<std::uint8_t> bytes = bytes_of(data + "baseline.jpg");
  const std::uint8_t marker[] = {0xFF, 0xC4};
  const auto table = std::search(bytes.begin(), bytes.end(), std::begin(marker), std::end(marker));
  REQUIRE(table != bytes.end());
  std::fill_n(table + 5, 16, std::uint8_t{200});
  CHECK(contains(problem_of(bytes), "code tables of at most 256 codes"));
}

TEST_CASE("a PNG's check sums are held") {
  std::vector<std::uint8_t> bytes = bytes_of(data + "rgb.png");
  bytes[bytes.size() / 2] ^= 0x10;
  CHECK(contains(problem_of(bytes), "whose check sums hold"));
  const std::vector<std::uint8_t> turned = bytes_of(data + "exif6.png");
  const std::string type = "eXIf";
  const auto chunk = std::search(turned.begin(), turned.end(), type.begin(), type.end()) - turned.begin();
  REQUIRE(problem_of(turned) == "no error");
  for (std::ptrdiff_t at = chunk + 4; at < chunk + 4 + 26 + 4; ++at) {  // its 26 bytes and their sum
    std::vector<std::uint8_t> damaged = turned;
    damaged[static_cast<std::size_t>(at)] ^= 0x01;
    CHECK(contains(problem_of(damaged), "whose check sums hold"));
  }
}

TEST_CASE("sizes are bounded before anything is decoded") {
  const std::vector<std::uint8_t> bytes = bytes_of(data + "rgb.png");
  CHECK(contains(problem_of(bytes, {.maximum_pixels = 619}), "expected at most 619 pixels, got 20 x 31"));
  CHECK(problem_of(bytes, {.maximum_pixels = 620}) == "no error");
  CHECK_THROWS_WITH_AS(read_image(data + "rgb.png", {.maximum_file_bytes = 10}), doctest::Contains("at most 10 bytes"),
                       Error);
}

TEST_CASE("compressed data beyond what the pixels call for are refused") {
  // The same header, then data chunks of 200,000 bytes with right sums.
  std::vector<std::uint8_t> bytes = bytes_of(data + "rgb.png");
  bytes.resize(8 + 25);
  std::vector<std::uint8_t> body = {'I', 'D', 'A', 'T'};
  body.resize(4 + 200000);
  const auto append_number = [&](std::uint32_t number) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(number >> shift));
  };
  append_number(200000);
  bytes.insert(bytes.end(), body.begin(), body.end());
  append_number(detail::png_crc(body));
  const std::vector<std::uint8_t> end = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xAE, 0x42, 0x60, 0x82};
  bytes.insert(bytes.end(), end.begin(), end.end());
  CHECK(contains(problem_of(bytes), "bytes of pixel data, got 200000"));
}

TEST_CASE("orientations compose as turns do") {
  const Image image = read_image(data + "rgb.png");
  CHECK(oriented(oriented(image, 6), 8) == image);
  CHECK(oriented(oriented(image, 6), 6) == oriented(image, 3));
  CHECK(oriented(oriented(image, 2), 3) == oriented(image, 4));
  CHECK(oriented(oriented(image, 5), 2) == oriented(image, 6));
  CHECK(oriented(oriented(image, 7), 7) == image);
  CHECK_THROWS_WITH_AS(oriented(image, 9), doctest::Contains("got 9"), Error);
}

TEST_CASE("damaged EXIF blocks mean no orientation") {
  const std::vector<std::uint8_t> good = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0};
  CHECK(exif_orientation(good) == 6);
  for (std::size_t size = 0; size < 20; ++size) CHECK(exif_orientation(std::span(good).first(size)) == 1);
  std::vector<std::uint8_t> far = good;
  far[4] = 0xFF;
  CHECK(exif_orientation(far) == 1);
  std::vector<std::uint8_t> odd = good;
  odd[19] = 9;
  CHECK(exif_orientation(odd) == 1);
}

TEST_CASE("photographs that we did not make") {
  const std::filesystem::path folder = "/usr/share/doc/opencv-doc/examples/data";
  if (!std::filesystem::exists(folder)) return report_skipped(folder.string() + " of Debian's opencv-doc");
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string kind = entry.path().extension().string();
    if (kind != ".jpg" && kind != ".png") continue;
    CAPTURE(entry.path().string());
    if (entry.file_size() > 200000) continue;
    const Image image = read_image(entry.path().string());
    CHECK(image.rgb.size() == static_cast<std::size_t>(image.size().pixels() * 3));
    ++read;
  }
  CHECK(read >= 12);
}
