#pragma once

namespace caprl {

/// The host's processors, through Eigen and the kernels written once.
struct Cpu {};

}  // namespace caprl
