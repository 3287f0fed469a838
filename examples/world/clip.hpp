#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "world/scene.hpp"

namespace world {

/// What can happen in a clip.
enum class EventKind : int { move, appear, vanish, change, hit };
inline constexpr std::array<std::string_view, 5> event_kind_words = {"move", "appear", "vanish", "change", "hit"};
inline constexpr std::array<std::string_view, 4> direction_words = {"left", "right", "up", "down"};

/// One timed event. An object is the subject of at most one event of a clip, so "the circle vanishes" names it.
struct Event {
  EventKind kind = EventKind::move;
  int subject = 0;  ///< index into the scene's objects
  int value = -1;   ///< move: direction; change: new colour; hit: the other object's index; else -1
  int cells = 0;    ///< move: how many cells of the grid
  int second = 0;   ///< when it begins (move), is seen (appear, vanish, change), or they touch (hit)
  bool operator==(const Event&) const = default;
};

/// A scene with events. `scene.objects` holds the objects as they begin, those that appear later included.
struct Clip {
  Scene scene;
  int seconds = 0;
  /// In order of time.
  std::vector<Event> events;
  /// The times among which events were dealt out, ascending; the options of questions for a time. At least two seconds
  /// apart in clips of `long_clip_seconds` and more, else one second apart.
  std::vector<int> slots;
};

inline constexpr int long_clip_seconds = 9;
inline constexpr int shortest_clip_seconds = 4;
inline constexpr int longest_clip_seconds = 12;

inline const Event* event_of(const Clip& clip, int object) {
  for (const Event& event : clip.events) {
    if (event.subject == object) return &event;
  }
  return nullptr;
}

inline bool appears_later(const Clip& clip, int object) {
  const Event* event = event_of(clip, object);
  return event && event->kind == EventKind::appear;
}

namespace detail {

/// The cell one step from `place`, or -1 outside the grid.
inline int step_from(int place, int direction) {
  constexpr std::array<std::array<int, 2>, 4> steps = {{{0, -1}, {0, 1}, {-1, 0}, {1, 0}}};
  const int row = place / 3 + steps[static_cast<std::size_t>(direction)][0];
  const int column = place % 3 + steps[static_cast<std::size_t>(direction)][1];
  return row < 0 || row > 2 || column < 0 || column > 2 ? -1 : row * 3 + column;
}

/// Up to four times between 1 and seconds - 2, `gap` apart, every such set equally likely.
inline std::vector<int> draw_slots(RandomStream& random, int seconds) {
  const int gap = seconds >= long_clip_seconds ? 2 : 1;
  const int span = seconds - 2;  // times 1 .. span
  const int count = std::min(4, (span - 1) / gap + 1);
  const int slack = span - (count - 1) * (gap - 1);
  std::vector<int> slots = draw_distinct(random, slack, count);
  std::sort(slots.begin(), slots.end());
  for (int i = 0; i < count; ++i) slots[static_cast<std::size_t>(i)] += 1 + i * (gap - 1);
  return slots;
}

/// Cells that are used: every object's own and every cell of every path. Paths may not touch them.
class Cells {
 public:
  explicit Cells(const Scene& scene) {
    for (const Object& object : scene.objects) used_[static_cast<std::size_t>(object[Attribute::place])] = true;
  }
  /// Takes the cell; false if it is outside the grid or taken.
  bool take(int place) {
    if (place < 0 || used_[static_cast<std::size_t>(place)]) return false;
    return used_[static_cast<std::size_t>(place)] = true;
  }

