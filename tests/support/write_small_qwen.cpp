// Writes folders of a Qwen2.5-VL and a Qwen3-VL with random weights, for the tests of programs.
// usage: write_small_qwen TOKENIZER_JSON FOLDER    (makes FOLDER/qwen25 and FOLDER/qwen3)
#include <cstdio>
#include <exception>
#include <filesystem>

#include "support/small_qwen.hpp"

int main(int argc, char** argv) try {
  using namespace caprl;
  if (argc != 3) throw Error("expected: write_small_qwen TOKENIZER_JSON FOLDER");
  const std::filesystem::path folder = argv[2], source = folder / "source";
  std::filesystem::create_directories(source);
  std::filesystem::copy_file(argv[1], source / "tokenizer.json");
  const Tokenizer tokenizer = Tokenizer::from_file(source / "tokenizer.json");
  test::write_small_qwen_files(source, {*tokenizer.id_of("<|im_end|>"), *tokenizer.id_of("<|endoftext|>")});
  save_qwen25_vl(test::small_qwen25_vl(tokenizer), source / "tokenizer.json", folder / "qwen25");
  save_qwen3_vl(test::small_qwen3_vl(tokenizer), source / "tokenizer.json", folder / "qwen3");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "write_small_qwen: %s\n", error.what());
  return 1;
}
