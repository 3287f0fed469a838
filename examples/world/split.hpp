#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "caprl/core/error.hpp"
#include "caprl/core/hash.hpp"
#include "world/clip.hpp"
#include "world/scene.hpp"

namespace world {

/// The three sets of items.
enum class Split : int { train, validation, test };
inline constexpr std::array<std::string_view, 3> split_names = {"train", "validation", "test"};

/// Two scenes are the same if they state the same facts: the same background and the same objects (shape, colour, size,
/// texture) at the same places. Jitter, lighting, noise, file format and events of a clip do not make a scene another
/// one, so a test picture never shows the layout of a training picture or of the first frame of a training clip.
inline std::uint64_t fact_hash(const Scene& scene) {
  caprl::Fnv1a hash;
  hash.add(static_cast<std::uint64_t>(scene.background));
  for (const Object& object : scene.objects) {
    for (const int value : object.value) hash.add(static_cast<std::uint64_t>(value));
  }
  return hash.value();
}

/// The set that a scene belongs to, by its facts alone: 70 % train, 15 % validation, 15 % test. Whatever the seeds and
/// the numbers of items, no scene can be in two sets.
inline Split split_of(const Scene& scene) {
  const std::uint64_t bucket = (fact_hash(scene) >> 24) % 100;
  return bucket < 70 ? Split::train : bucket < 85 ? Split::validation : Split::test;
}

/// Checks what was written, apart from how it was drawn: remembers every scene with its set and throws when one comes
/// back in another set.
class SplitRegister {
 public:
  void add(const Scene& scene, Split split, const std::string& where) {
    const auto [entry, inserted] = splits_.try_emplace(fact_hash(scene), split);
    if (!inserted && entry->second != split) {
      throw caprl::Error("[split] expected scenes of disjoint sets, got one scene in " +
                             std::string(split_names[static_cast<std::size_t>(entry->second)]) + " and in " +
                             std::string(split_names[static_cast<std::size_t>(split)]),
                         where, "write the world anew");
    }
  }

 private:
  std::unordered_map<std::uint64_t, Split> splits_;
};

}  // namespace world
