#pragma once

namespace caprl {

/// The host's processors, through Eigen and the kernels written once.
struct Cpu {};

/// No memory: tensors have a shape and no elements. A model on it tells the names and shapes of its weights before any
/// memory is taken for them.
struct ShapesOnly {};

}  // namespace caprl
