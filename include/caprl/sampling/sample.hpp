#pragma once

#include <concepts>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include "caprl/core/index.hpp"
#include "caprl/core/random.hpp"
#include "caprl/core/recorded_numbers.hpp"
#include "caprl/sampling/draw.hpp"
#include "caprl/sampling/filters.hpp"
#include "caprl/sampling/logits.hpp"
#include "caprl/sampling/sampler.hpp"

namespace caprl {

namespace detail {

/// Says what one filter lacks; a constraint in the head of `Sample` would not name the expression.
template <class Filter>
struct CheckedFilter : std::true_type {
  static_assert(LogitFilter<Filter>);
};

}  // namespace detail

/// Draws from the softmax of filtered logits. The filters are applied in the order written.
///
///     Sample<Temperature>                                              // plain softmax(z), T = 1
///     Sample{Temperature{0.7}, TopK{.count = 20}, TopP{.mass = 0.9}}   // as Hugging Face's generate orders them
///
/// Hugging Face transformers applies RepetitionPenalty, Temperature, TopK, TopP, MinP in this order; written so, the
/// kept tokens are the same, ties apart.
template <class... Filters>
class Sample {
  static_assert((true && ... && detail::CheckedFilter<Filters>::value));
  static_assert((0 + ... + std::same_as<Filters, Temperature>) <= 1, "Sample takes at most one Temperature");

 public:
  Sample() = default;
  explicit Sample(Filters... filters) requires(sizeof...(Filters) > 0) : filters_(std::move(filters)...) {}

  /// Overwrites `logits` [V] with the filtered ones. Throws Error if a logit is NaN or infinity.
  Token operator()(std::span<float> logits, std::span<const Token> history, const RandomKey& key) const {
    require_drawable(logits, "Sample");
    std::apply([&](const auto&... filter) { (filter(logits, history), ...); }, filters_);
    if constexpr (sizeof...(Filters) > 0) require_drawable(logits, "Sample, filtered");
    return draw_token(logits, random_bits(key));
  }

  double temperature() const {
    double value = 1;
    std::apply([&](const auto&... filter) { (take_temperature(filter, value), ...); }, filters_);
    return value;
  }
  bool filters() const {
    return std::apply([](const auto&... filter) { return (false || ... || narrows(filter)); }, filters_);
  }

  /// Of the filters that do something.
  RecordedNumbers recorded() const {
    RecordedNumbers numbers;
    std::apply([&](const auto&... filter) { (append_recorded(filter, numbers), ...); }, filters_);
    return numbers;
  }

 private:
  template <class Filter>
  static void append_recorded(const Filter& filter, RecordedNumbers& numbers) {
    if (!filter.active()) return;
    for (auto& number : recorded_numbers(filter)) numbers.push_back(std::move(number));
  }
  template <class Filter>
  static void take_temperature(const Filter& filter, double& value) {
    if constexpr (std::same_as<Filter, Temperature>) value = filter.value;
  }
  template <class Filter>
  static bool narrows(const Filter& filter) {
    return !std::same_as<Filter, Temperature> && filter.active();
  }

  std::tuple<Filters...> filters_;
};

static_assert(Sampler<Sample<>> && Sampler<Sample<RepetitionPenalty, Temperature, TopK, TopP, MinP>>);

}  // namespace caprl
