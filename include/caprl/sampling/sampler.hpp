#pragma once

#include <concepts>
#include <span>

#include "caprl/core/index.hpp"
#include "caprl/core/random.hpp"

namespace caprl {

/// A Sampler turns the logits of the next token into a token.
///
/// Required of a sampler `s`:
///   s(logits, history, key)   the chosen token; may overwrite `logits` [V]; `history` are the tokens of the sequence
///                             so far (the caption's own, prompt left out)
///   s.temperature()           the temperature T of the distribution softmax(z / T) that it starts from; 0 is greedy
///   s.filters()               true if it draws from anything but the whole of softmax(z / T): the trainer refuses such
///                             a sampler unless it is told that the data are off-policy
///
/// It may have s.recorded(), its settings for a run to record: see core/recorded_numbers.hpp.
///
/// Laws (sampling/sampler_laws.hpp in the tests checks them on every sampler):
///   - the token is a valid index into `logits` with a finite logit;
///   - the same logits, history and key give the same token;
///   - equal logits are told apart by their id alone, so every device chooses the same;
///   - a logit that is NaN or plus infinity, or no finite logit at all, is an Error. Minus infinity excludes a token.
template <class S>
concept Sampler = requires(const S& sampler, std::span<float> logits, std::span<const Token> history,
                           const RandomKey& key) {
  { sampler(logits, history, key) } -> std::same_as<Token>;
  { sampler.temperature() } -> std::convertible_to<double>;
  { sampler.filters() } -> std::convertible_to<bool>;
};

}  // namespace caprl
