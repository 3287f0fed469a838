#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include "caprl/core/random.hpp"
#include "caprl/train/metrics.hpp"
#include "caprl/train/report_series.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

TEST_CASE("numbers read back with the same bits") {
  RandomStream stream({.seed = 8});
  for (int i = 0; i < 100000; ++i) {
    const auto wide = std::bit_cast<double>(stream());
    if (std::isfinite(wide)) {
      const double read = std::strtod(number_text(wide).c_str(), nullptr);
      if (std::bit_cast<std::uint64_t>(read) != std::bit_cast<std::uint64_t>(wide)) FAIL(number_text(wide));
      if (Json::parse(number_text(wide)).get<double>() != wide) FAIL(number_text(wide));
    }
    const auto narrow = std::bit_cast<float>(static_cast<std::uint32_t>(stream()));
    if (std::isfinite(narrow) && std::strtof(number_text(narrow).c_str(), nullptr) != narrow) FAIL(number_text(narrow));
  }
  CHECK(number_text(0.1) == "0.1");
  CHECK(number_text(0.1f) == "0.1");
  CHECK(number_text(-0.0) == "-0");
  CHECK(number_text(1e300) == "1e+300");
  CHECK(number_text(std::numeric_limits<double>::quiet_NaN()) == "\"nan\"");
  CHECK(number_text(std::numeric_limits<float>::infinity()) == "\"inf\"");
  CHECK(number_text(-std::numeric_limits<double>::infinity()) == "\"-inf\"");
}

TEST_CASE("a row is one flat object in the order of its parts") {
  MetricsRow row(120);
  row.add("reward", 0.5).add("tokens", Index{1234}).add("quote\"d", 1.5f).add("collapsed", false);
  CHECK(row.json() == R"({"step":120,"reward":0.5,"tokens":1234,"quote\"d":1.5,"collapsed":false})");
  CHECK(fails_with([&] { row.add("reward", 1.0); }, "each name once, got reward twice"));
  CHECK(fails_with([&] { row.add("step", 1.0); }, "got step twice"));
  CHECK_NOTHROW(row.add("rewar", 1.0));
}

TEST_CASE("a log that goes on is cut back to the checkpoint's step, timings too") {
  const TemporaryFolder folder;
  const auto record = [](MetricsLog& log, Index step) {
    log.record(MetricsRow(step).add("reward", 0.1 * static_cast<double>(step)));
    log.record_timings(MetricsRow(step).add("seconds", 2.5));
  };
  {
    MetricsLog log(folder.path(), -1);
    for (Index step = 0; step < 5; ++step) record(log, step);
    log.sync();
  }
  const std::string whole = content_of(folder / "metrics.jsonl");
  {
    MetricsLog log(folder.path(), 2);
    CHECK(content_of(folder / "metrics.jsonl") ==
          "{\"step\":0,\"reward\":0}\n{\"step\":1,\"reward\":0.1}\n{\"step\":2,\"reward\":0.2}\n");
    for (Index step = 3; step < 5; ++step) record(log, step);
  }
  CHECK(content_of(folder / "metrics.jsonl") == whole);
  CHECK(read_series(folder / "timings.jsonl", "seconds", "s").values.size() == 5);
  { MetricsLog(folder.path(), -1); }
  CHECK(content_of(folder / "metrics.jsonl").empty());
  CHECK(content_of(folder / "timings.jsonl").empty());
}

TEST_CASE("a series is read from a log") {
  const TemporaryFolder folder;
  const auto path = folder.file("m.jsonl", "{\"step\":0,\"a\":1}\n{\"step\":1}\n{\"step\":2,\"a\":\"nan\"}\n");
  const ReportSeries series = read_series(path, "a", "A");
  CHECK(series.name == "A");
  CHECK(series.steps == std::vector<double>{0, 2});
  CHECK(series.values[0] == 1);
  CHECK(std::isnan(series.values[1]));
  CHECK(
      fails_with([&] { read_series(folder.file("bad.jsonl", "{\"a\":1}\n"), "a", "A"); }, "bad.jsonl:1", "field step"));
}
