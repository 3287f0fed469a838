#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

/// The folder listing is the architecture: a folder includes only itself and folders before it in this list.
namespace {

const std::vector<std::string> layers = {
    "core", "tensor", "autograd", "nn",     "optim", "dist",      "io",        "net",      "text",  "media",  "frames",
    "data", "model",  "sampling", "policy", "judge", "advantage", "objective", "evaluate", "train", "curate", "serve"};

std::ptrdiff_t layer_of(const std::string& folder) { return std::ranges::find(layers, folder) - layers.begin(); }

struct Arrow {
  std::string from;
  std::string to;
};

/// All includes of the library's own headers that point to a later folder or to no known one.
std::vector<Arrow> arrows_back(const std::filesystem::path& root) {
  std::vector<Arrow> back;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const auto relative = entry.path().lexically_relative(root);
    if (!entry.is_regular_file() || !relative.has_parent_path()) continue;  // caprl.hpp may include everything
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      const std::string start = "#include \"caprl/";
      if (!line.starts_with(start)) continue;
      const std::string included = line.substr(start.size(), line.rfind('"') - start.size());
      const std::string from = relative.begin()->string();
      const std::string to = included.substr(0, included.find('/'));
      const bool known = layer_of(from) < std::ssize(layers) && layer_of(to) < std::ssize(layers);
      if (!known || layer_of(to) > layer_of(from)) back.push_back({relative.string(), included});
    }
  }
  return back;
}

/// True for a header that cannot do without libav's or oneDNN's, which it includes itself or through others of the
/// library. What stands under an #if is asked for only where the build has it.
bool needs_optional_dependency(const std::filesystem::path& root, const std::string& header) {
  std::ifstream file(root / header);
  int conditions = 0;
  for (std::string line; std::getline(file, line);) {
    conditions += line.starts_with("#if") ? 1 : line.starts_with("#endif") ? -1 : 0;
    if (conditions > 0) continue;
    for (const char* optional : {"#include <libav", "#include <libsw", "#include <oneapi/"}) {
      if (line.starts_with(optional)) return true;
    }
    const std::string start = "#include \"caprl/";
    if (!line.starts_with(start)) continue;
    if (needs_optional_dependency(root, line.substr(start.size(), line.rfind('"') - start.size()))) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("no include points to a later folder") {
  for (const Arrow& arrow : arrows_back(CAPRL_INCLUDE)) FAIL_CHECK(arrow.from, " includes ", arrow.to);
}

TEST_CASE("the umbrella includes every header that needs no optional dependency") {
  const std::filesystem::path root = CAPRL_INCLUDE;
  std::ifstream file(root / "caprl.hpp");
  const std::string umbrella((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string name = entry.path().lexically_relative(root).generic_string();
    if (entry.path().extension() != ".hpp" || name == "caprl.hpp" || name.starts_with("tensor/cuda/")) continue;
    const bool included = umbrella.find("\"caprl/" + name + "\"") != std::string::npos;
    CAPTURE(name);
    CHECK(included != needs_optional_dependency(root, name));
  }
}

TEST_CASE("an include that points to a later folder is found") {
  const caprl::testing::TemporaryFolder root;
  std::filesystem::create_directories(root / "core");
  root.file("core/wrong.hpp", "#include \"caprl/train/trainer.hpp\"\n#include \"caprl/core/error.hpp\"\n");
  const auto found = arrows_back(root.path());
  REQUIRE(found.size() == 1);
  CHECK(found[0].to == "train/trainer.hpp");
}

TEST_CASE("an optional dependency is found through other headers, and not under a condition") {
  const caprl::testing::TemporaryFolder root;
  root.file("direct.hpp", "#include <oneapi/dnnl/dnnl.h>\n");
  root.file("through.hpp", "#include <vector>\n#include \"caprl/direct.hpp\"\n");
  root.file("asked.hpp", "#if defined(WITH)\n#include \"caprl/direct.hpp\"\n#else\n#include <vector>\n#endif\n");
  CHECK(needs_optional_dependency(root.path(), "direct.hpp"));
  CHECK(needs_optional_dependency(root.path(), "through.hpp"));
  CHECK_FALSE(needs_optional_dependency(root.path(), "asked.hpp"));
}
