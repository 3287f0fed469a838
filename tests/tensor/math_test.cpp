#include "caprl/tensor/kernels/pack_math.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <limits>
#include <vector>

#include "caprl/tensor/cpu/serial_team.hpp"

namespace {

using caprl::Pack;

/// Distance in units in the last place of the float nearest to `expected`.
double error_in_ulp(float got, double expected) {
  const auto rounded = static_cast<float>(expected);
  if (std::isnan(expected)) return std::isnan(got) ? 0 : 1e9;
  if (std::isinf(rounded)) return got == rounded ? 0 : 1e9;
  const double unit = static_cast<double>(std::nextafter(std::abs(rounded), INFINITY)) - std::abs(rounded);
  return std::abs(got - expected) / unit;
}

struct Worst {
  double ulp = 0;
  float at = 0;
};

/// Every `stride`-th float between two bit patterns, through the pack and through the single number.
template <class Function, class Reference>
Worst sweep(std::uint32_t first, std::uint32_t last, std::uint32_t stride, const Function& function,
            const Reference& reference) {
  Worst worst;
  for (std::uint64_t bits = first; bits <= last; bits += 16ull * stride) {
    float in[16];
    float out[16];
    for (unsigned i = 0; i < 16; ++i) {
      in[i] = std::bit_cast<float>(static_cast<std::uint32_t>(std::min<std::uint64_t>(bits + i * stride, last)));
    }
    function(Pack<float>::load(in)).store(out);
    for (unsigned i = 0; i < 16; ++i) {
      const double ulp = error_in_ulp(out[i], reference(static_cast<double>(in[i])));
      if (!(ulp <= worst.ulp)) worst = {ulp, in[i]};
    }
    REQUIRE(std::bit_cast<std::uint32_t>(function(in[3])) == std::bit_cast<std::uint32_t>(out[3]));
  }
  return worst;
}

const auto exponential = [](const auto& x) { return caprl::exponential(x); };
const auto logarithm = [](const auto& x) { return caprl::logarithm(x); };
const auto error_function = [](const auto& x) { return caprl::error_function(x); };

}  // namespace

TEST_CASE("exponential is within 2 units in the last place of exp, subnormal results included") {
  const auto reference = [](double x) { return std::exp(x); };
  const Worst positive = sweep(0, std::bit_cast<std::uint32_t>(100.0f), 1009, exponential, reference);
  const Worst negative = sweep(0x80000000u, std::bit_cast<std::uint32_t>(-110.0f), 1009, exponential, reference);
  CAPTURE(positive.at);
  CAPTURE(negative.at);
  CHECK(positive.ulp <= 2.0);
  CHECK(negative.ulp <= 2.0);
}

TEST_CASE("logarithm is within 2 units in the last place of log over all positive floats") {
  const auto reference = [](double x) { return std::log(x); };
  const Worst all = sweep(1, 0x7F7FFFFFu, 2503, logarithm, reference);
  const Worst near_one =
      sweep(std::bit_cast<std::uint32_t>(0.7f), std::bit_cast<std::uint32_t>(1.45f), 17, logarithm, reference);
  CAPTURE(all.at);
  CAPTURE(near_one.at);
  CHECK(all.ulp <= 2.0);
  CHECK(near_one.ulp <= 2.0);
}

TEST_CASE("error_function is within 3 units in the last place of erf") {
  const auto reference = [](double x) { return std::erf(x); };
  const Worst positive = sweep(0, std::bit_cast<std::uint32_t>(6.0f), 1009, error_function, reference);
  const Worst negative = sweep(0x80000000u, std::bit_cast<std::uint32_t>(-6.0f), 1009, error_function, reference);
  CAPTURE(positive.at);
  CAPTURE(negative.at);
  CHECK(positive.ulp <= 3.0);
  CHECK(negative.ulp <= 3.0);
}

TEST_CASE("special values") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(caprl::exponential(infinity) == infinity);
  CHECK(caprl::exponential(-infinity) == 0.0f);
  CHECK(caprl::exponential(1000.0f) == infinity);
  CHECK(caprl::exponential(0.0f) == 1.0f);
  CHECK(std::isnan(caprl::exponential(NAN)));
  CHECK(caprl::logarithm(infinity) == infinity);
  CHECK(caprl::logarithm(0.0f) == -infinity);
  CHECK(caprl::logarithm(1.0f) == 0.0f);
  CHECK(std::isnan(caprl::logarithm(-1.0f)));
  CHECK(std::isnan(caprl::logarithm(NAN)));
  CHECK(std::isnan(caprl::error_function(NAN)));
  CHECK(caprl::sigmoid(-200.0f) == 0.0f);
  CHECK(caprl::sigmoid(200.0f) == 1.0f);
}

TEST_CASE("packs of bf16 round as single numbers do") {
  caprl::bf16 stored[16];
  float values[16];
  for (std::uint32_t bits = 0; bits < 0xFFFF0000u; bits += 16 * 30011u) {
    for (unsigned i = 0; i < 16; ++i) values[i] = std::bit_cast<float>(bits + i * 30011u);
    caprl::detail::store_bf16(Pack<float>::load(values), stored);
    for (unsigned i = 0; i < 16; ++i) REQUIRE(stored[i] == caprl::bf16(values[i]));
    float back[16];
    caprl::detail::load_bf16(stored).store(back);
    for (unsigned i = 0; i < 16; ++i) {
      REQUIRE(std::bit_cast<std::uint32_t>(back[i]) == std::bit_cast<std::uint32_t>(static_cast<float>(stored[i])));
    }
  }
}

TEST_CASE("sums and maxima meet every length once and let NaN through") {
  std::vector<float> values(200);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * i % 101) - 50;
  const caprl::SerialTeam team;
  for (caprl::Index count = 0; count <= 200; ++count) {
    float sum = 0;
    float top = -std::numeric_limits<float>::infinity();
    for (caprl::Index i = 0; i < count; ++i) {
      sum += values[static_cast<std::size_t>(i)];
      top = std::max(top, values[static_cast<std::size_t>(i)]);
    }
    REQUIRE(team.sum<float>(count, [&](auto at) { return at(values.data()); }) == sum);
    REQUIRE(team.max<float>(count, [&](auto at) { return at(values.data()); }) == top);
    if (count > 0) {
      const std::size_t place = static_cast<std::size_t>(count * 7 / 9);
      const float kept = values[place];
      values[place] = NAN;
      REQUIRE(std::isnan(team.max<float>(count, [&](auto at) { return at(values.data()); })));
      values[place] = kept;
    }
  }
}
