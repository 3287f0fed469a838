#pragma once

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "caprl/io/file_descriptor.hpp"
#include "caprl/io/file_system.hpp"

namespace caprl {

namespace detail {

inline constexpr const char* save_remedy =
    "free space or choose another place and run again; what was saved before is unchanged";

/// A hidden name beside `target` that is free: ".name.partial-<process>-<count>". A process that was killed may have
/// left one of the same number.
inline std::filesystem::path partial_path(const std::filesystem::path& target) {
  static std::atomic<unsigned> count{0};
  const std::string stem = "." + target.filename().string() + ".partial-" + std::to_string(::getpid()) + "-";
  while (true) {
    auto path = directory_of(target) / (stem + std::to_string(count.fetch_add(1)));
    std::error_code ignored;
    if (!std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) return path;
  }
}

inline void require_name(const std::string& operation, const std::filesystem::path& target) {
  const auto name = target.filename();
  if (name.empty() || name == "." || name == "..") {
    throw Error("[" + operation + "] expected a path that ends in a name, got \"" + target.string() + "\"");
  }
}

}  // namespace detail

/// A file that appears whole or not at all.
///
/// What is written goes to a hidden file beside the target; `commit` waits until it is on the disk and renames it over
/// the target. Without `commit` (an exception, a killed process) the target stays as it was, and the hidden file is
/// removed by the destructor. Throws Error naming the target, when the disk is full for example.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target) : target_(std::move(target)) {
    detail::require_name("write file", target_);
    partial_ = detail::partial_path(target_);
    try {
      file_ = detail::FileDescriptor::open("write file", partial_, O_WRONLY | O_CREAT | O_EXCL);
    } catch (const Error& error) {
      throw Error(error.problem(), target_.string(), detail::save_remedy);
    }
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    file_.close();
    if (!committed_) ::unlink(partial_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    if (const int error = detail::write_all(file_.number(), bytes); error != 0) fail(error);
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Makes the file durable under its own name. Nothing may be written afterwards.
  void commit() {
    if (::fsync(file_.number()) != 0) fail(errno);
    file_.close();
    if (::rename(partial_.c_str(), target_.c_str()) != 0) fail(errno);
    committed_ = true;
    detail::sync_directory(detail::directory_of(target_));
  }

 private:
  [[noreturn]] void fail(int error) const {
    detail::throw_system_error("write file", target_, error, detail::save_remedy);
  }

  std::filesystem::path target_;
  std::filesystem::path partial_;
  detail::FileDescriptor file_;
  bool committed_ = false;
};

/// Replaces the file's content in one step; see `AtomicFile`.
inline void write_file_atomically(const std::filesystem::path& target, std::string_view content) {
  AtomicFile file(target);
  file.write(content);
  file.commit();
}

}  // namespace caprl
