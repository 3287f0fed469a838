#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace world {

/// Linear colour, 0 to 1 each.
using Colour = std::array<float, 3>;

/// A square canvas of floats, [size, size, 3], on which scenes are painted.
struct Canvas {
  explicit Canvas(int pixels) : size(pixels), value(static_cast<std::size_t>(pixels) * pixels) {}

  Colour& at(int row, int column) { return value[static_cast<std::size_t>(row) * size + column]; }
  const Colour& at(int row, int column) const { return value[static_cast<std::size_t>(row) * size + column]; }

  int size;
  std::vector<Colour> value;
};

/// 8-bit RGB, [height, width, 3], as files hold it.
struct Picture {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;
};

inline Picture to_picture(const Canvas& canvas) {
  Picture picture{canvas.size, canvas.size, {}};
  picture.rgb.reserve(canvas.value.size() * 3);
  for (const Colour& colour : canvas.value) {
    for (const float channel : colour) {
      picture.rgb.push_back(static_cast<std::uint8_t>(std::clamp(channel * 255.0f + 0.5f, 0.0f, 255.0f)));
    }
  }
  return picture;
}

inline Colour blend(const Colour& below, const Colour& above, float share) {
  Colour mixed;
  for (std::size_t i = 0; i < 3; ++i) mixed[i] = below[i] + (above[i] - below[i]) * share;
  return mixed;
}

}  // namespace world
