#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "caprl/autograd/embedding.hpp"
#include "caprl/model/language_model.hpp"
#include "caprl/policy/generate.hpp"
#include "caprl/sampling/greedy.hpp"

/// The small folders of tests/reference/model_decoders.py, and what tests do with decoders.
namespace caprl::testing {

inline const std::filesystem::path data = std::filesystem::path(CAPRL_TEST_DATA) / "model";

inline Json reference(const std::string& name) { return load_json(data / "cases.json").at(name); }

inline Decoder<float> small_decoder(const std::string& name) { return load_decoder(data / name); }

/// Sequences as separate paths of one tree.
struct Paths {
  std::vector<Index> ids, lengths;
  std::vector<HeadPair> pairs;  ///< of each token after the first of each sequence

  explicit Paths(const std::vector<std::vector<Index>>& sequences) {
    for (const auto& sequence : sequences) {
      for (std::size_t t = 0; t + 1 < sequence.size(); ++t) {
        pairs.push_back({static_cast<Index>(ids.size() + t), static_cast<Token>(sequence[t + 1])});
      }
      ids.insert(ids.end(), sequence.begin(), sequence.end());
      lengths.push_back(static_cast<Index>(sequence.size()));
    }
  }
  PrefixTree tree() const { return PrefixTree::from_lengths(lengths); }
  Var<float> rows(const Decoder<float>& model) const { return embed(model.embedding, Var<float>(), ids); }
};

inline Var<float> log_probabilities(const Decoder<float>& model, const Paths& paths) {
  return model.log_probabilities(paths.rows(model), paths.tree(), paths.pairs, 1.0);
}

inline std::vector<double> joined(const Json& lists) {
  std::vector<double> all;
  for (const auto& list : lists.get<std::vector<std::vector<double>>>())
    all.insert(all.end(), list.begin(), list.end());
  return all;
}

/// `count` tokens behind a prompt, as a policy's captions are decoded.
inline std::vector<Token> continued(const Decoder<float>& model, const std::vector<Token>& prompt, Index count,
                                    const PackedProducts* packed) {
  const NoGradient silent;
  PrefixTreeBuilder builder;
  std::vector<TokenKey> keys;
  for (const Token id : prompt) keys.push_back({id, 0});
  builder.add(keys);
  const auto rows = embed(model.embedding, Var<float>(), {prompt.begin(), prompt.end()});
  const auto groups = generate(model, rows, builder.build(), Greedy{},
                               {.samples = 1, .maximum_tokens = count, .item_keys = {}}, {}, packed);
  return groups[0][0].tokens;
}

}  // namespace caprl::testing
