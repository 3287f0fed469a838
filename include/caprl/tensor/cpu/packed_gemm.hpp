#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "caprl/core/error.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/tensor/cpu/turn_block.hpp"
#include "caprl/tensor/device.hpp"
#include "caprl/tensor/kernels/pack.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/storage.hpp"
#include "caprl/tensor/tensor.hpp"
#include "caprl/tensor/weight_format.hpp"

/// Products of few rows (decoding, judging) with weights that are laid out once and used many times. A general matrix
/// product spends its time there on rearranging the weights. bf16 halves what must be read, which is what few rows wait
/// for, and rounds the weights: for frozen models. Arithmetic is in float either way.
namespace caprl {

namespace detail {

using FloatRegister = RegisterOf<float, register_bytes>::type;
inline constexpr Index float_lanes = register_bytes / 4;
inline constexpr Index panel_columns = 2 * float_lanes;
/// Rows whose sums stay in registers together: 2 registers each, of 32 with AVX-512 and 16 otherwise.
inline constexpr int most_packed_rows = register_bytes == 64 ? 12 : 6;

/// Two registers of weights: the panel's columns for one k.
struct PanelPair {
  FloatRegister low, high;
};

template <WeightFormat Format>
inline PanelPair load_panel(const float* from) {
  PanelPair pair;
  if constexpr (Format == WeightFormat::float32) {
    std::memcpy(&pair.low, from, sizeof(pair.low));
    std::memcpy(&pair.high, from + float_lanes, sizeof(pair.high));
  } else {  // each word holds column j in its low half and column j + lanes in its high half
    Words words;
    std::memcpy(&words, from, sizeof(words));
    pair.low = std::bit_cast<FloatRegister>(words << 16);
    pair.high = std::bit_cast<FloatRegister>(words & 0xFFFF0000u);
  }
  return pair;
}

template <WeightFormat Format>
inline constexpr Index panel_words = Format == WeightFormat::float32 ? panel_columns : float_lanes;

/// Where a block of rows reads and writes.
struct PackedTask {
  const float* x;
  Index x_pitch;
  const float* panel;
  Index depth;
  float* y;
  Index y_pitch;
  Index columns;  ///< of this panel that exist
  bool add;       ///< to what y holds
};

inline void write_panel_row(const PanelPair& sum, float* y, Index columns, bool add) {
  float values[panel_columns];
  std::memcpy(values, &sum.low, sizeof(sum.low));
  std::memcpy(values + float_lanes, &sum.high, sizeof(sum.high));
  if (columns == panel_columns && !add) {
    std::memcpy(y, values, sizeof(values));
    return;
  }
  for (Index c = 0; c < columns; ++c) y[c] = add ? y[c] + values[c] : values[c];
}

/// Rows x 2 registers of sums. With few rows several k at a time have sums of their own, combined at the end in a fixed
/// order: a sum alone would wait for its own last addition.
template <WeightFormat Format, int RowCount>
void multiply_panel(const PackedTask& task) {
  constexpr int split = RowCount == 1 ? 4 : RowCount <= 3 ? 2 : 1;
  PanelPair sums[split][RowCount] = {};
  const auto step = [&](int part, Index k) {
    const PanelPair weights = load_panel<Format>(task.panel + k * panel_words<Format>);
#pragma GCC unroll 16
    for (int r = 0; r < RowCount; ++r) {
      const float x = task.x[r * task.x_pitch + k];
      sums[part][r].low += x * weights.low;
      sums[part][r].high += x * weights.high;
    }
  };
  Index k = 0;
  for (; k + split <= task.depth; k += split) {
#pragma GCC unroll 4
    for (int part = 0; part < split; ++part) step(part, k + part);
  }
  for (; k < task.depth; ++k) step(0, k);
#pragma GCC unroll 16
  for (int r = 0; r < RowCount; ++r) {
    PanelPair total = sums[0][r];
#pragma GCC unroll 4
    for (int part = 1; part < split; ++part) {
      total.low += sums[part][r].low;
      total.high += sums[part][r].high;
    }
    write_panel_row(total, task.y + r * task.y_pitch, task.columns, task.add);
  }
}

inline Index panels_of(Index outputs) { return (outputs + panel_columns - 1) / panel_columns; }

inline Index words_of_panel(WeightFormat format) {
  return format == WeightFormat::float32 ? panel_words<WeightFormat::float32> : panel_words<WeightFormat::bf16>;
}

/// Lays out panel `index` of a weight [N, K] behind those before it in `words`. Columns that do not exist are 0.
inline void pack_panel(Rows<const float> weight, Index index, WeightFormat format, float* words) {
  const Index first = index * panel_columns;
  const Index columns = std::min(panel_columns, weight.rows - first);
  const Index width = words_of_panel(format);
  float* to = words + index * weight.columns * width;
  if (format == WeightFormat::float32) {
    if (columns < width) std::fill_n(to, weight.columns * width, 0.0f);
    turn_rows(weight.rows_between(first, first + columns), to, width);
    return;
  }
  const auto value = [&](Index column, Index k) { return column < columns ? weight(first + column, k) : 0.0f; };
  for (Index k = 0; k < weight.columns; ++k) {
    for (Index c = 0; c < width; ++c) {
      const std::uint32_t low = bf16(value(c, k)).bits;
      const std::uint32_t high = bf16(value(c + float_lanes, k)).bits;
      const std::uint32_t word = low | high << 16;
      std::memcpy(to + k * width + c, &word, sizeof(word));  // a signalling NaN as float could change
    }
  }
}

using PanelKernel = void (*)(const PackedTask&);

template <WeightFormat Format, int... Rows>
constexpr auto panel_kernels(std::integer_sequence<int, Rows...>) {
  return std::array<PanelKernel, sizeof...(Rows)>{&multiply_panel<Format, Rows + 1>...};
}

/// The kernel for `rows` rows, 1 to most_packed_rows.
template <WeightFormat Format>
PanelKernel panel_kernel(Index rows) {
  static constexpr auto kernels = panel_kernels<Format>(std::make_integer_sequence<int, most_packed_rows>());
  return kernels[static_cast<std::size_t>(rows - 1)];
}

}  // namespace detail

/// A weight [N, K] laid out for `multiply`: panels of N side by side, each holding its columns for k = 0, 1, ...
class PackedWeights {
 public:
  PackedWeights() = default;
  explicit PackedWeights(Rows<const float> weight, WeightFormat format = WeightFormat::float32)
      : format_(format),
        outputs_(weight.rows),
        inputs_(weight.columns),
        words_({panels() * inputs_ * detail::words_of_panel(format)}) {
    parallel_for(panels(), 1, [&](Index panel) { detail::pack_panel(weight, panel, format, words_.data()); });
  }