 private:
  std::array<bool, 9> used_{};
};

inline bool draw_move(RandomStream& random, const Scene& scene, Cells& cells, Event& event) {
  event.value = draw_below(random, direction_words.size());
  event.cells = 1 + draw_below(random, 2);
  int place = scene.objects[static_cast<std::size_t>(event.subject)][Attribute::place];
  for (int i = 0; i < event.cells; ++i) {
    place = step_from(place, event.value);
    if (!cells.take(place)) return false;
  }
  return true;
}

/// A hit has a free cell between the two objects: between neighbours it would hardly be seen.
inline bool draw_hit(RandomStream& random, const Scene& scene, Cells& cells, Event& event) {
  event.value = draw_below(random, scene.objects.size());
  if (event.value == event.subject) return false;
  const int from = scene.objects[static_cast<std::size_t>(event.subject)][Attribute::place];
  const int to = scene.objects[static_cast<std::size_t>(event.value)][Attribute::place];
  for (int direction = 0; direction < 4; ++direction) {
    const int next = step_from(from, direction);
    if (next >= 0 && step_from(next, direction) == to) return cells.take(next);
  }
  return false;
}

/// Moves and hits are drawn more often, because they more often cannot be.
inline EventKind draw_event_kind(RandomStream& random) {
  constexpr std::array<double, 5> share = {0.24, 0.07, 0.06, 0.05, 0.58};
  double left = random.uniform();
  for (std::size_t i = 0; i + 1 < share.size(); ++i) {
    left -= share[i];
    if (left < 0) return static_cast<EventKind>(i);
  }
  return EventKind::hit;
}

/// The event's details, without its time; false if it cannot be. Nothing here looks at times, and all is symmetric
/// under turning and mirroring the grid: times and directions stay uniform whatever else is known.
inline bool draw_event(RandomStream& random, const Scene& scene, Cells& cells, Event& event) {
  event.kind = draw_event_kind(random);
  if (event.kind == EventKind::move) return draw_move(random, scene, cells, event);
  if (event.kind == EventKind::hit) return draw_hit(random, scene, cells, event);
  if (event.kind == EventKind::change) {
    const int old = scene.objects[static_cast<std::size_t>(event.subject)][Attribute::colour];
    const int offset = 1 + draw_below(random, colour_words.size() - 1);
    event.value = (old + offset) % static_cast<int>(colour_words.size());
  }
  return true;
}

/// An object that is hit must be there and at rest for the whole clip; something must be there when the clip begins.
inline bool is_consistent(const Clip& clip) {
  for (const Event& event : clip.events) {
    if (event.kind != EventKind::hit) continue;
    const Event* other = event_of(clip, event.value);
    if (other && other->kind != EventKind::change) return false;
  }
  for (int i = 0; i < static_cast<int>(clip.scene.objects.size()); ++i) {
    if (!appears_later(clip, i)) return true;
  }
  return false;
}

inline std::optional<Clip> try_clip(RandomStream& random, int seconds, int objects, int events) {
  Clip clip;
  clip.seconds = seconds;
  clip.slots = draw_slots(random, seconds);
  clip.scene = draw_scene(random, objects);
  const std::vector<int> subjects = draw_distinct(random, objects, events);
  std::vector<int> times = clip.slots;
  random.shuffle(times);
  Cells cells(clip.scene);
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    Event event;
    event.subject = subjects[i];
    event.second = times[i];
    if (!draw_event(random, clip.scene, cells, event)) return std::nullopt;
    clip.events.push_back(event);
  }
  std::sort(clip.events.begin(), clip.events.end(), [](const Event& a, const Event& b) { return a.second < b.second; });
  if (!is_consistent(clip)) return std::nullopt;
  return clip;
}

}  // namespace detail

/// A clip of two to four objects and of two events to one for each object, of at most `longest` seconds; three in four
/// last `long_clip_seconds` or more, if they may. How many things happen is drawn first: crowded clips are no rarer for
/// being harder to draw.
inline Clip draw_clip(RandomStream& random, int longest = longest_clip_seconds) {
  const bool is_long = random.uniform() < 0.75 && longest >= long_clip_seconds;
  const int fewest = is_long ? long_clip_seconds : shortest_clip_seconds;
  const int most = is_long ? longest : std::min(longest, long_clip_seconds - 1);
  const int seconds = fewest + draw_below(random, static_cast<std::size_t>(most - fewest + 1));
  const int objects = 2 + draw_below(random, 3);
  const int most_events = std::min({objects, 4, seconds - 2});  // one a slot
  const int events = 2 + draw_below(random, static_cast<std::size_t>(most_events - 1));
  while (true) {
    if (std::optional<Clip> clip = detail::try_clip(random, seconds, objects, events)) return *clip;
  }
}

}  // namespace world
