#pragma once

#include <vector>

#include "caprl/nn/rotary_positions.hpp"

namespace caprl {

/// Where the rows of prompts, and the captions that go on from them, stand for rotary embedding.
struct PromptPositions {
  RotaryPositions rows{};     ///< of the prompts' tree; without any, all stand at their depths
  std::vector<Index> next{};  ///< [prompts]: where a caption's first token stands, on all axes
};

}  // namespace caprl
