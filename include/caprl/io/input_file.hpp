#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "caprl/io/file_descriptor.hpp"

namespace caprl {

/// A regular file that is read. Its bytes are copied, never mapped: of a file that another process cuts short meanwhile
/// an Error tells, where a page of a map that has lost its file would end the program.
class InputFile {
 public:
  /// Throws Error naming the file if it cannot be opened or is no regular file.
  explicit InputFile(std::filesystem::path path)
      : path_(std::move(path)),
        // Opening a pipe that nobody writes to would wait, were it not for O_NONBLOCK, which says nothing to a file.
        file_(detail::FileDescriptor::open("open file", path_, O_RDONLY | O_NONBLOCK, "check the path")) {
    struct stat status {};
    if (::fstat(file_.number(), &status) != 0) detail::throw_system_error("open file", path_, errno);
    if (!S_ISREG(status.st_mode)) throw Error("[open file] expected a regular file", path_.string());
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  const std::filesystem::path& path() const { return path_; }
  /// Bytes of the file when it was opened.
  std::uint64_t size() const { return size_; }

  /// Fills `target` with the bytes from `offset` on. Throws Error naming the file if it ends before.
  void read(std::uint64_t offset, std::span<std::byte> target) const {
    while (!target.empty()) {
      const ssize_t count = ::pread(file_.number(), target.data(), target.size(), static_cast<off_t>(offset));
      if (count < 0) {
        if (errno == EINTR) continue;
        detail::throw_system_error("read file", path_, errno);
      }
      if (count == 0) {
        throw Error("[read file] expected " + std::to_string(size_) + " bytes, as when it was opened, got fewer",
                    path_.string(), "another process has cut the file short: write it again whole");
      }
      target = target.subspan(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
  }

 private:
  std::filesystem::path path_;
  detail::FileDescriptor file_;
  std::uint64_t size_ = 0;
};

/// The whole file as text. Throws Error naming the file.
inline std::string read_text_file(const std::filesystem::path& path) {
  const InputFile file(path);
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace caprl
