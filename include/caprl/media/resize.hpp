#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/media/image.hpp"

namespace caprl {

enum class ResizeFilter { bilinear, bicubic };

/// Whose rounding of the weights is followed. Both calculate in fixed point, with 8 bits between the two passes.
enum class ResizeWeights {
  pillow,      ///< 22 bits after the point: `PIL.Image.resize`
  torchvision  ///< 16 bits, as many after the point as the axis' largest weight allows: `resize` of 8-bit tensors
};

namespace detail {

/// The filter's half width, and its weight at a distance, both in pixels of the coarser grid.
inline double filter_support(ResizeFilter filter) { return filter == ResizeFilter::bilinear ? 1.0 : 2.0; }

inline double filter_weight(ResizeFilter filter, double x) {
  x = std::abs(x);
  if (filter == ResizeFilter::bilinear) return x < 1 ? 1 - x : 0;
  constexpr double a = -0.5;  // Keys' cubic convolution
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/// For each output place along one axis, the input places it reads and their weights in fixed point.
struct AxisPlan {
  Index input = 0;
  int precision_bits = 0;             ///< of a weight, after the point
  Index taps = 0;                     ///< weights kept for each output place, the unused last ones 0
  std::vector<Index> first;           ///< [output]
  std::vector<Index> count;           ///< [output]
  std::vector<std::int32_t> weights;  ///< [output, taps]

  Index output() const { return static_cast<Index>(first.size()); }
};

/// The bits after the point, by the largest weight of an axis.
inline int weight_precision(ResizeWeights weights, double largest) {
  constexpr int most = 22;  // 8 bits of value, 2 of overshoot: sums stay below 2^31
  if (weights == ResizeWeights::pillow) return most;
  int bits = 0;
  while (bits < most && std::floor(0.5 + std::ldexp(largest, bits + 1)) < (1 << 15)) ++bits;
  return bits;
}

inline AxisPlan plan_axis(Index input, Index output, ResizeFilter filter, ResizeWeights rounding) {
  const double scale = static_cast<double>(input) / static_cast<double>(output);
  const double widening = std::max(scale, 1.0);  // when shrinking, the filter covers what it replaces
  const double support = filter_support(filter) * widening;
  AxisPlan plan;
  plan.input = input;
  plan.taps = static_cast<Index>(std::ceil(support)) * 2 + 1;
  std::vector<double> weights(static_cast<std::size_t>(output * plan.taps));
  for (Index place = 0; place < output; ++place) {
    const double center = (static_cast<double>(place) + 0.5) * scale;
    const Index first = std::max<Index>(static_cast<Index>(center - support + 0.5), 0);
    const Index last = std::min({static_cast<Index>(center + support + 0.5), input, first + plan.taps});
    double* own = weights.data() + place * plan.taps;
    double sum = 0;
    for (Index x = first; x < last; ++x) {
      own[x - first] = filter_weight(filter, (static_cast<double>(x) - center + 0.5) / widening);
      sum += own[x - first];
    }
    for (Index tap = 0; sum != 0 && tap < last - first; ++tap) own[tap] /= sum;
    plan.first.push_back(first);
    plan.count.push_back(last - first);
  }
  plan.precision_bits = weight_precision(rounding, *std::max_element(weights.begin(), weights.end()));
  for (const double weight : weights) {
    plan.weights.push_back(static_cast<std::int32_t>(std::lround(std::ldexp(weight, plan.precision_bits))));
  }
  return plan;
}

inline std::uint8_t rounded_byte(std::int32_t sum, int precision_bits) {
  return static_cast<std::uint8_t>(std::clamp(sum >> precision_bits, 0, 255));
}

/// One row, [input, 3] to [output, 3].
inline void resize_row(const AxisPlan& plan, const std::uint8_t* source, std::uint8_t* target) {
  const std::int32_t half = 1 << (plan.precision_bits - 1);
  for (Index x = 0; x < plan.output(); ++x) {
    const auto at = static_cast<std::size_t>(x);
    const std::int32_t* weights = plan.weights.data() + x * plan.taps;
    const std::uint8_t* pixels = source + plan.first[at] * 3;
    std::int32_t red = half, green = half, blue = half;
    for (Index tap = 0; tap < plan.count[at]; ++tap) {
      red += weights[tap] * pixels[tap * 3];
      green += weights[tap] * pixels[tap * 3 + 1];
      blue += weights[tap] * pixels[tap * 3 + 2];
    }
    target[x * 3] = rounded_byte(red, plan.precision_bits);
    target[x * 3 + 1] = rounded_byte(green, plan.precision_bits);
    target[x * 3 + 2] = rounded_byte(blue, plan.precision_bits);
  }
}

/// One row of the output from rows of `bytes` bytes: the weighted sum of those that the plan names for row y.
inline void resize_column(const AxisPlan& plan, Index y, const std::uint8_t* rows, Index bytes, std::uint8_t* target) {
  const auto at = static_cast<std::size_t>(y);
  const int bits = plan.precision_bits;
  constexpr Index block = 256;  // sums of a block stay in the first-level cache
  std::int32_t sums[block];
  for (Index begin = 0; begin < bytes; begin += block) {
    const Index size = std::min(block, bytes - begin);
    std::fill_n(sums, block, 1 << (bits - 1));
    for (Index tap = 0; tap < plan.count[at]; ++tap) {
      const std::int32_t weight = plan.weights[static_cast<std::size_t>(y * plan.taps + tap)];
      const std::uint8_t* source = rows + (plan.first[at] + tap) * bytes + begin;
      for (Index i = 0; i < size; ++i) sums[i] += weight * source[i];
    }
    for (Index i = 0; i < size; ++i) target[begin + i] = rounded_byte(sums[i], bits);
  }
}

}  // namespace detail

/// Resizes pictures of one size to another with antialiasing: the filter widens with the factor when shrinking. First
/// along rows, then along columns, with 8 bits between, in the fixed-point conventions of Pillow (`Image.resize` with
/// BILINEAR or BICUBIC; src/libImaging/Resample.c) or of torchvision (`resize` with antialias of 8-bit tensors on a
/// CPU; PyTorch's aten/src/ATen/native/cpu/UpSampleKernel.cpp). The weights are planned once; calling is cheap and
/// thread-safe.
class Resizer {
 public:
  Resizer(ImageSize from, ImageSize to, ResizeFilter filter = ResizeFilter::bicubic,
          ResizeWeights weights = ResizeWeights::pillow)
      : from_(from), to_(to) {
    constexpr Index longest = 1 << 20;
    const auto in_range = [](Index side) { return side >= 1 && side <= longest; };
    if (!in_range(from.height) || !in_range(from.width) || !in_range(to.height) || !in_range(to.width)) {
      throw Error("[Resizer] expected sides from 1 to 2^20 pixels, got " + text(from) + " to " + text(to));
    }
    rows_ = detail::plan_axis(from.width, to.width, filter, weights);
    columns_ = detail::plan_axis(from.height, to.height, filter, weights);
  }

