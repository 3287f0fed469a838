#pragma once

#include <optional>
#include <string_view>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// How an answer that a judge wrote is read.
enum class AnswerParsing {
  first_token,    ///< the first token must be a letter
  first_capital,  ///< the first capital from A to I anywhere, as published: "Can not answer" reads as C
};

/// The letter of an option's position, 'A' for 0. Throws Error beyond 26.
inline char option_letter(Index position) {
  require(0 <= position && position < 26, "[option_letter] expected a position from 0 to 25");
  return static_cast<char>('A' + position);
}

/// The position whose letter `token`, the text of the judge's first token, is: "A" or " A". Empty if it is anything
/// else or not below `positions` (the options and the abstain option).
inline std::optional<Index> letter_of_token(std::string_view token, Index positions) {
  if (!token.empty() && token.front() == ' ') token.remove_prefix(1);
  if (token.size() != 1 || token.front() < 'A' || token.front() >= 'A' + positions) return std::nullopt;
  return token.front() - 'A';
}

/// The position of the first capital from A to I in `answer`, as the published judge reads it.
inline std::optional<Index> first_capital(std::string_view answer) {
  const auto at = answer.find_first_of("ABCDEFGHI");
  if (at == std::string_view::npos) return std::nullopt;
  return answer[at] - 'A';
}

}  // namespace caprl
