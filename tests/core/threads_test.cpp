#include "caprl/core/threads.hpp"

#include <doctest/doctest.h>

#include <mutex>
#include <string>
#include <utility>
#include <vector>

using namespace caprl;

namespace {

/// Runs the body for teams of 1, 2 and 3 threads, more than a small machine has, and sets the count back.
template <class Body>
void for_each_team(const Body& body) {
  const int kept = threads();
  for (const int count : {1, 2, 3}) {
    CAPTURE(count);
    set_threads(count);
    body(count);
  }
  set_threads(kept);
}

/// The chunks of `parallel_chunks`, in their order.
std::vector<std::pair<Index, Index>> chunks_of(Index count, Index grain) {
  std::mutex mutex;
  std::vector<std::pair<Index, Index>> chunks;
  parallel_chunks(count, grain, [&](Index begin, Index end) {
    const std::scoped_lock lock(mutex);
    chunks.emplace_back(begin, end);
  });
  std::ranges::sort(chunks);
  return chunks;
}

}  // namespace

TEST_CASE("parallel_for visits every index once") {
  for_each_team([](int) {
    std::vector<int> visits(1000, 0);
    parallel_for(1000, 7, [&](Index i) { ++visits[static_cast<std::size_t>(i)]; });
    for (const int count : visits) REQUIRE(count == 1);
  });
}

TEST_CASE("parallel_by_cost visits every unit once, those that cost nothing too") {
  using Costs = std::vector<Index>;
  for_each_team([](int) {
    for (const Costs& costs : {Costs{}, {0}, {0, 0, 0}, {5, 0, 0}, {0, 0, 5}, {1, 9, 0, 4, 2, 0}, {7}}) {
      std::vector<int> visits(costs.size(), 0);
      parallel_by_cost(costs, [&](Index unit) { ++visits[static_cast<std::size_t>(unit)]; });
      CHECK(std::ranges::all_of(visits, [](int count) { return count == 1; }));
    }
  });
}

TEST_CASE("a thread has one chunk, none smaller than the grain") {
  using Chunks = std::vector<std::pair<Index, Index>>;
  for_each_team([](int team) {
    CHECK(threads() == team);
    CHECK(static_cast<int>(chunks_of(1000, 1).size()) == team);
    CHECK(chunks_of(10, 6) == Chunks{{0, 10}});
    CHECK(chunks_of(0, 1).empty());
  });
  const int kept = threads();
  set_threads(3);
  CHECK(chunks_of(10, 1) == Chunks{{0, 3}, {3, 6}, {6, 10}});
  CHECK(chunks_of(10, 5) == Chunks{{0, 5}, {5, 10}});
  set_threads(kept);
}

TEST_CASE("the first failing chunk's exception reaches the caller") {
  const auto fail_from = [](Index first) {
    parallel_for(100, 1, [&](Index i) {
      if (i >= first) throw Error("failed at " + std::to_string(i));
    });
  };
  for_each_team([&](int) {
    CHECK_THROWS_WITH_AS(fail_from(0), "failed at 0", Error);
    CHECK_THROWS_WITH_AS(fail_from(60), "failed at 60", Error);
  });
}

TEST_CASE("work inside a chunk is serial") {
  for_each_team([](int team) {
    std::vector<Index> calls(static_cast<std::size_t>(team), 0);
    parallel_for(team, 1, [&](Index i) {
      parallel_chunks(1000, 1000, [&](Index, Index) { ++calls[static_cast<std::size_t>(i)]; });
      if (team > 1) parallel_chunks(1000, 1, [&](Index, Index) { ++calls[static_cast<std::size_t>(i)]; });
    });
    for (const Index count : calls) CHECK(count == (team > 1 ? 2 : 1));
  });
}

TEST_CASE("a team needs at least one thread") { CHECK_THROWS_AS(set_threads(0), Error); }
