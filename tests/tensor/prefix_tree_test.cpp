#include "caprl/tensor/prefix_tree.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <initializer_list>
#include <set>
#include <utility>
#include <vector>

#include "caprl/core/random.hpp"
#include "caprl/tensor/prefix_tree_builder.hpp"
#include "caprl/tensor/prefix_tree_split.hpp"
#include "support/dense_attention.hpp"

using namespace caprl;

namespace {

std::vector<Index> indices(std::initializer_list<Index> values) { return values; }

std::vector<TokenKey> text(std::initializer_list<Token> ids) {
  std::vector<TokenKey> tokens;
  for (const Token id : ids) tokens.push_back({id, 0});
  return tokens;
}

std::pair<bool, std::uint64_t> value_of(const TokenKey& key) {
  return {key.media_hash != 0, key.media_hash != 0 ? key.media_hash : static_cast<std::uint64_t>(key.id)};
}

/// Distinct prefixes, counted without a tree.
std::size_t distinct_prefixes(const std::vector<std::vector<TokenKey>>& sequences) {
  std::set<std::vector<std::pair<bool, std::uint64_t>>> prefixes;
  for (const auto& sequence : sequences) {
    std::vector<std::pair<bool, std::uint64_t>> prefix;
    for (const TokenKey& key : sequence) {
      prefix.push_back(value_of(key));
      prefixes.insert(prefix);
    }
  }
  return prefixes.size();
}

void check_laws(const PrefixTree& tree) {
  Index row = 0;
  for (Index s = 0; s < tree.segment_count(); ++s) {
    const PrefixTree::Segment& segment = tree.segment(s);
    CHECK(segment.row_begin == row);
    CHECK(segment.parent < s);
    for (Index r = segment.row_begin; r < segment.row_end; ++r) {
      CHECK(tree.segment_of(r) == s);
      CHECK(tree.depth(r) == segment.depth + r - segment.row_begin);
    }
    Index descendants_end = segment.row_end;
    for (Index below = s + 1; below < tree.segment_count(); ++below) {
      Index above = tree.segment(below).parent;
      while (above > s) above = tree.segment(above).parent;
      if (above == s) descendants_end = tree.segment(below).row_end;
    }
    CHECK(segment.subtree_row_end == descendants_end);
    const std::vector<Index> path = tree.path_rows(s);
    for (std::size_t depth = 0; depth < path.size(); ++depth)
      CHECK(tree.depth(path[depth]) == static_cast<Index>(depth));
    row = segment.row_end;
  }
  CHECK(tree.rows() == row);
}

void check_reproduces(const SharedBatch& batch, const std::vector<std::vector<TokenKey>>& sequences) {
  REQUIRE(batch.lengths.size() == sequences.size());
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const std::vector<Index> rows = batch.rows(static_cast<Index>(s));
    REQUIRE(rows.size() == sequences[s].size());
    for (std::size_t p = 0; p < rows.size(); ++p) {
      const SharedBatch::Source& source = batch.sources[static_cast<std::size_t>(rows[p])];
      const auto& supplier = sequences[static_cast<std::size_t>(source.sequence)];
      REQUIRE(source.position == static_cast<Index>(p));
      REQUIRE(source.sequence <= static_cast<Index>(s));
      for (std::size_t before = 0; before <= p; ++before) REQUIRE(supplier[before] == sequences[s][before]);
      REQUIRE(batch.tree.depth(rows[p]) == static_cast<Index>(p));
      if (p > 0 && batch.tree.segment_of(rows[p]) == batch.tree.segment_of(rows[p - 1]))
        REQUIRE(rows[p] == rows[p - 1] + 1);
    }
  }
}

SharedBatch build(const std::vector<std::vector<TokenKey>>& sequences) {
  PrefixTreeBuilder builder;
  for (const auto& sequence : sequences) builder.add(sequence);
  return builder.build();
}

}  // namespace

TEST_CASE("a tree from segments knows rows, depths and subtrees") {
  const PrefixTree tree = PrefixTree::from_segments(indices({-1, 0, 1, 0, -1}), indices({3, 2, 1, 4, 2}));
  check_laws(tree);
  CHECK(tree.rows() == 12);
  CHECK(tree.segment(0) == PrefixTree::Segment{-1, 0, 3, 10, 0});
  CHECK(tree.segment(1) == PrefixTree::Segment{0, 3, 5, 6, 3});
  CHECK(tree.segment(3) == PrefixTree::Segment{0, 6, 10, 10, 3});
  CHECK(tree.path_rows(2) == indices({0, 1, 2, 3, 4, 5}));
  CHECK(tree.path_rows(3) == indices({0, 1, 2, 6, 7, 8, 9}));
  CHECK(PrefixTree::from_lengths(indices({2, 0, 3})) ==
        PrefixTree::from_segments(indices({-1, -1, -1}), indices({2, 0, 3})));
  CHECK(PrefixTree().rows() == 0);
}