  Image operator()(const Image& image) const {
    if (image.size() != from_ || image.rgb.size() != static_cast<std::size_t>(from_.pixels() * 3)) {
      throw Error("[Resizer] expected a picture of " + text(from_) + ", got " + text(image.size()));
    }
    if (from_.width == to_.width) return from_.height == to_.height ? image : along_columns(image);
    Image narrow(from_.height, to_.width);
    parallel_for(from_.height, grain(from_.width),
                 [&](Index y) { detail::resize_row(rows_, image.pixel(y, 0), narrow.pixel(y, 0)); });
    return from_.height == to_.height ? narrow : along_columns(narrow);
  }

 private:
  static std::string text(ImageSize size) { return std::to_string(size.height) + " x " + std::to_string(size.width); }
  /// Rows that are worth a thread: about 64k values.
  static Index grain(Index width) { return 1 + 65536 / (width * 3); }

  Image along_columns(const Image& image) const {
    Image resized(to_.height, image.width);
    parallel_for(to_.height, grain(image.width), [&](Index y) {
      detail::resize_column(columns_, y, image.rgb.data(), image.width * 3, resized.pixel(y, 0));
    });
    return resized;
  }

  ImageSize from_, to_;
  detail::AxisPlan rows_, columns_;
};

/// Resizes one picture; many of one size are quicker through one `Resizer`.
inline Image resize(const Image& image, ImageSize to, ResizeFilter filter = ResizeFilter::bicubic) {
  return Resizer(image.size(), to, filter)(image);
}

}  // namespace caprl
