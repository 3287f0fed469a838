#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/core/recorded_numbers.hpp"
#include "caprl/sampling/fixed_point.hpp"
#include "caprl/sampling/logits.hpp"

namespace caprl {

/// A LogitFilter changes logits before a token is drawn: a layer of `Sample`.
///
/// Required of a filter `f`:
///   f(logits, history)   changes `logits` [V] in place; `excluded_logit` excludes a token; never excludes all
///   f.active()           false if its settings make it do nothing
///
/// It may have f.recorded(), its settings for a run to record: see core/recorded_numbers.hpp.
template <class F>
concept LogitFilter = requires(const F& filter, std::span<float> logits, std::span<const Token> history) {
  filter(logits, history);
  { filter.active() } -> std::convertible_to<bool>;
};

/// Divides every logit by `value`: below 1 sharpens, above 1 flattens.
struct Temperature {
  double value = 1.0;

  void operator()(std::span<float> logits, std::span<const Token> = {}) const {
    if (!(value > 0) || !std::isfinite(value)) {
      throw Error("[Temperature] expected a finite temperature above 0, got " + std::to_string(value), "",
                  "Use Greedy to take the most probable token.");
    }
    if (!active()) return;
    for (float& logit : logits) logit /= static_cast<float>(value);
  }
  bool active() const { return value != 1.0; }
  RecordedNumbers recorded() const { return {{"temperature", value}}; }
};

/// Keeps the `count` most probable tokens, and those equal to the last of them. 0 keeps all.
struct TopK {
  Index count = 50;

  void operator()(std::span<float> logits, std::span<const Token> = {}) const {
    require(count >= 0, "[TopK] expected a count of at least 0");
    if (!active() || count >= static_cast<Index>(logits.size())) return;
    std::vector<float> leading(static_cast<std::size_t>(count));
    std::ranges::partial_sort_copy(logits, leading, std::greater<>());
    const float least = leading.back();
    for (float& logit : logits) {
      if (logit < least) logit = excluded_logit;
    }
  }
  bool active() const { return count != 0; }
  RecordedNumbers recorded() const { return {{"top_k", count}}; }
};

/// Keeps the most probable tokens whose probabilities sum to at least `mass`, and no more than needed; among equal ones
/// the lower id goes first (nucleus sampling: Holtzman et al., arXiv 1904.09751). At least one token stays.
struct TopP {
  double mass = 1.0;

  void operator()(std::span<float> logits, std::span<const Token> = {}) const {
    require(mass >= 0 && mass <= 1, "[TopP] expected a mass from 0 to 1");
    if (!active() || logits.empty()) return;
    const float largest = logits[static_cast<std::size_t>(largest_logit(logits))];
    std::vector<Ranked> tokens;
    std::uint64_t total = 0;
    for (Index t = 0; t < static_cast<Index>(logits.size()); ++t) {
      const std::uint64_t weight = fixed_point_weight(logits[static_cast<std::size_t>(t)], largest);
      if (weight != 0) tokens.emplace_back(weight, -t);
      total += weight;
    }
    const std::size_t stay = leading_count(tokens, mass * static_cast<double>(total));
    std::vector<float> kept(logits.size(), excluded_logit);
    for (const auto& [weight, negated] : std::span(tokens).first(stay)) {
      kept[static_cast<std::size_t>(-negated)] = logits[static_cast<std::size_t>(-negated)];
    }
    std::ranges::copy(kept, logits.begin());
  }
  bool active() const { return mass < 1; }
  RecordedNumbers recorded() const { return {{"top_p", mass}}; }

 private:
  using Ranked = std::pair<std::uint64_t, Index>;  // weight, then the id negated, so that lower ids rank higher

  /// How many of the highest ranked tokens sum to at least `needed`, at least one; moves them to the front. A binary
  /// search that sorts only as far as it must.
  static std::size_t leading_count(std::vector<Ranked>& tokens, double needed) {
    std::size_t below = 0, enough = tokens.size();
    std::uint64_t sum = 0;  // of the first `below`
    while (enough - below > 1) {
      const std::size_t middle = (below + enough) / 2;
      const auto at = [&](std::size_t n) { return tokens.begin() + static_cast<std::ptrdiff_t>(n); };
      std::ranges::nth_element(at(below), at(middle), at(enough), std::greater<>());
      std::uint64_t more = 0;
      for (std::size_t n = below; n < middle; ++n) more += tokens[n].first;
      if (static_cast<double>(sum + more) >= needed) {
        enough = middle;
      } else {
        sum += more;
        below = middle;
      }
    }
    return enough;
  }
};

/// Keeps tokens at least `ratio` times as probable as the most probable one (Nguyen et al., arXiv 2407.01082).
struct MinP {
  double ratio = 0.0;

  void operator()(std::span<float> logits, std::span<const Token> = {}) const {
    require(ratio >= 0 && ratio <= 1, "[MinP] expected a ratio from 0 to 1");
    if (!active() || logits.empty()) return;
    const float largest = logits[static_cast<std::size_t>(largest_logit(logits))];
    const double least = ratio * static_cast<double>(fixed_point_one);
    for (float& logit : logits) {
      if (static_cast<double>(fixed_point_weight(logit, largest)) < least) logit = excluded_logit;
    }
  }
  bool active() const { return ratio > 0; }
  RecordedNumbers recorded() const { return {{"min_p", ratio}}; }
};

/// Divides the positive and multiplies the negative logits of tokens that occur in the history, each once however often
/// it occurs (Keskar et al., arXiv 1909.05858). The history is the caption alone; transformers counts the prompt too.
struct RepetitionPenalty {
  double factor = 1.0;

  void operator()(std::span<float> logits, std::span<const Token> history) const {
    require(factor > 0 && std::isfinite(factor), "[RepetitionPenalty] expected a finite factor above 0");
    if (!active()) return;
    std::vector<Token> seen(history.begin(), history.end());
    std::ranges::sort(seen);
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const Token token : seen) {
      if (token < 0 || token >= static_cast<Index>(logits.size())) {
        throw Error("[RepetitionPenalty] expected tokens from 0 to " + std::to_string(logits.size() - 1) + ", got " +
                    std::to_string(token));
      }
      float& logit = logits[static_cast<std::size_t>(token)];
      logit = logit < 0 ? logit * static_cast<float>(factor) : logit / static_cast<float>(factor);
    }
  }
  bool active() const { return factor != 1.0; }
  RecordedNumbers recorded() const { return {{"repetition_penalty", factor}}; }
};

static_assert(LogitFilter<Temperature> && LogitFilter<TopK> && LogitFilter<TopP> && LogitFilter<MinP> &&
              LogitFilter<RepetitionPenalty>);

}  // namespace caprl
