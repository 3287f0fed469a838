#pragma once

#include <memory>

#include "caprl/core/index.hpp"

namespace caprl {

/// A device without memory: a tensor on it has a shape and no elements, so that a model of any size can be made to ask
/// it for the names and shapes of its tensors, and which of them are trained. Nothing can be computed on it.
struct ShapesOnly {};

template <class T>
std::shared_ptr<T[]> allocate_storage(ShapesOnly, Index) {
  return nullptr;
}

}  // namespace caprl
