#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/tensor/rows.hpp"

namespace caprl {

/// Asks for the probability of `target` after the token whose hidden state is in `row`. Several pairs may share a row
/// (the first tokens of all captions of a group): its logits are made once, and the gradients add.
struct HeadPair {
  Index row = 0;
  Token target = 0;
};

/// The rows that pairs read, ascending and each once; numbers the pairs' rows by their place among them.
inline std::vector<Index> number_rows_read(std::vector<HeadPair>& pairs) {
  std::vector<Index> rows;
  for (const HeadPair& pair : pairs) rows.push_back(pair.row);
  std::ranges::sort(rows);
  rows.erase(std::ranges::unique(rows).begin(), rows.end());
  for (HeadPair& pair : pairs) pair.row = std::ranges::lower_bound(rows, pair.row) - rows.begin();
  return rows;
}

/// What the forward pass writes, one number for each pair; only `log_probability` must be given.
template <class T>
struct HeadOutput {
  std::span<T> log_probability;  ///< log softmax(z / temperature)[target]
  std::span<T> log_total;        ///< log(sum(exp(z / temperature))) of the pair's row: the backward pass needs it
};

/// Where the backward pass adds; without data it is left out (a frozen head, a frozen body).
template <class T>
struct HeadGradient {
  Rows<T> hidden;  ///< [T, C]
  Rows<T> weight;  ///< [V, C]
};

}  // namespace caprl