  Index outputs() const { return outputs_; }
  Index inputs() const { return inputs_; }
  WeightFormat format() const { return format_; }
  Index panels() const { return detail::panels_of(outputs_); }
  const float* words() const { return words_.data(); }

 private:
  WeightFormat format_ = WeightFormat::float32;
  Index outputs_ = 0;
  Index inputs_ = 0;
  Tensor<float> words_;
};

namespace detail {

/// y (=, or += if `add`) x W^T for the panels [first, last) of W, which lie in `words`.
template <WeightFormat Format>
void multiply_panels(Rows<const float> x, const float* words, Rows<float> y, Index first, Index last, bool add) {
  const Index blocks = (x.rows + most_packed_rows - 1) / most_packed_rows;
  // A panel's stretch of k stays in the first-level cache while all rows pass over it.
  const Index stretch = blocks <= 2 ? x.columns : 256;
  for (Index k = 0; k < x.columns; k += stretch) {
    const Index depth = std::min(stretch, x.columns - k);
    for (Index panel = first; panel < last; ++panel) {
      const Index column = panel * panel_columns;
      const float* weights = words + (panel * x.columns + k) * panel_words<Format>;
      for (Index block = 0; block < blocks; ++block) {
        const Index row = x.rows * block / blocks;
        const Index rows = x.rows * (block + 1) / blocks - row;
        panel_kernel<Format>(rows)({x.row(row) + k, x.pitch, weights, depth, y.row(row) + column, y.pitch,
                                    std::min(panel_columns, y.columns - column), add || k > 0});
      }
    }
  }
}

/// The fewest panels of `rows` products of length `depth` that are worth a thread.
inline Index panel_grain(Index rows, Index depth) {
  return 1 + 32768 / (depth * panel_columns * std::max<Index>(2, rows / 4) + 1);
}

/// y = x W^T + beta y for W [N, K] as it lies, beta 0 or 1: each thread lays out a few panels at a time, which stay in
/// its cache while all rows pass over them.
inline void multiply_packing(Rows<const float> x, Rows<const float> weight, float beta, Rows<float> y) {
  constexpr Index cached_words = 65536;  // 256 KB
  const Index group = std::max<Index>(1, cached_words / (weight.columns * panel_columns));
  parallel_chunks(panels_of(weight.rows), panel_grain(x.rows, x.columns), [&](Index first, Index last) {
    const auto words = allocate_storage<float>(Cpu{}, std::min(group, last - first) * weight.columns * panel_columns);
    for (Index panel = first; panel < last; panel += group) {
      const Index count = std::min(group, last - panel);
      const Index begin = panel * panel_columns;
      const Index end = std::min(weight.rows, (panel + count) * panel_columns);
      const Rows<const float> some = weight.rows_between(begin, end);
      for (Index i = 0; i < count; ++i) pack_panel(some, i, WeightFormat::float32, words.get());
      multiply_panels<WeightFormat::float32>(x, words.get(), y.columns_between(begin, end), 0, count, beta != 0);
    }
  });
}

}  // namespace detail

/// y [M, N] = x [M, K] W^T for packed W [N, K], best up to a few hundred rows. Throws Error if the shapes do not fit.
inline void multiply(Cpu, Rows<const float> x, const PackedWeights& weights, Rows<float> y) {
  if (x.columns != weights.inputs() || y.columns != weights.outputs() || x.rows != y.rows) {
    throw Error("[multiply] expected [M, K] x [N, K]^T = [M, N], got " + detail::shape_text(x) + " x [" +
                std::to_string(weights.outputs()) + ", " + std::to_string(weights.inputs()) +
                "]^T = " + detail::shape_text(y));
  }
  if (x.rows == 0) return;
  if (x.columns == 0) {
    for (Index r = 0; r < y.rows; ++r) std::fill_n(y.row(r), y.columns, 0.0f);
    return;
  }
  parallel_chunks(weights.panels(), detail::panel_grain(x.rows, x.columns), [&](Index first, Index last) {
    if (weights.format() == WeightFormat::float32) {
      detail::multiply_panels<WeightFormat::float32>(x, weights.words(), y, first, last, false);
    } else {
      detail::multiply_panels<WeightFormat::bf16>(x, weights.words(), y, first, last, false);
    }
  });
}

}  // namespace caprl
