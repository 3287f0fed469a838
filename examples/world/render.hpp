#pragma once

#include <array>
#include <cmath>
#include <vector>

#include "world/pixels.hpp"
#include "world/scene.hpp"
#include "world/shapes.hpp"

namespace world {

/// One object as it is painted: where its centre is (units of the picture's side) and in what colour.
struct Sprite {
  int shape = 0;
  int colour = 0;
  int size = 0;
  int texture = 0;
  float x = 0, y = 0;
};

/// Everything seen that is no fact, drawn from `Scene::look`.
struct Look {
  struct Jitter {
    float x, y;        // units of the picture's side
    float turn;        // radians
    float scale;       // about 1
    float brightness;  // about 1
  };
  int pattern = 0;  // of the background: flat, gradient, checks, bands
  float pattern_angle = 0, pattern_strength = 0;
  float light_angle = 0, light_strength = 0;
  float noise = 0;  // standard deviation
  std::array<Jitter, 4> jitter{};
};

inline Look draw_look(const Scene& scene) {
  RandomStream random({.seed = scene.look, .purpose = caprl::Purpose::example, .step = 1});
  const auto between = [&](double low, double high) { return static_cast<float>(random.uniform(low, high)); };
  Look look;
  look.pattern = draw_below(random, 4);
  look.pattern_angle = between(0, 6.2832);
  look.pattern_strength = between(0.03, 0.07);
  look.light_angle = between(0, 6.2832);
  look.light_strength = between(0.0, 0.22);
  look.noise = between(0.01, 0.035);
  for (Look::Jitter& jitter : look.jitter) {
    jitter = {between(-0.02, 0.02), between(-0.02, 0.02), between(-0.12, 0.12), between(0.95, 1.05),
              between(0.9, 1.05)};
  }
  return look;
}

/// The centre of a cell of the grid, in units of the picture's side.
inline std::array<float, 2> cell_centre(int place) {
  return {(static_cast<float>(place % 3) + 0.5f) / 3.0f, (static_cast<float>(place / 3) + 0.5f) / 3.0f};
}

/// Radius of an object in units of the picture's side: about 10 and 14 pixels across at 48 pixels.
inline float radius_of(int size) { return size == 0 ? 0.105f : 0.15f; }

inline std::vector<Sprite> sprites_of(const Scene& scene) {
  std::vector<Sprite> sprites;
  for (const Object& object : scene.objects) {
    const auto [x, y] = cell_centre(object[Attribute::place]);
    sprites.push_back({object[Attribute::shape], object[Attribute::colour], object[Attribute::size],
                       object[Attribute::texture], x, y});
  }
  return sprites;
}

namespace detail {

/// Patterns are weak changes of brightness: the background's colour stays the fact that it is.
inline float pattern_at(const Look& look, float x, float y) {
  const float along = x * std::cos(look.pattern_angle) + y * std::sin(look.pattern_angle);
  switch (look.pattern) {
    case 1:
      return along * 1.5f - 0.7f;
    case 2:
      return ((static_cast<int>(x * 8) + static_cast<int>(y * 8)) & 1) != 0 ? 0.7f : -0.7f;
    case 3:
      return 0.8f * std::sin(along * 16.0f);
    default:
      return 0.0f;
  }
}

inline void paint_background(Canvas& canvas, const Scene& scene, const Look& look) {
  const Colour& base = background_colours[static_cast<std::size_t>(scene.background)];
  for (int row = 0; row < canvas.size; ++row) {
    for (int column = 0; column < canvas.size; ++column) {
      const float x = (static_cast<float>(column) + 0.5f) / static_cast<float>(canvas.size);
      const float y = (static_cast<float>(row) + 0.5f) / static_cast<float>(canvas.size);
      const float shift = look.pattern_strength * pattern_at(look, x, y);
      canvas.at(row, column) = {base[0] + shift, base[1] + shift, base[2] + shift};
    }
  }
}

/// Coverage by 4 x 4 samples a pixel. Textures are laid out in pixels of a 48-pixel picture, whatever the size.
inline void paint_sprite(Canvas& canvas, const Sprite& sprite, const Look::Jitter& jitter) {
  constexpr int samples = 4;
  const float side = static_cast<float>(canvas.size);
  const float unit = side / 48.0f;
  const float radius = radius_of(sprite.size) * jitter.scale * side;
  const float cx = (sprite.x + jitter.x) * side, cy = (sprite.y + jitter.y) * side;
  const float cosine = std::cos(jitter.turn), sine = std::sin(jitter.turn);
  Colour own = object_colours[static_cast<std::size_t>(sprite.colour)];
  for (float& channel : own) channel *= jitter.brightness;
  const Colour second = blend(own, sprite.texture == 1 ? Colour{0, 0, 0} : Colour{1, 1, 1}, 0.8f);
  const auto clip = [&](float x) { return std::clamp(static_cast<int>(x), 0, canvas.size); };
  const float reach = radius * 1.25f + 1.0f;
  for (int row = clip(cy - reach); row < clip(cy + reach + 1.0f); ++row) {
    for (int column = clip(cx - reach); column < clip(cx + reach + 1.0f); ++column) {
      int hits_own = 0, hits_second = 0;
      for (int sample = 0; sample < samples * samples; ++sample) {
        const float sx = static_cast<float>(column) + (static_cast<float>(sample % samples) + 0.5f) / samples - cx;
        const float sy = static_cast<float>(row) + (static_cast<float>(sample / samples) + 0.5f) / samples - cy;
        const float px = sx * cosine + sy * sine, py = sy * cosine - sx * sine;
        if (!inside_shape(sprite.shape, px / radius, py / radius)) continue;
        const Paint paint = texture_at(sprite.texture, sprite.shape, px / unit, py / unit, radius / unit);
        hits_own += paint == Paint::own;
        hits_second += paint == Paint::second;
      }
      const int hits = hits_own + hits_second;
      if (hits == 0) continue;
      const Colour colour = blend(own, second, static_cast<float>(hits_second) / static_cast<float>(hits));
      Colour& pixel = canvas.at(row, column);
      pixel = blend(pixel, colour, static_cast<float>(hits) / (samples * samples));
    }
  }
}

/// A sum of eight bytes of random bits: near enough to normal, mean 0, standard deviation 1.
inline float cheap_normal(std::uint64_t bits) {
  int sum = 0;
  for (int byte = 0; byte < 8; ++byte) sum += static_cast<int>(bits >> (8 * byte) & 255u);
  return (static_cast<float>(sum) - 1020.0f) / 209.02f;
}

inline void light_and_noise(Canvas& canvas, const Scene& scene, const Look& look, int frame) {
  RandomStream random(
      {.seed = scene.look, .purpose = caprl::Purpose::example, .step = 2, .item = static_cast<std::uint32_t>(frame)});
  const float lx = look.light_strength * std::cos(look.light_angle);
  const float ly = look.light_strength * std::sin(look.light_angle);
  for (int row = 0; row < canvas.size; ++row) {
    for (int column = 0; column < canvas.size; ++column) {
      const float x = static_cast<float>(column) / static_cast<float>(canvas.size) - 0.5f;
      const float y = static_cast<float>(row) / static_cast<float>(canvas.size) - 0.5f;
      const float light = 1.0f + 2.0f * (lx * x + ly * y);
      for (float& channel : canvas.at(row, column)) channel = channel * light + look.noise * cheap_normal(random());
    }
  }
}

}  // namespace detail

/// Paints sprites (one for each of `scene.objects`, by `index`) over the scene's background. `frame` numbers the noise.
inline Picture render_sprites(const Scene& scene, const Look& look, const std::vector<Sprite>& sprites,
                              const std::vector<int>& index, int pixels, int frame) {
  Canvas canvas(pixels);
  detail::paint_background(canvas, scene, look);
  for (std::size_t i = 0; i < sprites.size(); ++i) {
    detail::paint_sprite(canvas, sprites[i], look.jitter[static_cast<std::size_t>(index[i])]);
  }
  detail::light_and_noise(canvas, scene, look, frame);
  return to_picture(canvas);
}

/// A still scene as a square picture. The same scene and size give the same bytes.
inline Picture render_scene(const Scene& scene, int pixels = 48) {
  return render_sprites(scene, draw_look(scene), sprites_of(scene), {0, 1, 2, 3}, pixels, 0);
}

}  // namespace world
