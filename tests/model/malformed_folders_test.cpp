#include <doctest/doctest.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>
#include <vector>

#include "caprl/model/generation_config.hpp"
#include "caprl/model/language_model.hpp"
#include "caprl/model/lora_folder.hpp"
#include "caprl/model/qwen25_vl.hpp"
#include "caprl/model/qwen3_vl.hpp"
#include "caprl/model/tiny_vlm.hpp"
#include "support/error_message.hpp"
#include "support/mutants.hpp"
#include "support/small_qwen.hpp"
#include "support/tiny_world.hpp"

/// Folders in which one file is wrong: an Error that names the file, never a crash, nor memory for what is not there.
/// CAPRL_MUTANTS=20000 searches for longer.

using namespace caprl;
using namespace caprl::testing;

namespace {

constexpr std::uint32_t usual = 50;

const std::filesystem::path data = std::filesystem::path(CAPRL_TEST_DATA);

/// A copy of a folder of tests/data.
class FolderCopy {
 public:
  explicit FolderCopy(const std::string& name) {
    std::filesystem::copy(data / name, path(), std::filesystem::copy_options::recursive);
  }
  std::filesystem::path path() const { return folder_.path(); }
  std::filesystem::path operator/(const char* file) const { return folder_ / file; }

 private:
  TemporaryFolder folder_;
};

/// The most memory that the program has had in use so far, in bytes.
Index most_resident() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return Index{usage.ru_maxrss} << 10;
}

/// A few of many mutants may be as good as the file (a name of no meaning, a number that nothing is measured by).
bool many(std::uint32_t refused) { return refused > mutants_of_each(usual) / 2; }

std::uint32_t refused_configs(const std::filesystem::path& folder, const std::function<void()>& load) {
  return refused_mutants(folder / "config.json", mutants_of_each(usual), json_file_mutant, {"config.json"}, load);
}

}  // namespace

TEST_CASE("a wrong config.json is an error or another model that the weights fit") {
  const Index before = most_resident();
  for (const char* name : {"model/llama_linear", "model/qwen2_yarn", "model/qwen3_yarn"}) {
    CAPTURE(name);
    const FolderCopy folder(name);
    CHECK(many(refused_configs(folder.path(), [&] { load_decoder(folder.path()); })));
  }
  for (const char* name : {"qwen25_vl/published", "qwen25_vl/nested"}) {
    CAPTURE(name);
    const FolderCopy folder(name);
    CHECK(many(refused_configs(folder.path(), [&] { load_qwen25_vl_model(folder.path()); })));
  }
  const FolderCopy deep("qwen3_vl/deep");
  CHECK(many(refused_configs(deep.path(), [&] { load_qwen3_vl_model(deep.path()); })));
  const TemporaryFolder tiny;
  const Tokenizer tokenizer = caprl::test::small_tokenizer();
  tiny.file("tokenizer.json", caprl::test::small_tokenizer_json());
  save_tiny_vlm(caprl::test::small_vlm(tokenizer), tiny / "tokenizer.json", tiny / "saved");
  CHECK(many(refused_configs(tiny / "saved", [&] { load_tiny_vlm(tiny / "saved"); })));
  CHECK(most_resident() - before < Index{1} << 29);
}

TEST_CASE("wrong weight files and indices are errors") {
  const Index before = most_resident();
  const FolderCopy whole("model/qwen3_biases"), parts("model/qwen2_shards");
  const auto count = mutants_of_each(usual);
  CHECK(many(refused_mutants(whole / "model.safetensors", count, safetensors_mutant, {"model.safetensors"},
                             [&] { load_decoder(whole.path()); })));
  const auto load_parts = [&] { load_decoder(parts.path()); };
  CHECK(many(refused_mutants(parts / "model.safetensors.index.json", count, json_file_mutant, {"model"}, load_parts)));
  CHECK(many(refused_mutants(parts / "model-00001-of-00007.safetensors", count, safetensors_mutant,
                             {"model-00001-of-00007.safetensors"}, load_parts)));
  CHECK(most_resident() - before < Index{1} << 29);
}

