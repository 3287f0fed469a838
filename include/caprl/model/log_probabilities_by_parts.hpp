#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "caprl/autograd/log_probability.hpp"
#include "caprl/model/decoder.hpp"
#include "caprl/model/layer_features.hpp"
#include "caprl/tensor/prefix_tree_split.hpp"

namespace caprl {

namespace detail {

/// A decoder's log-probabilities over a tree that is too large for memory, part by part. Nothing is kept between the
/// forward and the backward pass, which computes each part again: a part's prefix are leaves whose gradients its
/// children add to, and it is back-propagated once, after them.
template <class T, class Device>
class PartsOfDecoder {
 public:
  PartsOfDecoder(const Decoder<T, Device>& decoder, const Var<T, Device>& x, const PrefixTree& tree,
                 std::vector<HeadPair> pairs, double inverse_temperature, Index row_budget,
                 const RotaryPositions& positions, const LayerFeatures<T, Device>& features)
      : decoder_(decoder),
        x_(x),
        pairs_(std::move(pairs)),
        inverse_temperature_(inverse_temperature),
        positions_(positions),
        features_(features),
        plans_(plan_by_subtrees(tree, row_budget)) {}

  void forward(const Tensor<T, Device>& log_probabilities) const {
    const NoGradient silent;
    for (const SubtreePlan& plan : plans_) run(plan, {}, log_probabilities, nullptr);
  }

  /// Adds the gradients of the parameters, of x and of the features.
  void backward(const Tensor<T, Device>& gradient) const {
    const Tensor<T, Device> dx = x_.needs_gradient() ? Tensor<T, Device>(x_.shape()) : Tensor<T, Device>();
    for (const SubtreePlan& plan : plans_) run(plan, {}, gradient, &dx);
    if (x_.needs_gradient()) add_gradient(x_, dx);
  }

 private:
  /// For each layer the keys and values [rows, 2 Hk D] of a path: leaves.
  using KeysValues = std::vector<Var<T, Device>>;

  /// Computes a part and all that is below it. Without `dx` it writes its log-probabilities to `numbers`; with it,
  /// those are their gradients, and the part is back-propagated.
  void run(const SubtreePlan& plan, const KeysValues& prefix, const Tensor<T, Device>& numbers,
           const Tensor<T, Device>* dx) const {
    const bool backward = dx != nullptr;
    std::optional<Tape> tape;
    if (backward) tape.emplace();
    const DropoutScope rows(DropoutScope::of_rows_from(plan.row_begin()));
    const Var<T, Device> x(x_.value().slice(plan.row_begin(), plan.row_end()), backward && x_.needs_gradient());
    KeysValues path(plan.below.empty() ? 0 : decoder_.blocks.size());
    const LayerFeatures<T, Device> features = leaves(plan, backward);
    const auto attend = [&](Index layer, const Var<T, Device>& qkv) {
      const auto l = static_cast<std::size_t>(layer);
      const auto options = decoder_.blocks[l].attention_options();
      const Var<T, Device>* above = prefix.empty() ? nullptr : &prefix[l];
      if (!path.empty()) path[l] = extend(above, qkv, options);
      return above == nullptr ? tree_attention(qkv, plan.part.tree, options)
                              : tree_attention_below(*above, qkv, plan.part.tree, options);
    };
    const auto hidden = decoder_(x, angles(plan), attend, TapedProducts{}, features);
    const auto [pairs, places] = pairs_of(plan);
    const auto log_probabilities = token_log_probabilities(hidden, decoder_.head, pairs, inverse_temperature_);
    for (const SubtreePlan& child : plan.below) run(child, path, numbers, dx);
    T* own = log_probabilities.value().data();
    if (!backward) {
      for (std::size_t i = 0; i < places.size(); ++i) numbers.data()[places[i]] = own[i];
      return;
    }
    Tensor<T, Device> gradient(log_probabilities.shape());
    for (std::size_t i = 0; i < places.size(); ++i) gradient.data()[i] = numbers.data()[places[i]];
    log_probabilities.seed_gradient(std::move(gradient));
    tape->backward();
    if (x.needs_gradient()) {
      copy_rows(Device{}, x.gradient().rows(), dx->rows().rows_between(plan.row_begin(), plan.row_end()));
    }
    for (std::size_t layer = 0; layer < features.of_layers.size(); ++layer) {
      const Var<T, Device>& leaf = features.of_layers[layer];
      if (leaf.needs_gradient() && leaf.has_gradient()) add_gradient(features_.of_layers[layer], leaf.gradient());
    }
  }

