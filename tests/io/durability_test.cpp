#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "caprl/io/checkpoint_folder.hpp"
#include "caprl/io/jsonl.hpp"
#include "support/temporary_folder.hpp"

namespace {

/// What is called with each path that is synchronised, while a `SyncWatch` lives.
std::function<void(const std::filesystem::path&)> on_sync;

}  // namespace

/// In the place of the C library's: a power loss cannot be tried, but what has been waited for can be seen.
extern "C" int fsync(int descriptor) {
  if (on_sync) on_sync(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor)));
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

namespace {

using namespace caprl;
using namespace caprl::testing;

/// Lists, for each synchronised directory, the names that it had at that time.
class SyncWatch {
 public:
  SyncWatch() {
    on_sync = [this](const std::filesystem::path& path) {
      if (!std::filesystem::is_directory(path)) return;
      Moment moment{path, {}};
      for (const auto& entry : std::filesystem::directory_iterator(path)) {
        moment.names.push_back(entry.path().filename().string());
      }
      moments_.push_back(std::move(moment));
    };
  }
  SyncWatch(const SyncWatch&) = delete;
  SyncWatch& operator=(const SyncWatch&) = delete;
  ~SyncWatch() { on_sync = nullptr; }

  /// True if `directory` was synchronised at a time when it had an entry `present` and none `absent`.
  bool saw(const std::filesystem::path& directory, const std::string& present, const std::string& absent = "") const {
    return std::ranges::any_of(moments_, [&](const Moment& moment) {
      return moment.directory == std::filesystem::canonical(directory) && moment.has(present) && !moment.has(absent);
    });
  }

 private:
  struct Moment {
    std::filesystem::path directory;
    std::vector<std::string> names;

    bool has(const std::string& name) const { return std::ranges::find(names, name) != names.end(); }
  };
  std::vector<Moment> moments_;
};

void save(const CheckpointFolder& folder, Index step) {
  folder.save(step, [](CheckpointWriter& writer) { writer.commit(Json::object(), Json::object()); });
}

}  // namespace

TEST_CASE("a file's and a directory's new name are on the disk after commit") {
  const TemporaryFolder folder;
  const SyncWatch watch;
  write_file_atomically(folder / "a.txt", "text");
  CHECK(watch.saw(folder.path(), "a.txt"));
  AtomicDirectory directory(folder / "parent/model");
  CHECK(watch.saw(folder.path(), "parent"));
  directory.commit();
  CHECK(watch.saw(folder / "parent", "model"));
}

TEST_CASE("a run's folders, logs and checkpoints have their names on the disk") {
  const TemporaryFolder temporary;
  const SyncWatch watch;
  const CheckpointFolder folder(temporary / "run/checkpoints", 1);
  folder.open_for_writing();
  CHECK(watch.saw(temporary.path(), "run"));
  CHECK(watch.saw(temporary / "run", "checkpoints"));
  JsonlWriter log(temporary / "run/metrics.jsonl");
  log.write_line("{}");
  CHECK_FALSE(watch.saw(temporary / "run", "metrics.jsonl"));
  log.sync();
  CHECK(watch.saw(temporary / "run", "metrics.jsonl"));
  save(folder, 10);
  CHECK(watch.saw(folder.path(), "step-000010"));
}

TEST_CASE("a checkpoint that is removed has lost its name on the disk before its files go") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary / "checkpoints", 1);
  save(folder, 10);
  const SyncWatch watch;
  std::size_t hidden_with_files = 0;
  const auto record = std::exchange(on_sync, nullptr);
  on_sync = [&](const std::filesystem::path& path) {
    record(path);
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      const bool is_old = entry.path().filename().string().starts_with(".step-000010.partial-");
      if (is_old && std::filesystem::exists(entry.path() / "state.json")) ++hidden_with_files;
    }
  };
  save(folder, 20);
  CHECK(watch.saw(folder.path(), "step-000020", "step-000010"));
  CHECK(hidden_with_files == 1);
  CHECK_FALSE(std::filesystem::exists(folder.path_of("step", 10)));
}
