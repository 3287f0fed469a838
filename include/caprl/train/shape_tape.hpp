#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "caprl/core/threads.hpp"
#include "caprl/nn/linear.hpp"
#include "caprl/tensor/cpu/head_tiles.hpp"
#include "caprl/tensor/cpu/tree_attention_backward.hpp"
#include "caprl/tensor/cpu/tree_attention_forward.hpp"
#include "caprl/tensor/tree_attention_options.hpp"
#include "caprl/train/shape_var.hpp"

/// How much memory a computation will take, worked out from shapes alone: the ops of autograd/ once more, each holding
/// and letting go of what its namesake does and computing nothing. Numbers are float, on the CPU.
namespace caprl {

/// The ops that a computation goes through, recorded for its backward pass or not. Each is named after the op whose
/// memory it stands for, and the comments say only what that one keeps beyond its inputs and its result.
class ShapeTape {
 public:
  ShapeTape(MemoryMeter& meter, bool records) : meter_(meter), records_(records) {}
  ShapeTape(const ShapeTape&) = delete;
  ShapeTape& operator=(const ShapeTape&) = delete;

  bool records() const { return records_; }
  HeldNumbers hold(Index numbers) const { return HeldNumbers(meter_, numbers); }
  /// A tensor that no op has made.
  ShapeVar leaf(Index rows, Index columns, bool needs_gradient = false) const {
    return ShapeVar(rows, columns, hold(rows * columns), needs_gradient);
  }
  /// The same numbers without what made them.
  ShapeVar detached(const ShapeVar& x, bool needs_gradient) const {
    return ShapeVar(x.rows(), x.columns(), x.value(), needs_gradient);
  }

  void seed_gradient(const ShapeVar& x) const { x.gradient() = hold(x.numbers()); }

  void backward() {
    while (!backwards_.empty()) {
      const auto pass = std::move(backwards_.back());
      backwards_.pop_back();
      pass();
    }
  }

  /// Keeps what `pass` owns until the backward pass, which calls it if a gradient has reached `result`.
  template <class Pass>
  void record(const ShapeVar& result, Pass pass) {
    if (!records_ || !result.needs_gradient()) return;
    backwards_.push_back([result, run = std::move(pass)] {
      if (result.gradient()) run();
    });
  }

  void add_gradient(const ShapeVar& x, const HeldNumbers& gradient) const {
    if (x.needs_gradient() && !x.gradient()) x.gradient() = gradient;
  }
  void hand_on_gradient(const ShapeVar& result, const ShapeVar& input) const {
    add_gradient(input, std::exchange(result.gradient(), {}));
  }

  /// linear.hpp, low_rank.hpp
  template <class T, class Device>
  ShapeVar linear(const ShapeVar& x, const Linear<T, Device>& layer) {
    const ShapeVar y = linear(x, layer.weight, layer.bias);
    add_adapters(y, x, layer);
    return y;
  }
  template <class T, class Device>
  ShapeVar linear(const ShapeVar& x, const Parameter<T, Device>& weight, const Parameter<T, Device>& bias = {}) {
    const ShapeVar y = result(x.rows(), weight.shape()[0], x, weight, bias);
    record(y, [this, x] { gradient_slot(x); });
    return y;
  }
  template <class T, class Device>
  ShapeVar linear_residual(const ShapeVar& x, const Linear<T, Device>& layer, const ShapeVar& residual) {
    const ShapeVar y = result(x.rows(), layer.weight.shape()[0], x, layer.weight, layer.bias, residual);
    record(y, [this, x, y, residual] {
      gradient_slot(x);
      hand_on_gradient(y, residual);
    });
    add_adapters(y, x, layer);
    return y;
  }

  /// norm.hpp: a row has one moment (rms_norm) or two (layer_norm).
  template <class... Parameters>
  ShapeVar norm(const ShapeVar& x, const Parameters&... parameters) {
    const ShapeVar y = result(x.rows(), x.columns(), x, parameters...);
    record(y, [this, x, moments = hold(x.rows() * static_cast<Index>(sizeof...(parameters)))] {
      const HeldNumbers unasked = x.needs_gradient() ? HeldNumbers() : hold(x.numbers());
      gradient_slot(x);
    });
    return y;
  }

  /// norm.hpp: a copy of the columns before, and a moment of each head.
  template <class T, class Device>
  void head_norm_in_place(const ShapeVar& x, Index columns, const Parameter<T, Device>& gain) {
    if (records_ && gain.needs_gradient()) x.require_gradient();
    const bool kept = records_ && x.needs_gradient();
    record(x, [before = hold(kept ? x.rows() * columns : 0),
               moments = hold(x.rows() * columns / gain.shape().elements())] {});
  }

