/// Writes the folder of a captioner with random weights: small, of any of the architectures, or of the sizes that a
/// config.json says.
///
///     new_captioner --tokenizer build/tokenizer.json --out build/new
///     new_captioner --architecture qwen3_vl --tokenizer build/tokenizer.json --out build/new_qwen3
///     new_captioner --like Qwen2.5-VL-3B-Instruct --out build/random_3b
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/model/generation_config.hpp"
#include "caprl/policy/any_vlm_policy.hpp"
#include "caprl/text/chat_ml_template.hpp"
#include "support/captioner_sizes.hpp"
#include "support/program.hpp"

using namespace caprl;

namespace {

struct Options {
  examples::CaptionerSizes sizes;
  std::filesystem::path tokenizer, like, out;
  bool bf16_weights = false, overwrite = false;
  std::uint64_t seed = 1;
};

/// What transformers and vLLM take from a folder to chat with its model, where it does not come with the tokenizer.
std::vector<CompanionFile> chat_files(const AnyVlm<float>& model, const std::filesystem::path& tokenizer) {
  const ChatTemplate chat = chat_template(Tokenizer::from_file(tokenizer), model);
  const SpecialTokenIds& special = chat.special_tokens();
  const Json generation = generation_config_json({.end_tokens = {special.turn_end, special.end_of_text}});
  std::vector<CompanionFile> files{{"generation_config.json", generation.dump(2) + "\n"}};
  if (!load_chat_template(tokenizer.parent_path())) {
    files.push_back({"chat_template.jinja", chat_ml_template(chat.default_system_message())});
  }
  return files;
}

void run(const Options& options) {
  const std::filesystem::path tokenizer = options.like.empty() ? options.tokenizer : options.like / "tokenizer.json";
  if (!options.overwrite && std::filesystem::exists(options.out)) {
    throw Error("[--out] expected a new folder, got one that is there", options.out.string(),
                "--overwrite replaces it");
  }
  require(!tokenizer.empty(), "[--tokenizer] expected a tokenizer.json, or a folder for --like");
  const AnyVlm<float> model = options.like.empty()
                                  ? examples::new_captioner(options.sizes, Tokenizer::from_file(tokenizer))
                                  : vlm_without_weights<float>(options.like);
  initialize(model, options.seed);
  save_vlm(model, tokenizer, options.out, options.bf16_weights ? WeightFormat::bf16 : WeightFormat::float32,
           options.like.empty() ? chat_files(model, tokenizer) : std::vector<CompanionFile>{});
  std::printf("saved %s: %ld numbers\n", options.out.c_str(),
              static_cast<long>(numbers_in(named_blocks<float>(model))));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Writes the folder of a captioner with random weights.");
  auto* like =
      app.add_option("--like", options.like,
                     "Folder whose config.json, tokenizer.json and processors say the architecture and all sizes")
          ->check(CLI::ExistingDirectory);
  app.add_option("--out", options.out, "Folder to write")->required();
  app.add_flag("--overwrite", options.overwrite, "Replace a folder that is there");
  app.add_option("--seed", options.seed, "Of the weights")->capture_default_str();
  app.add_flag("--bf16", options.bf16_weights, "Save the weights as bf16");
  app.add_option("--tokenizer", options.tokenizer, "Its tokenizer.json")->check(CLI::ExistingFile)->excludes(like);
  examples::add_size_options(app, options.sizes, like);
  return examples::run_program(argc, argv, app, [&] { run(options); });
}
