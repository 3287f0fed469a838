#include "caprl/caprl.hpp"

caprl::Index rows_seen_by_second();

caprl::Index rows_seen_by_second() {
  const std::vector<caprl::Index> lengths{5};
  return caprl::PrefixTree::from_lengths(lengths).rows();
}
