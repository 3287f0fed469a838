#pragma once

#include <sys/mman.h>
#include <sys/stat.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "caprl/io/file_descriptor.hpp"

namespace caprl {

/// A regular file's bytes, mapped read-only into memory for the life of this object.
///
/// Throws Error naming the file if it cannot be opened or is no regular file. The file must not be shortened while it
/// is mapped; caprl's own writers never do that to a file that has its final name.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path) {
    const auto file = detail::FileDescriptor::open("open file", path, O_RDONLY, "check the path");
    struct stat status {};
    if (::fstat(file.number(), &status) != 0) detail::throw_system_error("open file", path, errno);
    if (!S_ISREG(status.st_mode)) throw Error("[open file] expected a regular file", path.string());
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0) return;
    void* start = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.number(), 0);
    if (start == MAP_FAILED) detail::throw_system_error("map file", path, errno);
    start_ = start;
  }
  MappedFile(MappedFile&& other) noexcept
      : start_(std::exchange(other.start_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(start_, other.start_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile() {
    if (start_ != nullptr) ::munmap(start_, size_);
  }

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(start_), size_}; }

 private:
  void* start_ = nullptr;
  std::size_t size_ = 0;
};

/// The whole file as text. Throws Error naming the file.
inline std::string read_text_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

}  // namespace caprl
