#pragma once

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "caprl/core/log.hpp"
#include "caprl/io/checkpoint.hpp"
#include "caprl/io/file_system.hpp"

namespace caprl {

/// The checkpoints of a run: `step-000120` folders, of which the last few are kept, and `best-000080`, the best one by
/// validation, which stays until a better one comes.
///
/// A folder counts only under its final name and with all its files whole, so one that was being written or removed
/// when the process died is never taken for a checkpoint. One process at a time may write.
class CheckpointFolder {
 public:
  /// Reads and creates nothing: a folder that another process writes may be looked into.
  explicit CheckpointFolder(std::filesystem::path folder, Index keep_last = 2)
      : folder_(std::move(folder)), keep_last_(keep_last) {
    require(keep_last >= 1, "[CheckpointFolder] expected to keep at least 1 checkpoint");
  }

  /// For the process that is to write: creates the folder if needed and removes what interrupted writers left in it.
  void open_for_writing() const {
    detail::make_directories("checkpoint folder", folder_, detail::save_remedy);
    remove_leftovers();
  }

  /// Calls fill(writer), which must call `writer.commit`; then removes checkpoints beyond the last few. Throws Error if
  /// the disk is full, for example; the checkpoints before stay.
  template <class Fill>
  void save(Index step, const Fill& fill) const {
    {
      CheckpointWriter writer(path_of("step", step), step);
      fill(writer);
    }
    if (!is_complete(path_of("step", step))) throw Error("[CheckpointFolder::save] the writer was not committed");
    auto steps = steps_of("step");
    while (static_cast<Index>(steps.size()) > keep_last_ && steps.front() < step) {
      remove(path_of("step", steps.front()));
      steps.erase(steps.begin());
    }
  }

  /// Keeps the checkpoint of `step`, which must exist, as the best one. Its files are shared with it, not copied, where
  /// the file system can.
  void keep_as_best(Index step) const {
    const auto source = path_of("step", step), target = path_of("best", step);
    if (!is_complete(source)) throw Error("[CheckpointFolder::keep_as_best] no such checkpoint", source.string());
    {
      AtomicDirectory directory(target);
      share_files(source, directory.path());
      directory.commit();
    }
    for (const Index other : steps_of("best")) {
      if (other != step) remove(path_of("best", other));
    }
  }

  /// The checkpoint with the highest step that is whole, if there is one; a warning names those that are passed over.
  /// Throws Error where there are checkpoints, but none that opens: to begin anew would lose them.
  std::optional<Checkpoint> latest() const { return last_complete("step"); }
  std::optional<Checkpoint> best() const { return last_complete("best"); }

  const std::filesystem::path& path() const { return folder_; }

  std::filesystem::path path_of(std::string_view kind, Index step) const {
    std::string digits = std::to_string(step);
    digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
    return folder_ / (std::string(kind) + "-" + digits);
  }

 private:
  bool is_there() const {
    return detail::with_file_errors("checkpoint folder", folder_, "check the path",
                                    [&] { return std::filesystem::exists(folder_); });
  }

  static bool is_complete(const std::filesystem::path& path) {
    try {
      const Checkpoint checkpoint(path);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  /// Calls use(entry) for each entry of the folder.
  template <class Use>
  void for_each_entry(const Use& use) const {
    detail::with_file_errors("checkpoint folder", folder_, "choose a folder that this process may read", [&] {
      for (const auto& entry : std::filesystem::directory_iterator(folder_)) use(entry);
    });
  }

  /// The steps of the folders named for `kind`, rising.
  std::vector<Index> steps_of(std::string_view kind) const {
    std::vector<Index> steps;
    for_each_entry([&](const std::filesystem::directory_entry& entry) {
      const std::string name = entry.path().filename().string();
      const std::string digits = name.size() > kind.size() + 1 ? name.substr(kind.size() + 1) : "";
      const bool is_number = digits.size() >= 6 && digits.size() <= 18 &&
                             std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
      if (!is_number || !entry.is_directory()) return;
      const Index step = std::stoll(digits);
      if (path_of(kind, step).filename() == name) steps.push_back(step);
    });
    std::sort(steps.begin(), steps.end());
    return steps;
  }

  std::optional<Checkpoint> last_complete(std::string_view kind) const {
    if (!is_there()) return std::nullopt;
    const auto steps = steps_of(kind);
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      try {
        return Checkpoint(path_of(kind, *step));
      } catch (const Error& error) {
        if (std::next(step) == steps.rend()) throw;
        log_warning("passed over a checkpoint: " + std::string(error.what()));
      }
    }
    return std::nullopt;
  }

  static void share_files(const std::filesystem::path& source, const std::filesystem::path& target) {
    detail::with_file_errors("keep checkpoint", target, detail::save_remedy, [&] {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(source)) {
        const auto place = target / entry.path().lexically_relative(source);
        if (entry.is_directory()) {
          std::filesystem::create_directories(place);
          continue;
        }
        std::error_code error;
        std::filesystem::create_hard_link(entry.path(), place, error);
        if (error) std::filesystem::copy_file(entry.path(), place);
      }
    });
  }

  /// Takes the name away first, for good, so that a half-removed folder is none, after a power loss neither.
  static void remove(const std::filesystem::path& path) {
    const auto hidden = detail::partial_path(path);
    std::error_code error, ignored;
    std::filesystem::rename(path, hidden, error);
    if (error) return;  // it stays, which does no harm
    detail::sync_directory(detail::directory_of(path));
    std::filesystem::remove_all(hidden, ignored);
  }

  void remove_leftovers() const {
    for_each_entry([](const std::filesystem::directory_entry& entry) {
      const std::string name = entry.path().filename().string();
      const bool is_ours = name.starts_with(".step-") || name.starts_with(".best-");
      std::error_code ignored;
      if (is_ours && name.find(".partial-") != std::string::npos) std::filesystem::remove_all(entry.path(), ignored);
    });
  }

  std::filesystem::path folder_;
  Index keep_last_;
};

}  // namespace caprl
