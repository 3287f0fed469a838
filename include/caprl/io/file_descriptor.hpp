#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "caprl/core/error.hpp"

namespace caprl::detail {

/// Throws what the operating system said about `path`.
[[noreturn]] inline void throw_system_error(const std::string& operation, const std::filesystem::path& path,
                                            int error_number, const std::string& remedy = {}) {
  throw Error("[" + operation + "] " + std::generic_category().message(error_number), path.string(), remedy);
}

/// An open file of the operating system, closed when this object goes.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      close();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  ~FileDescriptor() { close(); }

  /// Throws Error naming `operation` and `path`.
  static FileDescriptor open(const std::string& operation, const std::filesystem::path& path, int flags,
                             const std::string& remedy = {}) {
    FileDescriptor file;
    do {
      file.number_ = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    } while (file.number_ < 0 && errno == EINTR);
    if (file.number_ < 0) throw_system_error(operation, path, errno, remedy);
    return file;
  }

  int number() const { return number_; }

  void close() noexcept {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_ = -1;
};

/// Keeps other processes from working on an open file or folder until it is closed. Throws Error where one does.
inline void lock(const FileDescriptor& file, const std::filesystem::path& path) {
  if (::flock(file.number(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno != EWOULDBLOCK) throw_system_error("lock", path, errno);
  throw Error("[lock] expected no other process that writes here, got one", path.string(),
              "wait until it has ended, or name another output");
}

/// Writes all bytes; returns 0 or the error number.
inline int write_all(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace caprl::detail
