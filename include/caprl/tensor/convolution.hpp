#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// A square convolution's geometry. Outside the image there are zeros.
struct Convolution {
  Index height = 0;  ///< of the input
  Index width = 0;
  Index kernel = 3;
  Index stride = 2;
  Index padding = 1;

  CAPRL_HD Index out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  CAPRL_HD Index out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
};

}  // namespace caprl