TEST_CASE("wrong tokenizers are errors, or write text all the same") {
  const Index before = most_resident();
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.file("tokenizer.json", caprl::test::small_tokenizer_json());
  const auto load = [&] { Tokenizer::from_file(file).encode("describe a Kreis  , 12 <|im_end|>", AddedTokens::parse); };
  const auto count = mutants_of_each(usual);
  CHECK(many(refused_mutants(file, count, json_file_mutant, {"tokenizer.json"}, load)));
  // All but the two tables, which have most of the values.
  const auto settings_mutant = [](const std::string& text, RandomStream& random) {
    Json json = Json::parse(text);
    const Json vocabulary = json["model"]["vocab"], merges = json["model"]["merges"];
    json["model"]["vocab"] = "<vocabulary>";
    json["model"]["merges"] = "<merges>";
    std::string mutant = json_mutant(json.dump(), random);
    for (const auto& [name, table] : {std::pair("\"<vocabulary>\"", &vocabulary), std::pair("\"<merges>\"", &merges)}) {
      const std::size_t at = mutant.find(name);
      if (at != std::string::npos) mutant.replace(at, std::string(name).size(), table->dump());
    }
    return mutant;
  };
  CHECK(refused_mutants(file, count, settings_mutant, {"tokenizer.json"}, load) > count / 3);
  const auto beside = folder.file("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": ""},
      {"name": "default", "template": "<|im_start|>system\\nYou help.<|im_end|>"}]})");
  CHECK(refused_mutants(beside, count, json_file_mutant, {"tokenizer_config.json"}, load) > count / 3);
  CHECK(most_resident() - before < Index{1} << 29);
}

TEST_CASE("a tokenizer with more tokens than the model has embeddings is an error") {
  const TemporaryFolder folder;
  const Tokenizer tokenizer = caprl::test::small_tokenizer();
  const auto file = folder.file("tokenizer.json", caprl::test::small_tokenizer_json());
  const auto refuses = [&](const char* name, const auto& load) {
    Json json = load_json(file);
    json["added_tokens"].push_back({{"id", tokenizer.vocabulary_size()}, {"content", "<|more|>"}, {"special", true}});
    load(folder / name);
    write_file_atomically(folder / name / "tokenizer.json", json.dump());
    return fails_with([&] { load(folder / name); }, std::to_string(tokenizer.vocabulary_size()),
                      (folder / name / "tokenizer.json").string());
  };
  save_language_model(caprl::test::small_vlm(tokenizer).language, file, folder / "text");
  CHECK(refuses("text", [](const auto& path) { load_language_model(path); }));
  save_tiny_vlm(caprl::test::small_vlm(tokenizer), file, folder / "tiny");
  CHECK(refuses("tiny", [](const auto& path) { load_tiny_vlm(path); }));
  save_qwen25_vl(caprl::test::small_qwen25_vl(tokenizer), file, folder / "qwen25");
  CHECK(refuses("qwen25", [](const auto& path) { load_qwen25_vl(path); }));
  save_qwen3_vl(caprl::test::small_qwen3_vl(tokenizer), file, folder / "qwen3");
  CHECK(refuses("qwen3", [](const auto& path) { load_qwen3_vl(path); }));
}

TEST_CASE("wrong settings of generation, processors and adapters are errors") {
  const Index before = most_resident();
  const auto count = mutants_of_each(usual);
  const TemporaryFolder folder;
  caprl::test::write_small_qwen_files(folder.path(), {7, 9});
  CHECK(refused_mutants(folder / "generation_config.json", count, json_file_mutant, {"generation_config.json"},
                        [&] { load_generation_config(folder.path()); }) > count / 3);
  const Qwen25VisionSettings tower{.block = {}, .patch_size = 4};
  const Image picture = caprl::test::noise_image(1);
  for (const char* name : {"preprocessor_config.json", "video_preprocessor_config.json"}) {
    CHECK(many(refused_mutants(folder / name, count, json_file_mutant, {name}, [&] {
      const auto read = load_fitting_preprocessing(folder.path(), tower, VideoProcessor::qwen2_vl);
      preprocess_image(picture, read.images, name);
    })));
  }
  const FolderCopy model("model/qwen2_tied"), adapter("lora/qwen2_tied");
  const auto load_adapter = [&] { load_lora<float>(load_decoder(model.path()), adapter.path()); };
  CHECK(many(refused_mutants(adapter / "adapter_config.json", count, json_file_mutant, {"adapter_config.json"},
                             load_adapter)));
  CHECK(many(refused_mutants(adapter / "adapter_model.safetensors", count, safetensors_mutant,
                             {"adapter_model.safetensors"}, load_adapter)));
  CHECK(most_resident() - before < Index{1} << 29);
}
