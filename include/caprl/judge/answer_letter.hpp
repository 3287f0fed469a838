#pragma once

#include <optional>
#include <string_view>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// The letter of an option's position, 'A' for 0. Throws Error beyond 26.
inline char option_letter(Index position) {
  require(0 <= position && position < 26, "[option_letter] expected a position from 0 to 25");
  return static_cast<char>('A' + position);
}

/// The position of the first capital from A to I in `answer`, as the published judge reads it.
inline std::optional<Index> first_capital(std::string_view answer) {
  const auto at = answer.find_first_of("ABCDEFGHI");
  if (at == std::string_view::npos) return std::nullopt;
  return answer[at] - 'A';
}

}  // namespace caprl
