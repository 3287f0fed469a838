#pragma once

namespace caprl {

/// How weights are stored.
enum class WeightFormat { float32, bf16 };

}  // namespace caprl
