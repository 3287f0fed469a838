#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/random.hpp"

/// The example world: scenes and clips whose truth is known. Not part of the library.
namespace world {

using caprl::RandomStream;

/// What can be said of one object. Every value is an index into `words(attribute)`.
enum class Attribute : int { shape, colour, size, texture, place };
inline constexpr int attribute_count = 5;
inline constexpr std::array<Attribute, attribute_count> attributes = {
    Attribute::shape, Attribute::colour, Attribute::size, Attribute::texture, Attribute::place};

inline constexpr std::array<std::string_view, 6> shape_words = {"circle", "square", "triangle",
                                                                "star",   "cross",  "diamond"};
inline constexpr std::array<std::string_view, 8> colour_words = {"red",  "orange", "yellow", "green",
                                                                 "cyan", "blue",   "purple", "pink"};
inline constexpr std::array<std::string_view, 2> size_words = {"small", "large"};
inline constexpr std::array<std::string_view, 4> texture_words = {"plain", "striped", "dotted", "hollow"};
/// The 3 x 3 grid in reading order.
inline constexpr std::array<std::string_view, 9> place_words = {"top left",    "top center",    "top right",
                                                                "middle left", "middle center", "middle right",
                                                                "bottom left", "bottom center", "bottom right"};
inline constexpr std::array<std::string_view, 6> background_words = {"black", "gray", "white", "brown", "navy", "tan"};
inline constexpr std::array<std::string_view, 4> count_words = {"one", "two", "three", "four"};
/// Where one object lies as seen from another. Over two distinct cells of the grid all eight are equally frequent.
inline constexpr std::array<std::string_view, 8> relation_words = {
    "above left", "above", "above right", "left", "right", "below left", "below", "below right"};

inline std::span<const std::string_view> words(Attribute attribute) {
  switch (attribute) {
    case Attribute::shape:
      return shape_words;
    case Attribute::colour:
      return colour_words;
    case Attribute::size:
      return size_words;
    case Attribute::texture:
      return texture_words;
    default:
      return place_words;
  }
}

inline std::string_view attribute_name(Attribute attribute) {
  constexpr std::array<std::string_view, attribute_count> names = {"shape", "colour", "size", "texture", "place"};
  return names[static_cast<std::size_t>(attribute)];
}

/// The index of `word` in `list`, or -1.
inline int find_word(std::span<const std::string_view> list, std::string_view word) {
  const auto found = std::find(list.begin(), list.end(), word);
  return found == list.end() ? -1 : static_cast<int>(found - list.begin());
}

/// One object: a value for each attribute.
struct Object {
  std::array<int, attribute_count> value{};

  int operator[](Attribute attribute) const { return value[static_cast<std::size_t>(attribute)]; }
  int& operator[](Attribute attribute) { return value[static_cast<std::size_t>(attribute)]; }
  std::string_view word(Attribute attribute) const {
    return words(attribute)[static_cast<std::size_t>((*this)[attribute])];
  }
  bool operator==(const Object&) const = default;
};

/// A still scene. Shapes and places are distinct; colours, sizes and textures are independent of each other and of
/// everything else, which is what keeps the questions free of leaks.
struct Scene {
  int background = 0;
  /// In reading order of their places.
  std::vector<Object> objects;
  /// Seeds what is seen but is no fact: jitter, lighting, pattern of the background, noise.
  std::uint64_t look = 0;
};

/// The relation of cell `place` as seen from cell `from` (distinct): an index into `relation_words`.
inline int relation_between(int place, int from) {
  const auto sign = [](int x) { return (x > 0) - (x < 0); };
  const int row = sign(place / 3 - from / 3);
  const int column = sign(place % 3 - from % 3);
  const int index = (row + 1) * 3 + column + 1;
  return index > 4 ? index - 1 : index;
}

/// `count` distinct numbers below `bound`, in random order.
inline std::vector<int> draw_distinct(RandomStream& random, int bound, int count) {
  std::vector<int> all(static_cast<std::size_t>(bound));
  std::iota(all.begin(), all.end(), 0);
  random.shuffle(all);
  all.resize(static_cast<std::size_t>(count));
  return all;
}

inline int draw_below(RandomStream& random, std::size_t bound) {
  return static_cast<int>(random.below(static_cast<std::uint32_t>(bound)));
}

/// A scene of `count` objects (1 to 4); every attribute is uniform.
inline Scene draw_scene(RandomStream& random, int count) {
  Scene scene;
  scene.background = draw_below(random, background_words.size());
  const std::vector<int> shapes = draw_distinct(random, static_cast<int>(shape_words.size()), count);
  std::vector<int> places = draw_distinct(random, static_cast<int>(place_words.size()), count);
  std::sort(places.begin(), places.end());
  for (int i = 0; i < count; ++i) {
    Object object;
    object[Attribute::shape] = shapes[static_cast<std::size_t>(i)];
    object[Attribute::colour] = draw_below(random, colour_words.size());
    object[Attribute::size] = draw_below(random, size_words.size());
    object[Attribute::texture] = draw_below(random, texture_words.size());
    object[Attribute::place] = places[static_cast<std::size_t>(i)];
    scene.objects.push_back(object);
  }
  scene.look = random();
  return scene;
}

}  // namespace world
