#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "world/clip.hpp"
#include "world/render.hpp"

namespace world {

inline constexpr int clip_frames_per_second = 4;

inline int frame_count(const Clip& clip) { return clip.seconds * clip_frames_per_second; }

namespace detail {

/// From 0 to 1 over [begin, begin + 1], eased.
inline float progress(float time, float begin) {
  const float t = std::clamp(time - begin, 0.0f, 1.0f);
  return t * t * (3.0f - 2.0f * t);
}

inline void apply_move(Sprite& sprite, const Event& event, float time) {
  constexpr std::array<std::array<float, 2>, 4> steps = {{{-1, 0}, {1, 0}, {0, -1}, {0, 1}}};
  const auto [dx, dy] = steps[static_cast<std::size_t>(event.value)];
  const float way = progress(time, static_cast<float>(event.second)) * static_cast<float>(event.cells) / 3.0f;
  sprite.x += dx * way;
  sprite.y += dy * way;
}

/// Runs for a second, touches the other object at the event's time, and runs back for a second.
inline void apply_hit(Sprite& sprite, const Sprite& other, const Event& event, float time) {
  const float dx = other.x - sprite.x, dy = other.y - sprite.y;
  const float distance = std::abs(dx) + std::abs(dy);
  const float touch = 0.9f * (radius_of(sprite.size) + radius_of(other.size));
  const float begin = static_cast<float>(event.second);
  const float away = std::clamp(std::abs(time - begin), 0.0f, 1.0f);
  const float way = (1.0f - away) * (distance - touch) / distance;
  sprite.x += dx * way;
  sprite.y += dy * way;
}

}  // namespace detail

/// What one object looks like at a time (seconds), or nothing if it is not there.
inline std::optional<Sprite> sprite_at(const Clip& clip, int object, float time) {
  const std::vector<Sprite> start = sprites_of(clip.scene);
  Sprite sprite = start[static_cast<std::size_t>(object)];
  const Event* event = event_of(clip, object);
  if (!event) return sprite;
  const bool happened = time >= static_cast<float>(event->second);
  switch (event->kind) {
    case EventKind::move:
      detail::apply_move(sprite, *event, time);
      return sprite;
    case EventKind::hit:
      detail::apply_hit(sprite, start[static_cast<std::size_t>(event->value)], *event, time);
      return sprite;
    case EventKind::change:
      if (happened) sprite.colour = event->value;
      return sprite;
    case EventKind::appear:
      return happened ? std::optional(sprite) : std::nullopt;
    default:
      return happened ? std::nullopt : std::optional(sprite);
  }
}

/// Frame `frame` of a clip, at frame / clip_frames_per_second seconds.
inline Picture render_frame(const Clip& clip, const Look& look, int frame, int pixels = 48) {
  const float time = static_cast<float>(frame) / clip_frames_per_second;
  std::vector<Sprite> sprites;
  std::vector<int> index;
  for (int i = 0; i < static_cast<int>(clip.scene.objects.size()); ++i) {
    if (const std::optional<Sprite> sprite = sprite_at(clip, i, time)) {
      sprites.push_back(*sprite);
      index.push_back(i);
    }
  }
  return render_sprites(clip.scene, look, sprites, index, pixels, frame);
}

}  // namespace world
