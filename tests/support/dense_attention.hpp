#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "caprl/core/random.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/rows.hpp"
#include "caprl/tensor/tensor.hpp"
#include "caprl/tensor/tree_attention_options.hpp"

/// Attention over a prefix tree written as plainly as it can be, in double, with a dense mask that is made by walking
/// from each row to its root: nothing of the library's row ranges is used.
namespace caprl::reference {

using Matrix = std::vector<std::vector<double>>;

inline Matrix zeros(Index rows, Index columns) {
  return Matrix(static_cast<std::size_t>(rows), std::vector<double>(static_cast<std::size_t>(columns), 0.0));
}

inline bool sees(const PrefixTree& tree, const TreeAttentionOptions& options, Index query, Index key) {
  const Index own = tree.segment_of(query);
  bool seen = tree.segment_of(key) == own && (!options.causal_within || key <= query);
  for (Index s = tree.segment(own).parent; s >= 0; s = tree.segment(s).parent) seen |= tree.segment_of(key) == s;
  return seen && (options.window == 0 || tree.depth(query) - tree.depth(key) < options.window);
}

struct Attention {
  const PrefixTree& tree;
  TreeAttentionOptions options;
  Index query_row_begin;
  Matrix q, k, v;  // q has a row for each query

  Matrix out = zeros(static_cast<Index>(q.size()), options.query_heads* options.head_size);
  Matrix log_sum_exp = zeros(static_cast<Index>(q.size()), options.query_heads);
  Matrix d_q = zeros(static_cast<Index>(q.size()), options.query_heads* options.head_size);
  Matrix d_k = zeros(static_cast<Index>(k.size()), options.key_heads* options.head_size);
  Matrix d_v = d_k;

  std::vector<double> weights(std::size_t r, Index head, double& lse) const {
    const Index column = head / options.group() * options.head_size;
    std::vector<double> result(k.size(), 0.0);
    std::vector<double> scores(k.size(), 0.0);
    double greatest = -1e300;
    for (std::size_t j = 0; j < k.size(); ++j) {
      for (Index c = 0; c < options.head_size; ++c) {
        scores[j] += static_cast<double>(options.scale) * q[r][static_cast<std::size_t>(head * options.head_size + c)] *
                     k[j][static_cast<std::size_t>(column + c)];
      }
      if (!sees(tree, options, query_row_begin + static_cast<Index>(r), static_cast<Index>(j))) scores[j] = -1e300;
      greatest = std::max(greatest, scores[j]);
    }
    double sum = 0;
    for (std::size_t j = 0; j < k.size(); ++j)
      sum += result[j] = scores[j] == -1e300 ? 0 : std::exp(scores[j] - greatest);
    for (double& weight : result) weight /= sum;
    lse = greatest + std::log(sum);
    return result;
  }

  void forward() {
    for (std::size_t r = 0; r < q.size(); ++r) {
      for (Index head = 0; head < options.query_heads; ++head) {
        const std::vector<double> p = weights(r, head, log_sum_exp[r][static_cast<std::size_t>(head)]);
        for (std::size_t j = 0; j < k.size(); ++j) {
          for (Index c = 0; c < options.head_size; ++c) {
            out[r][static_cast<std::size_t>(head * options.head_size + c)] +=
                p[j] * v[j][static_cast<std::size_t>(head / options.group() * options.head_size + c)];
          }
        }
      }
    }
  }

  void backward(const Matrix& d_out) {
    for (std::size_t r = 0; r < q.size(); ++r) {
      for (Index head = 0; head < options.query_heads; ++head) {
        double lse = 0;
        const std::vector<double> p = weights(r, head, lse);
        const auto at = [&](Index c) { return static_cast<std::size_t>(head * options.head_size + c); };
        const auto key_at = [&](Index c) {
          return static_cast<std::size_t>(head / options.group() * options.head_size + c);
        };
        std::vector<double> d_p(k.size(), 0.0);
        double mean = 0;
        for (std::size_t j = 0; j < k.size(); ++j) {
          for (Index c = 0; c < options.head_size; ++c) d_p[j] += d_out[r][at(c)] * v[j][key_at(c)];
          mean += p[j] * d_p[j];
        }
        for (std::size_t j = 0; j < k.size(); ++j) {
          const double d_score = static_cast<double>(options.scale) * p[j] * (d_p[j] - mean);
          for (Index c = 0; c < options.head_size; ++c) {
            d_v[j][key_at(c)] += p[j] * d_out[r][at(c)];
            d_q[r][at(c)] += d_score * k[j][key_at(c)];
            d_k[j][key_at(c)] += d_score * q[r][at(c)];
          }
        }
      }
    }
  }
};

/// A random forest: now and then a root, a chain, many children of one segment; about one segment in eight is empty.
inline PrefixTree random_forest(RandomStream& random, Index segments, Index longest) {
  std::vector<Index> parents, lengths;
  for (Index s = 0; s < segments; ++s) {
    Index parent = s - 1;
    for (std::uint32_t climbs = random.below(4) == 0 ? random.below(6) : random.below(2); climbs > 0 && parent >= 0;
         --climbs) {
      parent = parents[static_cast<std::size_t>(parent)];
    }
    parents.push_back(parent);
    lengths.push_back(random.below(8) == 0 ? 0
                                           : 1 + static_cast<Index>(random.below(static_cast<std::uint32_t>(longest))));
  }
  return PrefixTree::from_segments(parents, lengths);
}

template <class T>
Tensor<T> random_tensor(RandomStream& random, Index rows, Index columns) {
  Tensor<T> tensor({rows, columns});
  for (T& value : tensor.span()) value = static_cast<T>(random.normal());
  return tensor;
}

template <class T>
Matrix matrix_of(Rows<T> rows) {
  Matrix matrix = zeros(rows.rows, rows.columns);
  for (Index r = 0; r < rows.rows; ++r) {
    for (Index c = 0; c < rows.columns; ++c)
      matrix[static_cast<std::size_t>(r)][static_cast<std::size_t>(c)] = static_cast<double>(rows(r, c));
  }
  return matrix;
}

/// Norm of the difference over the norm of what is expected (or the difference alone where that is 0).
template <class T>
double relative_difference(Rows<T> got, const Matrix& expected) {
  double difference = 0, norm = 0;
  for (Index r = 0; r < got.rows; ++r) {
    for (Index c = 0; c < got.columns; ++c) {
      const double value = expected[static_cast<std::size_t>(r)][static_cast<std::size_t>(c)];
      difference += (static_cast<double>(got(r, c)) - value) * (static_cast<double>(got(r, c)) - value);
      norm += value * value;
    }
  }
  return std::sqrt(difference) / (norm > 0 ? std::sqrt(norm) : 1.0);
}

}  // namespace caprl::reference
