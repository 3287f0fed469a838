#pragma once

namespace caprl {

/// How weights are stored, in a file or laid out for products.
enum class WeightFormat { float32, bf16 };

}  // namespace caprl
