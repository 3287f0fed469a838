#pragma once

#include <array>
#include <cmath>

#include "world/pixels.hpp"
#include "world/scene.hpp"

namespace world {

inline constexpr std::array<Colour, 8> object_colours = {{{0.86f, 0.12f, 0.12f},
                                                          {0.98f, 0.52f, 0.05f},
                                                          {0.97f, 0.90f, 0.15f},
                                                          {0.13f, 0.62f, 0.20f},
                                                          {0.15f, 0.85f, 0.88f},
                                                          {0.12f, 0.30f, 0.95f},
                                                          {0.52f, 0.13f, 0.72f},
                                                          {0.98f, 0.45f, 0.72f}}};
inline constexpr std::array<Colour, 6> background_colours = {{{0.06f, 0.06f, 0.07f},
                                                              {0.50f, 0.51f, 0.52f},
                                                              {0.93f, 0.93f, 0.92f},
                                                              {0.36f, 0.22f, 0.12f},
                                                              {0.07f, 0.11f, 0.30f},
                                                              {0.80f, 0.71f, 0.55f}}};

namespace detail {

/// Five-pointed star: inside if the point lies inside the radius of its boundary along its direction.
inline bool inside_star(float x, float y) {
  constexpr float sector = 0.62831853f;  // a tenth of a turn: from a point of the star to its notch
  constexpr float notch = 0.48f;
  const float angle = std::atan2(x, -y) + 6.2831853f;
  float turn = std::fmod(angle, 2.0f * sector);
  if (turn > sector) turn = 2.0f * sector - turn;
  const float radius = std::sqrt(x * x + y * y);
  const float px = radius * std::cos(turn), py = radius * std::sin(turn);
  const float nx = notch * std::cos(sector), ny = notch * std::sin(sector);
  return (px - 1.0f) * ny - py * (nx - 1.0f) < 0.0f;  // inner side of the edge from (1, 0) to the notch
}

}  // namespace detail

/// Whether a point lies in the shape; coordinates in units of the object's radius, y downwards.
inline bool inside_shape(int shape, float x, float y) {
  const float ax = std::abs(x), ay = std::abs(y);
  switch (shape) {
    case 0:
      return x * x + y * y < 0.9f;
    case 1:
      return ax < 0.83f && ay < 0.83f;
    case 2:
      return y < 0.78f && ax < (y + 1.0f) * 0.57f;
    case 3:
      return detail::inside_star(x / 1.1f, (y - 0.08f) / 1.1f);
    case 4:
      return (ax < 0.33f && ay < 1.0f) || (ay < 0.33f && ax < 1.0f);
    default:
      return ax / 0.72f + ay / 1.08f < 1.0f;
  }
}

/// What a point of an object shows: its colour, the texture's second colour, or the background through the hole.
enum class Paint { own, second, none };

/// The texture at a point (units of pixels from the object's centre, and of its radius).
inline Paint texture_at(int texture, int shape, float px, float py, float radius) {
  switch (texture) {
    case 1: {  // dark stripes, two of every four pixels
      const float phase = py / 4.0f + 0.25f;
      return phase - std::floor(phase) < 0.5f ? Paint::own : Paint::second;
    }
    case 2: {  // white dots on a lattice, away from the outline so that it stays whole on a white background
      constexpr float pitch = 3.7f;
      const float u = px / pitch + 0.5f, v = py / pitch + 0.5f;
      const float du = (u - std::floor(u) - 0.5f) * pitch, dv = (v - std::floor(v) - 0.5f) * pitch;
      const bool dot = du * du + dv * dv < 1.45f;
      return dot && inside_shape(shape, px / (radius * 0.85f), py / (radius * 0.85f)) ? Paint::second : Paint::own;
    }
    case 3:
      return inside_shape(shape, px / (radius * 0.55f), py / (radius * 0.55f)) ? Paint::none : Paint::own;
    default:
      return Paint::own;
  }
}

}  // namespace world
