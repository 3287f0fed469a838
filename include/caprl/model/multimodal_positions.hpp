#pragma once

#include <algorithm>
#include <span>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/media/vision_grid.hpp"
#include "caprl/nn/rotary_positions.hpp"

namespace caprl {

/// A picture's tokens in a sequence.
struct MediaTokens {
  Index begin = 0;          ///< the first
  VisionGrid grid;          ///< in tokens: patches that become one token count once
  float time_interval = 1;  ///< positions from one step of time to the next; rounded down when multiplied by the step
};

/// The positions of Qwen2.5-VL (Bai et al., 2025, arXiv 2502.13923; `get_rope_index` in Hugging Face's
/// modeling_qwen2_5_vl.py) of a sequence of `tokens` tokens on the axes time, height and width: text counts on along
/// all three; a picture spreads along its own, from the position after the text before it; text after it goes on behind
/// the picture's largest position. `media` is in the order of the tokens. Throws Error unless it lies within them.
inline SequencePositions multimodal_positions(Index tokens, std::span<const MediaTokens> media) {
  SequencePositions positions{
      .tokens = {.axes = 3, .values = std::vector<Index>(static_cast<std::size_t>(3 * tokens))}};
  Index token = 0;
  const auto put = [&](Index time, Index height, Index width) {
    const auto at = [&](Index axis) -> Index& {
      return positions.tokens.values[static_cast<std::size_t>(axis * tokens + token)];
    };
    at(0) = time;
    at(1) = height;
    at(2) = width;
    ++token;
  };
  Index next = 0;
  const auto put_text = [&](Index end) {
    for (; token < end; ++next) put(next, next, next);
  };
  for (const MediaTokens& one : media) {
    if (one.begin < token || one.begin + one.grid.patches() > tokens) {
      throw Error("[multimodal_positions] expected media one after the other within " + std::to_string(tokens) +
                  " tokens, got " + std::to_string(one.grid.patches()) + " tokens from " + std::to_string(one.begin));
    }
    require(one.time_interval >= 0 && one.time_interval < 1e9f,
            "[multimodal_positions] expected a time interval of 0 to 1e9 positions");
    put_text(one.begin);
    const Index start = next;
    for (Index t = 0; t < one.grid.times; ++t) {
      const Index time = start + static_cast<Index>(static_cast<float>(t) * one.time_interval);
      for (Index y = 0; y < one.grid.height; ++y) {
        for (Index x = 0; x < one.grid.width; ++x) put(time, start + y, start + x);
      }
      next = std::max(next, time + 1);
    }
    next = std::max({next, start + one.grid.height, start + one.grid.width});
  }
  put_text(tokens);
  positions.next = next;
  return positions;
}

}  // namespace caprl
