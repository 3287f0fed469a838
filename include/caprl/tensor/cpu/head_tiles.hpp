#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/tensor/cpu/gemm.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/head_pairs.hpp"
#include "caprl/tensor/kernels/gather.hpp"
#include "caprl/tensor/tensor.hpp"

/// The output head and the log-probabilities of tokens, without a [tokens, vocabulary] buffer: logits are made a tile
/// at a time, read, and dropped; the backward pass makes them again.
namespace caprl {

namespace detail {

/// One row's softmax while its tiles pass by: the greatest scaled logit so far, and sums relative to it.
template <class T>
struct HeadRow {
  T top = -std::numeric_limits<T>::infinity();
  T sum = 0;  ///< of exp(z - top)

  T log_total() const { return top + std::log(sum); }
};

/// The logits held at a time: 16 MB of float, no row wider than `columns`.
struct HeadTile {
  Index elements = Index{1} << 22;
  Index columns = 16384;
};

template <class T>
class Head {
 public:
  Head(Rows<const T> hidden, Rows<const T> weight, std::span<const HeadPair> pairs, T inverse_temperature,
       HeadTile largest = {})
      : hidden_(hidden), weight_(weight), pairs_(pairs), inverse_temperature_(inverse_temperature) {
    check();
    std::vector<Index> rows(pairs.size());
    std::transform(pairs.begin(), pairs.end(), rows.begin(), [](const HeadPair& pair) { return pair.row; });
    groups_ = group_by_place(std::span<const Index>(rows));
    tile_columns_ = std::min<Index>(weight.rows, largest.columns);
    tile_rows_ =
        std::min(static_cast<Index>(groups_.places.size()), std::max<Index>(1, largest.elements / tile_columns_));
    logits_ = Tensor<T>({tile_rows_, tile_columns_ + 16});  // rows a multiple of 4 KB apart would collide in the cache
    gathered_ = Tensor<T>({tile_rows_, hidden.columns});
    hidden_gradient_ = Tensor<T>({tile_rows_, hidden.columns});
    states_.resize(static_cast<std::size_t>(tile_rows_));
  }

  void forward(const HeadOutput<T>& output) {
    for_row_tiles([&](Index first, Index count) {
      read_tiles(first, count, output.log_probability);
      finish(first, count, output);
    });
  }

  void backward(std::span<const T> log_total, std::span<const T> derivative, const HeadGradient<T>& gradient) {
    for_row_tiles([&](Index first, Index count) { turn_back(first, count, log_total, derivative, gradient); });
  }

 private:
  void check() const {
    if (hidden_.columns != weight_.columns) {
      throw Error("[head] expected hidden [T, C] and weight [V, C], got " + shape_text(hidden_) + " and " +
                  shape_text(weight_));
    }
    for (const HeadPair& pair : pairs_) {
      if (pair.row < 0 || pair.row >= hidden_.rows || pair.target < 0 || pair.target >= weight_.rows) {
        throw Error("[head] expected rows below " + std::to_string(hidden_.rows) + " and targets below " +
                    std::to_string(weight_.rows) + ", got the pair (" + std::to_string(pair.row) + ", " +
                    std::to_string(pair.target) + ")");
      }
    }
  }

  static Index row_grain(Index columns) { return std::max<Index>(1, 4096 / columns); }
  Index group_begin(Index group) const { return groups_.starts[static_cast<std::size_t>(group)]; }
  Index group_end(Index group) const { return groups_.starts[static_cast<std::size_t>(group) + 1]; }
  Index place(Index group) const { return groups_.places[static_cast<std::size_t>(group)]; }
  /// The pair that is the i-th of its group.
  std::size_t pair_of(Index group, Index i) const {
    return static_cast<std::size_t>(groups_.order[static_cast<std::size_t>(group_begin(group) + i)]);
  }
  Index group_size(Index group) const { return group_end(group) - group_begin(group); }
  bool neighbours(Index first, Index count) const { return place(first + count - 1) - place(first) == count - 1; }

  template <class Body>
  void for_row_tiles(const Body& body) {
    const auto rows = static_cast<Index>(groups_.places.size());
    for (Index first = 0; first < rows; first += tile_rows_) body(first, std::min(tile_rows_, rows - first));
  }

  template <class Body>
  void for_column_tiles(const Body& body) {
    for (Index begin = 0; begin < weight_.rows; begin += tile_columns_) {
      body(begin, std::min(begin + tile_columns_, weight_.rows));
    }
  }

  /// The hidden states of `count` distinct rows: where they lie if they are neighbours, else a copy.
  Rows<const T> gather(Index first, Index count) {
    if (neighbours(first, count)) return hidden_.rows_between(place(first), place(first) + count);
    const Rows<T> copy = gathered_.rows().rows_between(0, count);
    parallel_for(count, row_grain(hidden_.columns),
                 [&](Index r) { std::copy_n(hidden_.row(place(first + r)), hidden_.columns, copy.row(r)); });
    return copy;
  }

  Rows<T> make_logits(Rows<const T> states, Index begin, Index end) {
    const Rows<T> z{logits_.data(), states.rows, end - begin, logits_.dim(1)};
    gemm<T>(Cpu{}, Transpose::no, Transpose::yes, T{1}, states, weight_.rows_between(begin, end), T{0}, z);
    return z;
  }

