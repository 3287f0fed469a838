#pragma once

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <algorithm>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "caprl/core/error.hpp"

namespace caprl {

/// A regular expression that a whole name must match, as Python's re.fullmatch.
class NamePattern {
 public:
  /// Throws Error where the pattern does not compile.
  explicit NamePattern(std::string pattern) : pattern_(std::move(pattern)) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code_8* compiled =
        pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(pattern_.data()), pattern_.size(),
                        PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr);
    if (compiled == nullptr)
      throw Error("[NamePattern] expected a regular expression, got one that PCRE2 refuses at character " +
                      std::to_string(offset),
                  pattern_);
    code_.reset(compiled, [](pcre2_code_8* c) { pcre2_code_free_8(c); });
  }

  const std::string& pattern() const { return pattern_; }

  /// Throws Error where the search takes too many steps.
  bool matches(const std::string& name) const {
    const std::unique_ptr<pcre2_match_data_8, FreeMatch> match(pcre2_match_data_create_8(1, nullptr));
    require(match != nullptr, "[NamePattern] expected memory for a match, got none");
    const int result =
        pcre2_match_8(code_.get(), reinterpret_cast<PCRE2_SPTR8>(name.data()), name.size(), 0, 0, match.get(), nullptr);
    if (result < 0 && result != PCRE2_ERROR_NOMATCH) {
      throw Error("[NamePattern] expected to search \"" + name + "\", got PCRE2's error " + std::to_string(result),
                  pattern_, "write a simpler pattern");
    }
    return result >= 0;
  }

 private:
  struct FreeMatch {
    void operator()(pcre2_match_data_8* match) const { pcre2_match_data_free_8(match); }
  };

  std::string pattern_;
  std::shared_ptr<pcre2_code_8> code_;
};

/// Which linear layers have adapters: PEFT's target_modules.
class LoraTargets {
 public:
  /// Layers with one of these names, or with one as the end of theirs after a dot: {"q_proj", "v_proj"}.
  LoraTargets(std::vector<std::string> ends) : targets_(std::move(ends)) {}
  /// Layers whose whole name matches.
  LoraTargets(NamePattern pattern) : targets_(std::move(pattern)) {}
  /// All linear layers but the head.
  static LoraTargets all_linear() { return LoraTargets(AllLinear{}); }

  bool match(const std::string& layer) const {
    if (const auto* pattern = std::get_if<NamePattern>(&targets_)) return pattern->matches(layer);
    const auto* names = ends();
    return names == nullptr || std::ranges::any_of(*names, [&](const auto& end) { return ends_with(layer, end); });
  }

  /// The ends of names that no layer has: spelt wrongly, or of another model.
  std::vector<std::string> without_layer(const std::vector<std::string>& layers) const {
    std::vector<std::string> unmatched;
    if (ends() == nullptr) return unmatched;
    for (const std::string& end : *ends()) {
      if (std::ranges::none_of(layers, [&](const auto& layer) { return ends_with(layer, end); })) {
        unmatched.push_back(end);
      }
    }
    return unmatched;
  }

  /// PEFT's spelling where it is one word: the pattern, or "all-linear".
  std::string word() const {
    const auto* pattern = std::get_if<NamePattern>(&targets_);
    return pattern == nullptr ? "all-linear" : pattern->pattern();
  }
  bool is_all_linear() const { return std::holds_alternative<AllLinear>(targets_); }

 private:
  struct AllLinear {};
  explicit LoraTargets(AllLinear all) : targets_(all) {}

  /// Null unless the targets are ends of names.
  const std::vector<std::string>* ends() const { return std::get_if<std::vector<std::string>>(&targets_); }

  static bool ends_with(const std::string& name, const std::string& end) {
    return name == end || name.ends_with("." + end);
  }

  std::variant<std::vector<std::string>, NamePattern, AllLinear> targets_;
};

}  // namespace caprl
