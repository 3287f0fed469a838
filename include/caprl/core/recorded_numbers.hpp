#pragma once

#include <concepts>
#include <string>
#include <utility>
#include <vector>

namespace caprl {

/// The names and values of a component's settings, for a run to record: one that goes on with others is another run.
using RecordedNumbers = std::vector<std::pair<std::string, double>>;

/// What a component tells of itself by a function RecordedNumbers recorded() const; nothing where it has none.
template <class Component>
RecordedNumbers recorded_numbers(const Component& component) {
  if constexpr (requires {
                  { component.recorded() } -> std::same_as<RecordedNumbers>;
                }) {
    return component.recorded();
  } else {
    return {};
  }
}

}  // namespace caprl
