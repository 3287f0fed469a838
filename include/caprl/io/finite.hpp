#pragma once

#include <cmath>
#include <filesystem>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/tensor.hpp"

namespace caprl {

/// Whether numbers that are read may be NaN or infinite.
enum class Finite { required, any };

/// Throws Error naming the file, the tensor and the element unless all numbers are finite. `format` begins the message.
template <class T>
void require_finite(const Tensor<T>& tensor, const std::string& format, const std::string& name,
                    const std::filesystem::path& path) {
  bool finite = true;
  for (const T value : tensor.span()) finite = finite && std::isfinite(static_cast<Accumulator<T>>(value));
  if (finite) return;
  Index at = 0;
  while (std::isfinite(static_cast<Accumulator<T>>(tensor.data()[at]))) ++at;
  throw Error("[" + format + "] expected finite numbers in tensor " + name + ", got " +
                  std::to_string(static_cast<Accumulator<T>>(tensor.data()[at])) + " at element " + std::to_string(at),
              path.string(), "the weights are damaged or come from a run that diverged");
}

}  // namespace caprl
