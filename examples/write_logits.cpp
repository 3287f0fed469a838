/// Writes a language model's logits over a text, to compare it with other implementations
/// (tests/reference/gguf_logits.py, model_vllm.py): for each window of the text "ids.N" [T] and "logits.N" [T, V].
///
///     write_logits --model SmolLM2-135M-Instruct.Q4_1.gguf --text docs/world.md --positions 2000 --out
///     logits.safetensors
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/autograd/embedding.hpp"
#include "caprl/core/progress.hpp"
#include "caprl/io/input_file.hpp"
#include "caprl/io/safetensors_writer.hpp"
#include "caprl/model/language_model.hpp"
#include "support/program.hpp"

using namespace caprl;

namespace {

struct Options {
  std::filesystem::path model, text, out;
  Index positions = 2000;
  Index window = 250;
};

/// [T, V]
Tensor<float> logits_of(const Decoder<float>& model, const std::vector<Index>& ids) {
  const NoGradient silent;
  const PrefixTree tree = PrefixTree::from_lengths(std::vector<Index>{std::ssize(ids)});
  return linear(model(embed(model.embedding, Var<float>(), ids), tree), model.head).value();
}

void run(const Options& options) {
  const auto folder = load_language_model(options.model);
  std::vector<Token> tokens = folder.tokenizer.encode(read_text_file(options.text));
  if (std::ssize(tokens) > options.positions) tokens.resize(static_cast<std::size_t>(options.positions));
  std::vector<NamedTensor> tensors;
  Progress progress("logits", std::ssize(tokens), 0);
  for (Index begin = 0; begin < std::ssize(tokens); begin += options.window) {
    const Index end = std::min<Index>(begin + options.window, std::ssize(tokens));
    const std::vector<Index> ids(tokens.begin() + begin, tokens.begin() + end);
    const std::string number = std::to_string(begin / options.window);
    tensors.push_back(named_tensor("ids." + number, Tensor<Index>::from(ids, {std::ssize(ids)})));
    tensors.push_back(named_tensor("logits." + number, logits_of(folder.model, ids)));
    progress.update(end, {});
  }
  write_safetensors(options.out, tensors);
  std::printf("wrote the logits of %zu tokens to %s\n", tokens.size(), options.out.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Writes a language model's logits over a text.");
  app.add_option("--model", options.model, "Folder or GGUF file")->required()->check(CLI::ExistingPath);
  app.add_option("--text", options.text, "A text file")->required()->check(CLI::ExistingFile);
  app.add_option("--out", options.out, "The safetensors file to write")->required();
  app.add_option("--positions", options.positions, "Tokens of the text, at most")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--window", options.window, "Tokens that see each other")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  examples::add_threads_option(app);
  return examples::run_program(argc, argv, app, [&] { run(options); });
}
