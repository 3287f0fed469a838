#pragma once

#include <vector>

#include "caprl/autograd/take_rows.hpp"
#include "caprl/autograd/var.hpp"

namespace caprl {

/// What is added to the outputs of a decoder's first layers, in the rows of pictures (DeepStack: Meng et al., 2024,
/// arXiv 2406.04334).
template <class T, class Device = Cpu>
struct LayerFeatures {
  std::vector<Var<T, Device>> of_layers{};  ///< for each of the first layers [features, C]
  std::vector<Index> rows{};                ///< of the decoder's input, in their order
  std::vector<Index> sources{};             ///< for each of `rows`, the row of the features

  /// A layer's output x [rows, C], with its features if it has any.
  Var<T, Device> added(std::size_t layer, const Var<T, Device>& x) const {
    return layer < of_layers.size() && !rows.empty() ? add_rows(x, of_layers[layer], rows, sources) : x;
  }

  /// Those of rows [begin, end), counted from `begin`.
  LayerFeatures between(Index begin, Index end) const {
    LayerFeatures part{.of_layers = of_layers, .rows = {}, .sources = {}};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] < begin || rows[i] >= end) continue;
      part.rows.push_back(rows[i] - begin);
      part.sources.push_back(sources[i]);
    }
    return part;
  }
};

}  // namespace caprl
