#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>
#include <variant>
#include <vector>

#include "caprl/core/index.hpp"

/// How fast each pair of a head's features turns with the position (Su et al., 2021, arXiv 2104.09864), and how models
/// stretch that to longer texts than they first learnt. Fields are named as in Hugging Face's config.json, whose
/// modeling_rope_utils.py they follow.
namespace caprl {

/// All positions are divided by `factor` (Chen et al., 2023, arXiv 2306.15595).
struct LinearRope {
  double factor = 1;
};

/// Llama 3: pairs that turn less than `low_freq_factor` times in the first context are slowed down by `factor`, those
/// above `high_freq_factor` are left, and between them the two are blended.
struct Llama3Rope {
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  Index original_max_position_embeddings = 8192;
};

/// YaRN (Peng et al., 2023, arXiv 2309.00071): the same with a ramp over the pairs' numbers, from `beta_fast` to
/// `beta_slow` turns, and longer queries and keys.
struct YarnRope {
  double factor = 1;
  double beta_fast = 32;
  double beta_slow = 1;
  Index original_max_position_embeddings = 0;
  std::optional<double> attention_factor;  ///< of cosine and sine; empty: 0.1 log(factor) + 1
};

/// The angles by which a head's pairs turn from one position to the next.
struct RotaryFrequencies {
  double theta = 10000;
  std::variant<std::monostate, LinearRope, Llama3Rope, YarnRope> scaling{};  ///< none, or one of these
  std::vector<Index> sections{};  ///< "mrope_section": how many pairs, from the first on, follow time, then height,
                                  ///< then width; empty: all follow the one axis of text
  bool interleaved = false;       ///< "mrope_interleaved": the axes' pairs alternate instead

  /// Axes of the positions.
  Index axes() const { return sections.empty() ? 1 : static_cast<Index>(sections.size()); }
};

namespace detail {

/// Pair i of D / 2 turns by theta^(-2 i / D).
inline std::vector<double> plain_rotary_frequencies(double theta, Index head_size) {
  std::vector<double> frequencies;
  for (Index pair = 0; pair < head_size / 2; ++pair) {
    frequencies.push_back(std::pow(theta, -2.0 * static_cast<double>(pair) / static_cast<double>(head_size)));
  }
  return frequencies;
}

inline double stretched(const Llama3Rope& rope, double frequency) {
  const double turns = static_cast<double>(rope.original_max_position_embeddings) * frequency / (2 * std::numbers::pi);
  if (turns > rope.high_freq_factor) return frequency;
  if (turns < rope.low_freq_factor) return frequency / rope.factor;
  const double kept = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return (1 - kept) * frequency / rope.factor + kept * frequency;
}

/// The number of the pair, as a real number, that turns `turns` times in the first context.
inline double pair_that_turns(double turns, const YarnRope& rope, double theta, Index head_size) {
  const double context = static_cast<double>(rope.original_max_position_embeddings);
  return static_cast<double>(head_size) * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

inline std::vector<double> stretched(const YarnRope& rope, double theta, Index head_size) {
  std::vector<double> frequencies = plain_rotary_frequencies(theta, head_size);
  const double first = std::max(std::floor(pair_that_turns(rope.beta_fast, rope, theta, head_size)), 0.0);
  const double end =
      std::min(std::ceil(pair_that_turns(rope.beta_slow, rope, theta, head_size)), static_cast<double>(head_size - 1));
  const double width = first == end ? 0.001 : end - first;
  for (std::size_t pair = 0; pair < frequencies.size(); ++pair) {
    const double slowed = std::clamp((static_cast<double>(pair) - first) / width, 0.0, 1.0);
    frequencies[pair] *= slowed / rope.factor + (1 - slowed);
  }
  return frequencies;
}

}  // namespace detail

/// [head_size / 2]: radians from one position to the next.
inline std::vector<double> frequencies_of_pairs(const RotaryFrequencies& rotary, Index head_size) {
  if (const auto* yarn = std::get_if<YarnRope>(&rotary.scaling)) {
    return detail::stretched(*yarn, rotary.theta, head_size);
  }
  std::vector<double> frequencies = detail::plain_rotary_frequencies(rotary.theta, head_size);
  for (double& frequency : frequencies) {
    if (const auto* linear = std::get_if<LinearRope>(&rotary.scaling)) frequency /= linear->factor;
    if (const auto* llama3 = std::get_if<Llama3Rope>(&rotary.scaling))
      frequency = detail::stretched(*llama3, frequency);
  }
  return frequencies;
}

/// [head_size / 2]: the position axis that each pair follows; empty where there is one. Interleaved, of every three
/// pairs the second follows the second axis and the third the third, as often as their sections say; all others the
/// first.
inline std::vector<Index> axes_of_pairs(const RotaryFrequencies& rotary) {
  std::vector<Index> axes;
  if (rotary.interleaved) {
    axes.resize(static_cast<std::size_t>(std::accumulate(rotary.sections.begin(), rotary.sections.end(), Index{0})));
    for (std::size_t axis = 1; axis < rotary.sections.size(); ++axis) {
      const auto end = std::min(axes.size(), static_cast<std::size_t>(rotary.sections[axis]) * rotary.sections.size());
      for (std::size_t pair = axis; pair < end; pair += rotary.sections.size()) axes[pair] = static_cast<Index>(axis);
    }
    return axes;
  }
  for (std::size_t axis = 0; axis < rotary.sections.size(); ++axis) {
    axes.insert(axes.end(), static_cast<std::size_t>(rotary.sections[axis]), static_cast<Index>(axis));
  }
  return axes;
}

/// The factor of cosine and sine.
inline double rotary_magnitude(const RotaryFrequencies& rotary) {
  const auto* yarn = std::get_if<YarnRope>(&rotary.scaling);
  if (yarn == nullptr) return 1;
  if (yarn->attention_factor) return *yarn->attention_factor;
  return yarn->factor <= 1 ? 1 : 0.1 * std::log(yarn->factor) + 1;
}

}  // namespace caprl
