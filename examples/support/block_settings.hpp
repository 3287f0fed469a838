#pragma once

#include "caprl/core/error.hpp"
#include "caprl/model/decoder_settings.hpp"

namespace examples {

/// A transformer block of a width, with a gated unit of 8/3 of it.
inline caprl::BlockSettings block_settings(caprl::Index width, caprl::Index heads) {
  caprl::require(width % (2 * heads) == 0, "[--width] expected a multiple of twice the --heads");
  return {.hidden_size = width,
          .intermediate_size = (width * 8 / 3 + 15) / 16 * 16,
          .attention_heads = heads,
          .key_value_heads = heads,
          .head_size = width / heads,
          .norm_epsilon = 1e-6};
}

}  // namespace examples
