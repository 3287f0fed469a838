// A second translation unit that includes the reader, after stb_image itself: both must live in one program.
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STB_IMAGE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>
#pragma GCC diagnostic pop
#include <doctest/doctest.h>

#include "caprl/media/read_image.hpp"

TEST_CASE("the reader lives beside the program's own stb_image") {
  const std::string path = CAPRL_TEST_DATA "/media/rgb.png";
  int width = 0, height = 0, channels = 0;
  stbi_uc* pixels = stbi_load(path.c_str(), &width, &height, &channels, 3);
  REQUIRE(pixels != nullptr);
  const caprl::Image image = caprl::read_image(path);
  CHECK(std::equal(image.rgb.begin(), image.rgb.end(), pixels));
  stbi_image_free(pixels);
}