  void turn_back(Index first, Index count, std::span<const T> log_total, std::span<const T> derivative,
                 const HeadGradient<T>& gradient) {
    const Rows<const T> states = gather(first, count);
    for_column_tiles([&](Index begin, Index end) {
      const Rows<T> z = make_logits(states, begin, end);
      parallel_for(count, row_grain(end - begin),
                   [&](Index r) { replace_by_gradient(z.row(r), begin, end, first + r, log_total, derivative); });
      propagate(first, states, z, begin, end, gradient);
    });
    scatter(first, count, gradient);
  }

  void read_tiles(Index first, Index count, std::span<T> log_probability) {
    const Rows<const T> states = gather(first, count);
    std::fill(states_.begin(), states_.end(), HeadRow<T>{});
    for_column_tiles([&](Index begin, Index end) {
      const Rows<T> z = make_logits(states, begin, end);
      parallel_for(count, row_grain(end - begin), [&](Index r) {
        read_targets(z.row(r), begin, end, first + r, log_probability);
        read_row(z.row(r), end - begin, states_[static_cast<std::size_t>(r)]);
      });
    });
  }

  /// Leaves the targets' scaled logits in `log_probability`, until the row's total is known.
  void read_targets(const T* z, Index begin, Index end, Index group, std::span<T> log_probability) const {
    for (Index i = 0; i < group_size(group); ++i) {
      const std::size_t pair = pair_of(group, i);
      const Index target = pairs_[pair].target;
      if (target >= begin && target < end) log_probability[pair] = z[target - begin] * inverse_temperature_;
    }
  }

  void read_row(const T* z, Index columns, HeadRow<T>& state) const {
    const SerialTeam team;
    const T scale = inverse_temperature_;
    const T top = maximum(state.top, team.max<T>(columns, [&](auto at) { return at(z) * scale; }));
    const T shrink = state.sum == 0 ? T{0} : std::exp(state.top - top);
    state.sum = state.sum * shrink + team.sum<T>(columns, [&](auto at) { return exponential(at(z) * scale - top); });
    state.top = top;
  }

  void finish(Index first, Index count, const HeadOutput<T>& output) const {
    for (Index r = 0; r < count; ++r) {
      const HeadRow<T>& state = states_[static_cast<std::size_t>(r)];
      const T total = state.log_total();
      for (Index i = 0; i < group_size(first + r); ++i) {
        const std::size_t pair = pair_of(first + r, i);
        output.log_probability[pair] -= total;
        if (!output.log_total.empty()) output.log_total[pair] = total;
      }
    }
  }

  /// z becomes the loss's derivative by the logits: (sum over the row's pairs of g (1[target] - softmax)) /
  /// temperature.
  void replace_by_gradient(T* z, Index begin, Index end, Index group, std::span<const T> log_total,
                           std::span<const T> derivative) const {
    const T scale = inverse_temperature_;
    const T level = log_total[pair_of(group, 0)];
    T total = 0;
    for (Index i = 0; i < group_size(group); ++i) total += derivative[pair_of(group, i)];
    const T share = -scale * total;
    SerialTeam{}.each<T>(end - begin, [&](auto at) { at.store(z, exponential(at(z) * scale - level) * share); });
    for (Index i = 0; i < group_size(group); ++i) {
      const std::size_t pair = pair_of(group, i);
      const Index target = pairs_[pair].target;
      if (target >= begin && target < end) z[target - begin] += scale * derivative[pair];
    }
  }

  void propagate(Index first, Rows<const T> states, Rows<const T> dz, Index begin, Index end,
                 const HeadGradient<T>& gradient) {
    if (gradient.hidden.data != nullptr) {
      const bool in_place = neighbours(first, states.rows);
      const Rows<T> target = in_place ? gradient.hidden.rows_between(place(first), place(first) + states.rows)
                                      : hidden_gradient_.rows().rows_between(0, states.rows);
      gemm<T>(Cpu{}, Transpose::no, Transpose::no, T{1}, dz, weight_.rows_between(begin, end),
              in_place || begin > 0 ? T{1} : T{0}, target);
    }
    if (gradient.weight.data != nullptr) {
      gemm<T>(Cpu{}, Transpose::yes, Transpose::no, T{1}, dz, states, T{1}, gradient.weight.rows_between(begin, end));
    }
  }

  void scatter(Index first, Index count, const HeadGradient<T>& gradient) const {
    if (gradient.hidden.data == nullptr || neighbours(first, count)) return;
    parallel_for(count, row_grain(hidden_.columns), [&](Index r) {
      const T* from = hidden_gradient_.rows().row(r);
      T* to = gradient.hidden.row(place(first + r));
      for (Index c = 0; c < hidden_.columns; ++c) to[c] += from[c];
    });
  }

  Rows<const T> hidden_;
  Rows<const T> weight_;
  std::span<const HeadPair> pairs_;
  T inverse_temperature_;
  PlaceGroups groups_;
  Index tile_rows_ = 0;
  Index tile_columns_ = 0;
  Tensor<T> logits_;
  Tensor<T> gathered_;
  Tensor<T> hidden_gradient_;
  std::vector<HeadRow<T>> states_;
};

}  // namespace detail

}  // namespace caprl
