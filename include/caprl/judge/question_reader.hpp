#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/autograd/embedding.hpp"
#include "caprl/judge/judge_prompts.hpp"
#include "caprl/judge/judge_tally.hpp"
#include "caprl/model/decoder.hpp"
#include "caprl/model/packed_products.hpp"
#include "caprl/policy/generate.hpp"
#include "caprl/sampling/sample.hpp"
#include "caprl/tensor/weight_format.hpp"

namespace caprl {

/// A judge's language model at work: reads prompts together, what they share once, and tells the letters that they
/// would be answered with, or writes answers.
template <class T, class Device = Cpu>
class QuestionReader {
 public:
  /// `maximum_rows`: the most tokens in one pass of the model, or one prompt's; `tally`, if not null, must outlive the
  /// reader. With bf16 weights the reader has a copy of the model of its own.
  QuestionReader(Decoder<T, Device> model, const Tokenizer& tokenizer, QuestionPrompt prompt, Index maximum_rows,
                 WeightFormat weights, JudgeTally* tally)
      : model_(weights == WeightFormat::bf16 ? rounded_to_bf16(model) : std::move(model)),
        tokens_(tokenizer, std::move(prompt)),
        end_(SpecialTokenIds::of(tokenizer).turn_end),
        maximum_rows_(maximum_rows),
        tally_(tally) {
    if constexpr (std::is_same_v<T, float>) {
      if (weights == WeightFormat::bf16) packed_.emplace(model_, WeightFormat::bf16);
    }
  }

  const JudgeTokens& tokens() const { return tokens_; }

  /// For each prompt the probabilities of its letters as the next token, under softmax(z / temperature) over the whole
  /// vocabulary: the options' and, last, the abstain option's.
  std::vector<std::vector<double>> letter_probabilities(const JudgePrompts& prompts, double temperature) const {
    const NoGradient silent;
    std::vector<std::vector<double>> probabilities;
    for_each_pass(prompts, [&](const Pass& pass) { read_letters(prompts, pass, temperature, probabilities); });
    return probabilities;
  }

  /// For each prompt an answer of at most `maximum_tokens` tokens, sampled at `temperature`. `keys` [prompts] and
  /// `seed` are the random key. Throws Error if the model's numbers are broken.
  std::vector<std::string> write_answers(const JudgePrompts& prompts, double temperature, Index maximum_tokens,
                                         std::uint64_t seed, const std::vector<std::uint32_t>& keys) const {
    const NoGradient silent;
    std::vector<std::string> answers;
    const Sample sampler{Temperature{temperature}};
    for_each_pass(prompts, [&](const Pass& pass) {
      const auto first = keys.begin() + static_cast<std::ptrdiff_t>(pass.begin);
      const GenerateSettings settings{.samples = 1,
                                      .maximum_tokens = maximum_tokens,
                                      .seed = seed,
                                      .item_keys = {first, first + static_cast<std::ptrdiff_t>(pass.size())}};
      for (const RolloutGroup& group : written(pass, sampler, settings)) {
        answers.push_back(text_of(group.front().tokens));
        if (tally_ != nullptr) count_written(static_cast<Index>(group.front().tokens.size()) - 1);
      }
    });
    return answers;
  }

 private:
  /// Prompts that the model reads together: asks [begin, begin + size()).
  struct Pass {
    std::size_t begin = 0;
    SharedBatch batch;
    std::vector<Index> sources;  ///< the token of each row

    std::size_t size() const { return batch.lengths.size(); }
  };

  /// Cuts the prompts where a pass is full, and calls use(pass) for each.
  template <class Use>
  void for_each_pass(const JudgePrompts& prompts, const Use& use) const {
    const auto asks = prompts.asks();
    for (std::size_t begin = 0, end = 0; begin < asks.size(); begin = end) {
      PrefixTreeBuilder builder;
      std::vector<std::vector<Token>> texts;
      Index rows = 0;  // at most; equal beginnings share theirs
      for (; end < asks.size(); ++end) {
        const bool same_caption = end > begin && asks[end].caption == asks[end - 1].caption;
        const Index more = prompts.question_rows(asks[end]) + (same_caption ? 0 : prompts.caption_rows(asks[end]));
        if (end > begin && rows + more > maximum_rows_) break;
        texts.push_back(prompts.tokens(asks[end]));
        std::vector<TokenKey> keys;
        for (const Token token : texts.back()) keys.push_back({token, 0});
        builder.add(keys);
        rows += more;
      }
      use(make_pass(begin, builder.build(), texts));
    }
  }

  Pass make_pass(std::size_t begin, SharedBatch batch, const std::vector<std::vector<Token>>& texts) const {
    Pass pass{.begin = begin, .batch = std::move(batch), .sources = {}};
    for (const SharedBatch::Source& source : pass.batch.sources) {
      pass.sources.push_back(
          texts[static_cast<std::size_t>(source.sequence)][static_cast<std::size_t>(source.position)]);
    }
    if (tally_ != nullptr) {
      tally_->read += pass.batch.tree.rows();
      for (const Index length : pass.batch.lengths) tally_->repeated += length;
    }
    return pass;
  }

  std::vector<RolloutGroup> written(const Pass& pass, const Sample<Temperature>& sampler,
                                    const GenerateSettings& settings) const {
    return generate(model_, rows_of(pass), pass.batch, sampler, settings, {end_}, packed_ ? &*packed_ : nullptr);
  }

  void count_written(Index written) const {
    tally_->read += written;
    tally_->repeated += written;
  }

  Var<T, Device> rows_of(const Pass& pass) const { return embed(model_.embedding, Var<T, Device>(), pass.sources); }

  void read_letters(const JudgePrompts& prompts, const Pass& pass, double temperature,
                    std::vector<std::vector<double>>& probabilities) const {
    std::vector<HeadPair> pairs;
    for (std::size_t i = 0; i < pass.size(); ++i) {
      const Index last = pass.batch.row(static_cast<Index>(i), pass.batch.lengths[i] - 1);
      for (const char letter : prompts.letters(prompts.asks()[pass.begin + i])) {
        for (const Token token : tokens_.letter(letter)) pairs.push_back({last, token});
      }
    }
    const auto log_probabilities =
        model_.log_probabilities(rows_of(pass), pass.batch.tree, std::move(pairs), 1.0 / temperature);
    const T* next = log_probabilities.value().data();
    for (std::size_t i = 0; i < pass.size(); ++i) {
      std::vector<double>& of_prompt = probabilities.emplace_back();
      for (const char letter : prompts.letters(prompts.asks()[pass.begin + i])) {
        double probability = 0;
        for (std::size_t v = 0; v < tokens_.letter(letter).size(); ++v) {
          probability += std::exp(static_cast<double>(*next++));
        }
        of_prompt.push_back(probability);
      }
    }
  }

  std::string text_of(const std::vector<Token>& answer) const {
    const std::size_t size = answer.size() - (answer.back() == end_ ? 1 : 0);
    return tokens_.tokenizer().decode_any(std::span(answer).first(size));
  }

  Decoder<T, Device> model_;
  std::optional<PackedProducts> packed_;
  JudgeTokens tokens_;
  Token end_;
  Index maximum_rows_;
  JudgeTally* tally_;
};

}  // namespace caprl