  /// The features of a part's rows, with gradients of their own.
  LayerFeatures<T, Device> leaves(const SubtreePlan& plan, bool backward) const {
    LayerFeatures<T, Device> part = features_.between(plan.row_begin(), plan.row_end());
    for (Var<T, Device>& layer : part.of_layers) {
      layer = Var<T, Device>(layer.value(), backward && layer.needs_gradient());
    }
    return part;
  }

  RotaryTable<Device> angles(const SubtreePlan& plan) const {
    if (!positions_.values.empty()) return decoder_.rotary(positions_.between(plan.row_begin(), plan.row_end()));
    return decoder_.rotary(plan.part.tree.depths().subspan(static_cast<std::size_t>(plan.part.prefix_rows)));
  }

  /// The keys and values above, and those of the part's own rows, as a leaf. Its gradient goes back to both.
  static Var<T, Device> extend(const Var<T, Device>* above, const Var<T, Device>& qkv,
                               const TreeAttentionOptions& options) {
    const FusedHeads<T> heads(qkv.rows(), options);
    const Index above_rows = above == nullptr ? 0 : above->shape()[0];
    const Tensor<T, Device> both({above_rows + qkv.shape().rows(), heads.keys_values.columns});
    if (above != nullptr) copy_rows(Device{}, above->rows(), both.rows().rows_between(0, above_rows));
    copy_rows(Device{}, heads.keys_values, both.rows().rows_between(above_rows, both.shape()[0]));
    const Var<T, Device> leaf(both, needs_backward(qkv));
    // Recorded before the part's attention, this runs after that has set the gradient of qkv.
    record_backward(leaf, [=, kept = above == nullptr ? Var<T, Device>() : *above] {
      const FusedHeads<T> d(qkv.gradient().rows(), options);
      const Tensor<T, Device>& gradient = leaf.gradient();
      add_into<Device, T>(Device{}, gradient.rows().rows_between(above_rows, gradient.shape()[0]), d.keys_values);
      if (kept.defined()) add_gradient(kept, gradient.slice(0, above_rows));
    });
    return leaf;
  }

  /// The pairs that ask for the part's rows, counted from its first, and their places among all.
  std::pair<std::vector<HeadPair>, std::vector<std::size_t>> pairs_of(const SubtreePlan& plan) const {
    std::vector<HeadPair> pairs;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      if (pairs_[i].row < plan.row_begin() || pairs_[i].row >= plan.row_end()) continue;
      pairs.push_back({pairs_[i].row - plan.row_begin(), pairs_[i].target});
      places.push_back(i);
    }
    return {std::move(pairs), std::move(places)};
  }

  Decoder<T, Device> decoder_;
  Var<T, Device> x_;
  std::vector<HeadPair> pairs_;
  double inverse_temperature_;
  RotaryPositions positions_;
  LayerFeatures<T, Device> features_;
  std::vector<SubtreePlan> plans_;
};

}  // namespace detail

/// The log-probabilities of `pairs` [pairs] as `token_log_probabilities` gives them for decoder(x, tree), with the
/// activations of at most about `row_budget` rows (and one prefix) in memory at once, for the price of a second forward
/// pass. x [rows, C] are the embedded tokens of all rows, `positions` [axes, rows] where they stand; without any, at
/// their depths; `features` is what is added to the outputs of the first layers.
template <class T, class Device>
Var<T, Device> log_probabilities_by_parts(const Decoder<T, Device>& decoder, const Var<T, Device>& x,
                                          const PrefixTree& tree, std::vector<HeadPair> pairs,
                                          double inverse_temperature, Index row_budget,
                                          const RotaryPositions& positions = {},
                                          const LayerFeatures<T, Device>& features = {}) {
  const auto count = static_cast<Index>(pairs.size());
  require(x.shape().rows() == tree.rows(), "[log_probabilities_by_parts] expected a row of x for each of the tree");
  for (const HeadPair& pair : pairs) {
    require(pair.row >= 0 && pair.row < tree.rows() && pair.target >= 0 && pair.target < decoder.head.shape()[0],
            "[log_probabilities_by_parts] expected pairs of a row of the tree and a token of the vocabulary");
  }
  const bool needs_gradient = Tape::recording() && (x.needs_gradient() || any_needs_gradient<T, Device>(decoder));
  const Var<T, Device> result(Tensor<T, Device>({count}), needs_gradient);
  require(positions.values.empty() || positions.rows() == tree.rows(),
          "[log_probabilities_by_parts] expected a position for each row of the tree");
  const detail::PartsOfDecoder<T, Device> parts(decoder, x, tree, std::move(pairs), inverse_temperature, row_budget,
                                                positions, features);
  parts.forward(result.value());
  record_backward(result, [=, dropout = DropoutScope::current()] {
    const DropoutScope same_draws(dropout);
    parts.backward(result.gradient());
  });
  return result;
}

}  // namespace caprl
