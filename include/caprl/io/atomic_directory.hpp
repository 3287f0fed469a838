#pragma once

#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "caprl/io/atomic_file.hpp"
#include "caprl/io/file_system.hpp"

namespace caprl {

namespace detail {

/// Waits until every file and directory below `directory` is on the disk.
inline void sync_tree(const std::filesystem::path& directory) {
  with_file_errors("sync directory", directory, save_remedy, [&] {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
      if (entry.is_symlink()) continue;
      if (entry.is_directory()) {
        sync_directory(entry.path());
      } else if (entry.is_regular_file()) {
        const auto file = FileDescriptor::open("sync file", entry.path(), O_RDONLY);
        if (::fsync(file.number()) != 0) throw_system_error("sync file", entry.path(), errno, save_remedy);
      }
    }
  });
  sync_directory(directory);
}

}  // namespace detail

/// A directory that appears whole or not at all.
///
/// The user fills `path()`, a hidden directory beside the target, whose parents are made; `commit` waits until all of
/// it is on the disk and renames it once. A target that exists is exchanged for the new one in one step where the file
/// system can (`renameat2`), else by two renames, and then removed; but if it holds a file that the new directory has
/// not, `commit` throws Error, since that file would be lost. Without `commit` the target stays as it was, and the
/// hidden directory is removed by the destructor.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(std::filesystem::path target) : target_(without_slash(std::move(target))) {
    detail::require_name("write directory", target_);
    partial_ = detail::partial_path(target_);
    detail::make_directories("write directory", detail::directory_of(target_), detail::save_remedy);
    std::error_code error;
    if (!std::filesystem::create_directory(partial_, error)) fail(error ? error.value() : EEXIST);
  }
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;
  ~AtomicDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(partial_, ignored);  // after an exchange: what the target was before
  }

  /// Where to write, until `commit`.
  const std::filesystem::path& path() const { return partial_; }

  void commit() {
    detail::sync_tree(partial_);
    std::error_code error;
    if (std::filesystem::exists(target_, error)) {
      require_nothing_lost();
      replace();
    } else if (::rename(partial_.c_str(), target_.c_str()) != 0) {
      fail(errno);
    }
    detail::sync_directory(detail::directory_of(target_));
  }

 private:
  static std::filesystem::path without_slash(std::filesystem::path path) {
    return path.has_filename() || !path.has_parent_path() ? path : path.parent_path();
  }

  void require_nothing_lost() const {
    const char* const remedy = "choose another place";
    detail::with_file_errors("write directory", target_, remedy, [&] {
      if (!std::filesystem::is_directory(target_)) {
        throw Error("[write directory] expected a directory or a new name, got a file", target_.string(), remedy);
      }
      for (const auto& entry : std::filesystem::recursive_directory_iterator(target_)) {
        const auto name = entry.path().lexically_relative(target_);
        const bool is_folder = std::filesystem::is_directory(entry.symlink_status());
        if (is_folder || std::filesystem::exists(std::filesystem::symlink_status(partial_ / name))) continue;
        throw Error(
            "[write directory] expected a directory in which every file is replaced, got one with another file: " +
                name.string(),
            target_.string(), remedy);
      }
    });
  }

  void replace() const {
    if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) == 0) return;
    if (errno != EINVAL && errno != ENOSYS) fail(errno);
    const auto replaced = detail::partial_path(target_);
    if (::rename(target_.c_str(), replaced.c_str()) != 0) fail(errno);
    if (::rename(partial_.c_str(), target_.c_str()) != 0) {
      const int error = errno;
      if (::rename(replaced.c_str(), target_.c_str()) != 0) fail(errno);
      fail(error);
    }
    detail::sync_directory(detail::directory_of(target_));  // before what was there is gone
    std::error_code ignored;
    std::filesystem::remove_all(replaced, ignored);
  }

  [[noreturn]] void fail(int error) const {
    detail::throw_system_error("write directory", target_, error, detail::save_remedy);
  }

  std::filesystem::path target_;
  std::filesystem::path partial_;
};

}  // namespace caprl
