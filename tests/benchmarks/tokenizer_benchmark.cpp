// Encodes the text file named by CAPRL_BENCHMARK_TEXT with the tokenizer.json named by CAPRL_BENCHMARK_TOKENIZER: line
// by line, as captions and questions come, and as a whole.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "caprl/text/load_tokenizer.hpp"

namespace {

using namespace caprl;

std::string path_from(const char* variable) {
  const char* path = std::getenv(variable);
  require(path != nullptr, std::string("[tokenizer_benchmark] expected ") + variable + " to name a file");
  return path;
}

std::vector<std::string> texts(bool whole) {
  std::ifstream file(path_from("CAPRL_BENCHMARK_TEXT"));
  if (whole) return {std::string(std::istreambuf_iterator<char>(file), {})};
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

/// Also says the number of tokens, which a peer's must equal.
void encode(benchmark::State& state, bool whole) {
  const Tokenizer tokenizer = Tokenizer::from_file(path_from("CAPRL_BENCHMARK_TOKENIZER"));
  const std::vector<std::string> read = texts(whole);
  std::size_t tokens = 0;
  for (auto _ : state) {
    tokens = 0;
    for (const std::string& text : read) tokens += tokenizer.encode(text, AddedTokens::parse).size();
  }
  state.counters["tokens"] = static_cast<double>(tokens);
}

BENCHMARK_CAPTURE(encode, lines, false)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, whole, true)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
