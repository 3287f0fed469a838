#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "caprl/evaluate/bootstrap.hpp"
#include "caprl/io/json_fields.hpp"
#include "support/error_message.hpp"

using namespace caprl;
using namespace caprl::testing;

namespace {

const Json& fixture() {
  static const Json json = load_json(std::string(CAPRL_TEST_DATA) + "/evaluate/bootstrap.json");
  return json;
}

std::vector<double> numbers(const char* name) { return fixture()[name].get<std::vector<double>>(); }

std::vector<ItemShare> shares(const char* name) {
  std::vector<ItemShare> items;
  for (const Json& pair : fixture()[name]) items.push_back({pair[0], pair[1]});
  return items;
}

void check(const Interval& interval, const char* name) {
  const Json& expected = fixture()[name];
  CHECK(std::abs(interval.value - expected[0].get<double>()) < 1e-12);
  CHECK(std::abs(interval.low - expected[1].get<double>()) < 1e-12);
  CHECK(std::abs(interval.high - expected[2].get<double>()) < 1e-12);
}

}  // namespace

TEST_CASE("intervals are numpy's percentiles of the same resamples") {
  const BootstrapSettings settings{.seed = 11, .resamples = 999, .level = 0.95};
  check(bootstrap_mean(numbers("after"), settings), "mean");
  check(bootstrap_mean(numbers("after"), {.seed = 11, .resamples = 999, .level = 0.8}), "mean_80");
  check(bootstrap_difference(numbers("after"), numbers("before"), settings), "difference");
  check(bootstrap_share(shares("after_shares"), settings), "share");
  check(bootstrap_share_difference(shares("after_shares"), shares("before_shares"), settings), "share_difference");
}

TEST_CASE("intervals agree with scipy's percentile bootstrap") {
  const Interval ours = bootstrap_mean(numbers("after"), {.seed = 3, .resamples = 20000});
  const Json& theirs = fixture()["scipy_mean"];
  const double width = theirs[1].get<double>() - theirs[0].get<double>();
  CHECK(std::abs(ours.low - theirs[0].get<double>()) < 0.03 * width);
  CHECK(std::abs(ours.high - theirs[1].get<double>()) < 0.03 * width);
}

TEST_CASE("a 95 % interval covers the truth in about 95 of 100 data sets") {
  int covered = 0, covered_paired = 0;
  const int sets = 500, items = 100, threads_before = threads();
  set_threads(1);
  for (int set = 0; set < sets; ++set) {
    RandomStream stream({.seed = 99, .step = static_cast<std::uint32_t>(set)});
    std::vector<double> before(items), after(items);
    for (std::size_t i = 0; i < before.size(); ++i) {
      const double item = stream.normal();  // shared by both: what pairing is for
      before[i] = item + 0.3 * stream.normal();
      after[i] = item + 0.5 + 0.3 * stream.normal();
    }
    const BootstrapSettings settings{.seed = static_cast<std::uint64_t>(set), .resamples = 400};
    const Interval mean = bootstrap_mean(before, settings), gain = bootstrap_difference(after, before, settings);
    covered += mean.low <= 0 && 0 <= mean.high ? 1 : 0;
    covered_paired += gain.low <= 0.5 && 0.5 <= gain.high ? 1 : 0;
    CHECK(gain.high - gain.low < 0.6 * (mean.high - mean.low));
  }
  set_threads(threads_before);
  CHECK(covered > 455);
  CHECK(covered < 490);
  CHECK(covered_paired > 455);
  CHECK(covered_paired < 490);
}

TEST_CASE("the same seed gives the same interval, whatever the number of threads; another seed another one") {
  const auto values = numbers("after");
  const Interval first = bootstrap_mean(values, {.seed = 1});
  const int before = threads();
  set_threads(before == 1 ? 3 : 1);
  const Interval again = bootstrap_mean(values, {.seed = 1});
  set_threads(before);
  CHECK(first.low == again.low);
  CHECK(first.high == again.high);
  CHECK(bootstrap_mean(values, {.seed = 2}).low != first.low);
}

TEST_CASE("edges") {
  const std::vector<double> same(5, 0.25);
  CHECK(bootstrap_mean(same).low == 0.25);
  CHECK(bootstrap_mean(same).high == 0.25);
  CHECK(bootstrap_share(std::vector<ItemShare>{{0, 0}, {0, 0}}).value == 0);
  CHECK(fails_with([] { bootstrap_mean({}); }, "[bootstrap_mean] expected at least one item"));
  CHECK(fails_with([] { bootstrap_mean(std::vector<double>{0.5, std::nan("")}); }, "expected finite values"));
  CHECK(fails_with([&] { bootstrap_mean(same, {.resamples = 0}); }, "expected at least one resample"));
  CHECK(fails_with([&] { bootstrap_mean(same, {.level = 1}); }, "a level between 0 and 1"));
  CHECK(fails_with([&] { bootstrap_difference(same, std::vector<double>(4)); }, "got 5 and 4"));
  CHECK(fails_with([&] { bootstrap_share({}); }, "[bootstrap_share] expected at least one item"));
}
