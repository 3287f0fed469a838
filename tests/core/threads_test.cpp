#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "caprl/core/threads.hpp"

using namespace caprl;

TEST_CASE("parallel_for visits every index once") {
  std::vector<int> visits(1000, 0);
  parallel_for(1000, 7, [&](Index i) { ++visits[static_cast<std::size_t>(i)]; });
  for (const int count : visits) REQUIRE(count == 1);
}

TEST_CASE("the first failing chunk's exception reaches the caller") {
  const auto fail_from = [](Index first) {
    parallel_for(100, 1, [&](Index i) {
      if (i >= first) throw Error("failed at " + std::to_string(i));
    });
  };
  CHECK_THROWS_WITH_AS(fail_from(0), "failed at 0", Error);
  CHECK_THROWS_WITH_AS(fail_from(60), "failed at 60", Error);
}

TEST_CASE("work inside a chunk is serial") {
  parallel_for(2, 1, [](Index) {
    Index calls = 0;
    parallel_chunks(1000, 1, [&](Index, Index) { ++calls; });
    REQUIRE(calls == 1);
  });
}

TEST_CASE("a team needs at least one thread") { CHECK_THROWS_AS(set_threads(0), Error); }
