#include <doctest/doctest.h>

#include "caprl/caprl.hpp"

// The umbrella stands in two translation units of this program: nothing in it may be defined twice.
caprl::Index rows_seen_by_second();

TEST_CASE("the umbrella header can be in several translation units") {
  const std::vector<caprl::Index> lengths{2, 3};
  CHECK(caprl::PrefixTree::from_lengths(lengths).rows() == rows_seen_by_second());
}