  /// rotary.hpp: the table of angles.
  void rotary_in_place(const ShapeVar& x, const std::vector<HeldNumbers>& angles) {
    record(x, [angles] {});
  }

  /// attention.hpp: the logarithm of each query's sum.
  ShapeVar tree_attention(const ShapeVar& qkv, const AttentionRows& rows, const TreeAttentionOptions& options) {
    return attended(qkv, {}, rows, options, 0);
  }
  /// The same below a prefix [rows, 2 Hk D] that is a leaf: keys and values of both.
  ShapeVar tree_attention_below(const ShapeVar& prefix, const ShapeVar& qkv, const AttentionRows& rows,
                                const TreeAttentionOptions& options) {
    return attended(qkv, prefix, rows, options, (prefix.rows() + qkv.rows()) * prefix.columns());
  }

  /// activation.hpp
  ShapeVar swiglu(const ShapeVar& gate_up) { return assigning(gate_up, gate_up.columns() / 2); }
  ShapeVar gelu(const ShapeVar& x) { return assigning(x, x.columns()); }

  /// convolution.hpp
  ShapeVar unfold(const ShapeVar& x, Index rows, Index columns) { return assigning(x, rows, columns); }

  /// add.hpp
  ShapeVar add(const ShapeVar& a, const ShapeVar& b) {
    const ShapeVar y = result(a.rows(), a.columns(), a, b);
    record(y, [this, a, b, y] {
      if (a.needs_gradient() && b.needs_gradient()) add_gradient(a, hold(a.numbers()));
      hand_on_gradient(y, b.needs_gradient() ? b : a);
    });
    return y;
  }

  /// reshape.hpp
  ShapeVar reshape(const ShapeVar& x, Index rows, Index columns) {
    const ShapeVar y(rows, columns, x.value(), records_ && x.needs_gradient());
    record(y, [this, x, y] { hand_on_gradient(y, x); });
    return y;
  }

  /// take_rows.hpp
  ShapeVar take_rows(const ShapeVar& x, Index rows) {
    const ShapeVar y = result(rows, x.columns(), x);
    record(y, [this, x] { gradient_slot(x); });
    return y;
  }
  ShapeVar add_rows(const ShapeVar& x, const ShapeVar& features, Index rows) {
    const ShapeVar y = result(x.rows(), x.columns(), x, features);
    hold(rows * x.columns());
    record(y, [this, x, y, features, rows] {
      if (features.needs_gradient()) {
        gradient_slot(features);
        hold(rows * x.columns());
      }
      hand_on_gradient(y, x);
    });
    return y;
  }
  template <class T, class Device>
  ShapeVar weighted_rows(const Parameter<T, Device>& table, Index rows, const HeldNumbers& weights) {
    const ShapeVar y = result(rows, table.shape()[1], table);
    record(y, [weights] {});
    return y;
  }

  /// embedding.hpp
  template <class T, class Device>
  ShapeVar embed(const Parameter<T, Device>& table, const ShapeVar& features, Index rows) {
    const ShapeVar y = result(rows, table.shape()[1], table, features);
    record(y, [this, features] { gradient_slot(features); });
    return y;
  }

  /// log_probability.hpp, for `pairs` pairs of which `rows` rows are distinct: the logarithm of each one's sum. At
  /// work, a tile of logits and two of hidden states.
  template <class T, class Device>
  ShapeVar token_log_probabilities(const ShapeVar& hidden, const Parameter<T, Device>& head, Index rows, Index pairs) {
    const ShapeVar y = result(1, pairs, hidden, head);
    const HeldNumbers log_total = hold(pairs);
    const Index vocabulary = head.shape()[0];
    hold_head_tiles(rows, vocabulary, hidden.columns());
    record(y, [this, hidden, log_total, rows, vocabulary] {
      gradient_slot(hidden);
      hold_head_tiles(rows, vocabulary, hidden.columns());
    });
    return y;
  }

  /// recompute.hpp: of `compute(tape, x)` the result alone.
  template <class Compute>
  ShapeVar recompute(const ShapeVar& x, const Compute& compute, bool has_parameters) {
    if (!records_ || !(has_parameters || x.needs_gradient())) return compute(*this, x);
    ShapeTape silent(meter_, false);
    const ShapeVar y = detached(compute(silent, x), true);
    record(y, [this, x, y, compute] {
      ShapeTape tape(meter_, true);
      const ShapeVar input = detached(x, x.needs_gradient());
      const ShapeVar again = compute(tape, input);
      hand_on_gradient(y, again);
      tape.backward();
      if (input.gradient()) add_gradient(x, input.gradient());
    });
    return y;
  }

