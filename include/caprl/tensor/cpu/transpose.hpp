#pragma once

/// Whether a product takes a matrix as it lies or transposed.
namespace caprl {

enum class Transpose { no, yes };

}  // namespace caprl