TEST_CASE("random forests keep the laws") {
  for (std::uint32_t trial = 0; trial < 30; ++trial) {
    RandomStream random({.seed = 11, .item = trial});
    check_laws(reference::random_forest(random, 1 + static_cast<Index>(random.below(40)), 6));
  }
}

TEST_CASE("a tree refuses segments out of order") {
  const auto make = [](std::vector<Index> parents, std::vector<Index> lengths) {
    PrefixTree::from_segments(parents, lengths);
  };
  CHECK_THROWS_WITH_AS(make({-1, 0}, {1}), doctest::Contains("as many parents as lengths, got 2 and 1"), Error);
  CHECK_THROWS_WITH_AS(make({0}, {1}), doctest::Contains("depth-first order, got parent 0 for segment 0"), Error);
  CHECK_THROWS_WITH_AS(make({-1, 2, 0}, {1, 1, 1}), doctest::Contains("got parent 2 for segment 1"), Error);
  CHECK_THROWS_WITH_AS(make({-1, -2}, {1, 1}), doctest::Contains("got parent -2 for segment 1"), Error);
  CHECK_THROWS_WITH_AS(make({-1, 0, 0, 1}, {1, 1, 1, 1}), doctest::Contains("got parent 1 for segment 3"), Error);
  CHECK_THROWS_WITH_AS(make({-1, 0}, {1, -1}), doctest::Contains("at least 0 for segment 1, got -1"), Error);
}

TEST_CASE("sequences share their longest common prefixes") {
  const std::vector<std::vector<TokenKey>> sequences = {text({1, 2, 3, 4}), text({1, 2, 5}), text({9}),
                                                        text({1, 2, 3, 7}), text({1, 2}),    text({1, 2, 5})};
  const SharedBatch batch = build(sequences);
  check_reproduces(batch, sequences);
  // 1 2 -> (3 -> (4, 7), 5), then 9: children in the order of their first sequence
  CHECK(batch.tree == PrefixTree::from_segments(indices({-1, 0, 1, 1, 0, -1}), indices({2, 1, 1, 1, 1, 1})));
  CHECK(batch.rows(0) == indices({0, 1, 2, 3}));
  CHECK(batch.rows(3) == indices({0, 1, 2, 4}));
  CHECK(batch.rows(4) == indices({0, 1}));
  CHECK(batch.rows(5) == batch.rows(1));
  CHECK(batch.sources[5].sequence == 1);
}

TEST_CASE("media compare by content, text by id") {
  const std::vector<std::vector<TokenKey>> sequences = {
      {{1, 0}, {50, 7}, {50, 7}, {2, 0}},   // image 7
      {{1, 0}, {50, 8}, {50, 8}, {2, 0}},   // the same ids, another image
      {{1, 0}, {51, 7}, {51, 7}, {2, 0}},   // image 7 under another id
      {{1, 0}, {50, 0}, {50, 0}, {2, 0}}};  // the placeholder's id as text
  const SharedBatch batch = build(sequences);
  check_reproduces(batch, sequences);
  CHECK(batch.tree.rows() == 1 + 3 + 3 + 3);
  CHECK(batch.rows(2) == batch.rows(0));
}

TEST_CASE("random sequences: every path reproduces its sequence and sharing is as great as it can be") {
  for (std::uint32_t trial = 0; trial < 60; ++trial) {
    RandomStream random({.seed = 12, .item = trial});
    std::vector<std::vector<TokenKey>> sequences;
    const std::uint32_t letters = 1 + random.below(3);
    for (std::uint32_t s = 1 + random.below(40); s > 0; --s) {
      std::vector<TokenKey> sequence;
      for (std::uint32_t p = 1 + random.below(12); p > 0; --p) {
        const std::uint64_t media = random.below(4) == 0 ? 1 + random.below(2) : 0;
        sequence.push_back({static_cast<Token>(random.below(letters)), media});
      }
      sequences.push_back(sequence);
    }
    const SharedBatch batch = build(sequences);
    check_laws(batch.tree);
    check_reproduces(batch, sequences);
    CHECK(static_cast<std::size_t>(batch.tree.rows()) == distinct_prefixes(sequences));
    CHECK(batch.sources.size() == static_cast<std::size_t>(batch.tree.rows()));
  }
}