 private:
  template <class... Inputs>
  ShapeVar result(Index rows, Index columns, const Inputs&... inputs) const {
    return leaf(rows, columns, records_ && (inputs.needs_gradient() || ...));
  }

  void gradient_slot(const ShapeVar& x) const {
    if (x.needs_gradient() && !x.gradient()) x.gradient() = hold(x.numbers());
  }

  /// An op whose backward pass makes a gradient and then adds it to what is there.
  ShapeVar assigning(const ShapeVar& x, Index rows, Index columns) {
    const ShapeVar y = result(rows, columns, x);
    record(y, [this, x] { add_gradient(x, hold(x.numbers())); });
    return y;
  }
  ShapeVar assigning(const ShapeVar& x, Index columns) { return assigning(x, x.rows(), columns); }

  template <class T, class Device>
  void add_adapters(const ShapeVar& y, const ShapeVar& x, const Linear<T, Device>& layer) {
    for (const auto& adapter : *layer.adapters) {
      if (adapter.merged()) continue;
      const auto& term = adapter.term;
      if (records_ && (x.needs_gradient() || term.a.needs_gradient() || term.b.needs_gradient())) y.require_gradient();
      const Index numbers = x.rows() * term.a.shape()[0];
      record(y, [this, x, numbers, h = hold(numbers)] {
        const HeldNumbers dh = hold(numbers);
        gradient_slot(x);
      });
    }
  }

  ShapeVar attended(const ShapeVar& qkv, const ShapeVar& prefix, const AttentionRows& rows,
                    const TreeAttentionOptions& options, Index gathered_numbers) {
    const HeldNumbers gathered = hold(gathered_numbers);
    const ShapeVar y = result(rows.queries, options.query_heads * options.head_size, qkv, prefix);
    const HeldNumbers log_sums = hold(rows.queries * options.query_heads);
    hold_forward_tiles(rows, options);
    record(y, [this, qkv, prefix, rows, options, gathered_numbers, gathered, log_sums] {
      const HeldNumbers d_qkv = hold(qkv.numbers());
      const HeldNumbers d_gathered = hold(gathered_numbers);
      hold_backward_tiles(rows, options);
      if (prefix.defined()) add_gradient(prefix, d_gathered);
      add_gradient(qkv, d_qkv);
    });
    return y;
  }

  /// tree_attention_forward.hpp: keys turned and values, padded, and what each thread works in.
  void hold_forward_tiles(const AttentionRows& rows, const TreeAttentionOptions& options) const {
    const Index padded = detail::padded_columns<float>(options.head_size);
    const HeldNumbers keys = hold(options.key_heads * rows.key_tiles * detail::tile_rows * padded);
    const HeldNumbers values = hold(options.key_heads * rows.key_tiles * detail::tile_rows * padded);
    hold(threads() * detail::tile_rows * (2 * padded + detail::tile_rows));
  }

  /// tree_attention_backward.hpp: queries and gradients of results, padded, and gradients of queries for each part.
  void hold_backward_tiles(const AttentionRows& rows, const TreeAttentionOptions& options) const {
    const Index padded = detail::padded_columns<float>(options.head_size);
    const Index queries = options.query_heads * rows.queries;
    const HeldNumbers scaled = hold(queries * padded), out_gradients = hold(queries * padded), means = hold(queries);
    const HeldNumbers by_part = hold(detail::key_parts(rows.scores, options.key_heads) * queries * padded);
    hold(threads() * (5 * detail::tile_rows * padded + 2 * detail::tile_rows * detail::tile_rows));
  }

  /// head_tiles.hpp
  void hold_head_tiles(Index rows, Index vocabulary, Index columns) const {
    const detail::HeadTile largest;
    const Index tile_columns = std::min(vocabulary, largest.columns);
    const Index tile_rows = std::min(rows, std::max<Index>(1, largest.elements / tile_columns));
    const HeldNumbers logits = hold(tile_rows * (tile_columns + 16));
    const HeldNumbers gathered = hold(tile_rows * columns), gradient = hold(tile_rows * columns);
  }

  MemoryMeter& meter_;
  bool records_;
  std::vector<std::function<void()>> backwards_;
};

}  // namespace caprl
