#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/autograd/embedding.hpp"
#include "caprl/core/random.hpp"
#include "caprl/model/language_model.hpp"
#include "support/error_message.hpp"
#include "support/matrices.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

namespace {

const std::filesystem::path data = std::filesystem::path(CAPRL_TEST_DATA) / "model";

/// tests/reference/model_gguf.py makes it: a Llama with a tokenizer, blocks of several types and Llama 3.1's angles.
const std::filesystem::path chat_path = data / "gguf" / "chat.gguf";

Tensor<float> logits(const Decoder<float>& model, const std::vector<Index>& ids) {
  const NoGradient silent;
  const PrefixTree tree = PrefixTree::from_lengths(std::vector<Index>{std::ssize(ids)});
  return linear(model(embed(model.embedding, Var<float>(), ids), tree), model.head).value();
}

/// chat.gguf with `from`, which it holds once, replaced by `to` of the same length.
std::string changed(const std::string& from, const std::string& to) {
  std::string content = content_of(chat_path);
  REQUIRE(from.size() == to.size());
  const std::size_t at = content.find(from);
  REQUIRE(at != std::string::npos);
  REQUIRE(content.find(from, at + 1) == std::string::npos);
  return content.replace(at, from.size(), to);
}

/// The name of a key with the number that follows, as files have them.
template <class T>
std::string entry(const std::string& key, std::uint32_t type, T value) {
  std::string text = key;
  text.append(reinterpret_cast<const char*>(&type), sizeof type);
  text.append(reinterpret_cast<const char*>(&value), sizeof value);
  return text;
}

template <class... Parts>
bool refuses(const std::string& content, const Parts&... parts) {
  const TemporaryFolder folder;
  const auto path = folder.file("x.gguf", content);
  return fails_with([&] { load_gguf_language_model(path); }, "x.gguf", parts...);
}

}  // namespace

TEST_CASE("files as llama.cpp's converter writes them give the logits of the folders that they were made from") {
  for (const std::string name : {"llama_tied", "llama_linear", "qwen2_tied", "qwen2_yarn", "qwen3_tied"}) {
    CAPTURE(name);
    const Decoder<float> model = load_gguf_decoder(GgufFile(data / "gguf" / (name + ".gguf")));
    const SafetensorsFile expected(data / name / "expected.safetensors");
    const auto sequences =
        load_json(data / "cases.json").at(name).at("sequences").get<std::vector<std::vector<Index>>>();
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      CHECK(test::distance(logits(model, sequences[i]), expected.read<float>("logits." + std::to_string(i))) < 1e-5);
    }
  }
}

TEST_CASE("a file with a tokenizer and block-wise types is to us what it is to transformers") {
  const auto chat = load_language_model(chat_path);
  const SafetensorsFile expected(data / "gguf" / "chat.safetensors");
  const auto ids = expected.read<std::int32_t>("ids");
  const auto got = chat.tokenizer.encode(
      "<|im_start|>user\nA large red circle is left of 12 small blue squares.<|im_end|>\n", AddedTokens::parse);
  CHECK(got == std::vector<Token>(ids.data(), ids.data() + ids.elements()));
  CHECK(test::distance(logits(chat.model, {got.begin(), got.end()}), expected.read<float>("logits")) < 1e-5);
  CHECK(chat.folder == chat_path);
}

TEST_CASE("SmolLM2 is to us what it is to transformers") {
  const auto path = std::filesystem::path(CAPRL_SHARED_ASSETS) / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    MESSAGE("SKIPPED: absent: ", path.string());
    return;
  }
  const auto folder = load_language_model(path);
  const auto tokens = folder.tokenizer.encode("The 12 months of the year are January, February,");
  CHECK(tokens == std::vector<Token>{504, 216, 33, 34, 2704, 282, 260, 713, 359, 4450, 28, 5096, 28});
  const NoGradient silent;
  const std::vector<Index> ids(tokens.begin(), tokens.end());
  const PrefixTree tree = PrefixTree::from_lengths(std::vector<Index>{std::ssize(ids)});
  const auto rows = embed(folder.model.embedding, Var<float>(), ids);
  const Index last = std::ssize(ids) - 1;
  const auto next = folder.model.log_probabilities(rows, tree, {{last, 3903}, {last, 284}, {last, 4185}}, 1.0);
  CHECK(test::distance(next.value(), std::vector<double>{-1.0628, -1.5925, -2.0233}) < 1e-4);
}

