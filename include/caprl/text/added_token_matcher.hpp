#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/core/index.hpp"

namespace caprl::detail {

/// Finds whole tokens in text: the leftmost, and of those that begin there the longest.
class AddedTokenMatcher {
 public:
  void add(std::string content, Token id) {
    auto& candidates = by_first_byte_[static_cast<unsigned char>(content.front())];
    const auto shorter = [&](const Candidate& other) { return other.first.size() < content.size(); };
    candidates.insert(std::find_if(candidates.begin(), candidates.end(), shorter), {std::move(content), id});
    empty_ = false;
  }

  bool empty() const { return empty_; }

  /// Calls on_text(stretch) and on_token(id) in the order of the text; stretches are not empty.
  template <class OnText, class OnToken>
  void split(std::string_view text, const OnText& on_text, const OnToken& on_token) const {
    std::size_t stretch = 0;
    for (std::size_t i = 0; i < text.size() && !empty_;) {
      const Candidate* found = match(text.substr(i));
      if (found == nullptr) {
        ++i;
        continue;
      }
      if (i > stretch) on_text(text.substr(stretch, i - stretch));
      on_token(found->second);
      i += found->first.size();
      stretch = i;
    }
    if (stretch < text.size()) on_text(text.substr(stretch));
  }

 private:
  using Candidate = std::pair<std::string, Token>;

  const Candidate* match(std::string_view text) const {
    for (const Candidate& candidate : by_first_byte_[static_cast<unsigned char>(text.front())]) {
      if (text.starts_with(candidate.first)) return &candidate;
    }
    return nullptr;
  }

  std::array<std::vector<Candidate>, 256> by_first_byte_;  // longest first
  bool empty_ = true;
};

}  // namespace caprl::detail