TEST_CASE("the builder refuses an empty sequence") {
  PrefixTreeBuilder builder;
  builder.add(text({1}));
  CHECK_THROWS_WITH_AS(builder.add({}), doctest::Contains("at least one token in sequence 1, got none"), Error);
  CHECK(PrefixTreeBuilder().build().tree.rows() == 0);
}

TEST_CASE("a group splits into parts that hold its subtrees") {
  // a root of another group, then 10 -> (4 -> (2, 3), 0, 6, 20, 1)
  const PrefixTree tree =
      PrefixTree::from_segments(indices({-1, -1, 1, 2, 2, 1, 1, 1, 1}), indices({5, 10, 4, 2, 3, 0, 6, 20, 1}));
  const std::vector<SubtreePlan> plans = plan_by_subtrees(tree, 15);
  REQUIRE(plans.size() == 2);
  CHECK(plans[0].part.tree == PrefixTree::from_segments(indices({-1}), indices({5})));
  CHECK(plans[0].below.empty());
  CHECK(plans[1].part.tree == PrefixTree::from_segments(indices({-1}), indices({10})));
  const std::vector<SubtreePlan>& below = plans[1].below;
  REQUIRE(below.size() == 3);
  CHECK(below[0].part.tree == PrefixTree::from_segments(indices({-1, 0, 1, 1, 0, 0}), indices({10, 4, 2, 3, 0, 6})));
  CHECK(below[1].part.tree == PrefixTree::from_segments(indices({-1, 0}), indices({10, 20})));  // a segment is not cut
  CHECK(below[2].part.tree == PrefixTree::from_segments(indices({-1, 0}), indices({10, 1})));
  for (const SubtreePlan& plan : below) CHECK(plan.part.prefix_rows == 10);
  CHECK(below[2].row_begin() == 50);
  CHECK(plan_by_subtrees(tree, 100).size() == 1);
  CHECK_THROWS_WITH_AS(plan_by_subtrees(tree, 0), doctest::Contains("at least 1 row"), Error);
}

TEST_CASE("a forest is worked through in parts within a budget, each row once and after its prefix") {
  for (std::uint32_t trial = 0; trial < 60; ++trial) {
    RandomStream random({.seed = 31, .item = trial});
    std::vector<Index> parents, lengths;
    for (std::uint32_t s = 1 + random.below(30); s > 0; --s) {
      Index parent = static_cast<Index>(parents.size()) - 1;  // the segment before, or one of its ancestors
      for (std::uint32_t up = random.below(4); up > 0 && parent >= 0; --up)
        parent = parents[static_cast<std::size_t>(parent)];
      parents.push_back(parent);
      lengths.push_back(random.below(6));
    }
    const PrefixTree tree = PrefixTree::from_segments(parents, lengths);
    const Index budget = 1 + random.below(20);
    const Index longest = *std::max_element(lengths.begin(), lengths.end());
    std::vector<Index> computed;
    const std::function<void(const std::vector<SubtreePlan>&, const SubtreePlan*)> follow =
        [&](const std::vector<SubtreePlan>& plans, const SubtreePlan* above) {
          for (const SubtreePlan& plan : plans) {
            CHECK(plan.own_rows() <= std::max(budget, longest));
            CHECK(plan.part.prefix_rows == (above == nullptr ? 0 : above->part.tree.rows()));
            for (Index r = 0; r < plan.part.tree.rows(); ++r) {
              const Index row = plan.part.rows[static_cast<std::size_t>(r)];
              CHECK(plan.part.tree.depth(r) == tree.depth(row));
              if (r < plan.part.prefix_rows) {
                CHECK(row == above->part.rows[static_cast<std::size_t>(r)]);
              } else {
                CHECK(row == plan.row_begin() + r - plan.part.prefix_rows);
                computed.push_back(row);
              }
            }
            follow(plan.below, &plan);
          }
        };
    follow(plan_by_subtrees(tree, budget), nullptr);
    REQUIRE(static_cast<Index>(computed.size()) == tree.rows());
    for (Index row = 0; row < tree.rows(); ++row) CHECK(computed[static_cast<std::size_t>(row)] == row);
  }
}