TEST_CASE("a file that is no model of ours is refused by key or tensor") {
  const std::string architecture = entry<std::uint32_t>("general.architecture", 8, 5) + std::string(4, '\0');
  CHECK(refuses(changed(architecture + "llama", architecture + "gemma"),
                "general.architecture: expected one of llama, qwen2, qwen3; got \"gemma\""));
  CHECK(refuses(changed("smollm", "tekken"), "tokenizer.ggml.pre", "expected one of"));
  CHECK(
      refuses(changed(entry<std::uint32_t>("llama.block_count", 4, 2), entry<std::uint32_t>("llama.block_count", 4, 3)),
              "missing: 9 (blk.2.attn_k.weight [16, 32], ", "extra: 0"));
  CHECK(
      refuses(changed(entry<std::uint32_t>("llama.block_count", 4, 2), entry<std::uint32_t>("llama.block_count", 4, 1)),
              "missing: 0", "extra: 9 (blk.1.attn_k.weight [16, 32], "));
  CHECK(refuses(
      changed(entry<std::uint32_t>("llama.block_count", 4, 2), entry<std::uint32_t>("llama.block_count", 4, 4000)),
      "expected tensors of 4000 blocks", "got 21 tensors"));
  CHECK(refuses(changed(entry<std::uint32_t>("llama.feed_forward_length", 4, 64),
                        entry<std::uint32_t>("llama.feed_forward_length", 4, 1u << 24)),
                "of other shapes: 6 (blk.0.ffn_down.weight: expected [32, 16777216], found [32, 64]"));
  CHECK(refuses(changed(entry<std::uint32_t>("llama.attention.head_count_kv", 4, 1),
                        entry<std::uint32_t>("llama.attention.head_count_kv", 4, 3)),
                "num_key_value_heads", "a divisor of"));
  CHECK(refuses(changed(entry<std::uint32_t>("llama.rope.dimension_count", 4, 16),
                        entry<std::uint32_t>("llama.rope.dimension_count", 4, 8)),
                "key llama.rope.dimension_count", "expected 16, got 8"));
  CHECK(refuses(changed("llama.context_length", "llama.context_lengte"), "key llama.context_length", "missing"));
  CHECK(refuses(changed("llama.vocab_size", "llama.vocab_sizf"), "key llama.vocab_sizf", "unknown"));
  CHECK(refuses(changed("blk.1.ffn_up.weight", "blk.1.ffn_up.weighs"), "missing: 1 (blk.1.ffn_up.weight [64, 32])",
                "extra: 1 (blk.1.ffn_up.weighs [64, 32])"));
  CHECK(refuses(changed("token_embd.weight", "token_embt.weight"), "no tensor named token_embd.weight"));
  CHECK(refuses(changed(entry<float>("llama.rope.freq_base", 6, 5e5F), entry<float>("llama.rope.freq_base", 6, 4e5F)),
                "rope_freqs.weight of Llama 3", "at pair"));
}

TEST_CASE("a model with bytes changed loads or is an error") {
  const std::string whole = content_of(chat_path);
  const auto header = static_cast<std::uint32_t>(whole.find("output_norm.weight") + 64);
  const TemporaryFolder folder;
  RandomStream random({.seed = 7});
  std::size_t errors = 0;
  for (int round = 0; round < 300; ++round) {
    std::string other = whole;
    const std::size_t at = random.below(round % 3 == 0 ? 1200 : header);  // the first keys are the model's sizes
    if (round % 2 == 0) {
      other[at] = static_cast<char>(random.below(256));
    } else {
      const std::uint32_t number = round % 4 == 1 ? 0xFFFFFFFF : 1u << random.below(25);
      std::memcpy(other.data() + at, &number, sizeof number);
    }
    const auto path = folder.file("x.gguf", other);
    errors += error_message([&] { load_gguf_language_model(path); }) != "no error";
  }
  CHECK(errors > 100);
}
