#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/io/file_descriptor.hpp"

namespace caprl::detail {

/// Returns body(). What `std::filesystem` throws in it becomes Error that names `operation` and the file, which is
/// `path` where the exception has none.
template <class Body>
auto with_file_errors(const std::string& operation, const std::filesystem::path& path, const std::string& remedy,
                      const Body& body) {
  try {
    return body();
  } catch (const std::filesystem::filesystem_error& error) {
    std::string where = (error.path1().empty() ? path : error.path1()).string();
    if (!error.path2().empty()) where += " to " + error.path2().string();
    throw Error("[" + operation + "] " + error.code().message(), where, remedy);
  }
}

/// Waits until the directory's entries (names, renames) are on the disk. File systems that cannot are let pass.
inline void sync_directory(const std::filesystem::path& directory) {
  const auto file = FileDescriptor::open("sync directory", directory, O_RDONLY | O_DIRECTORY);
  if (::fsync(file.number()) != 0 && errno != EINVAL) throw_system_error("sync directory", directory, errno);
}

/// The directory that holds `path`; "." for a bare name.
inline std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

/// Makes a directory and the parents that it lacks, and waits until their names are on the disk.
inline void make_directories(const std::string& operation, const std::filesystem::path& path,
                             const std::string& remedy) {
  with_file_errors(operation, path, remedy, [&] {
    std::vector<std::filesystem::path> missing;
    for (auto at = path; !at.empty() && !std::filesystem::exists(at); at = at.parent_path()) missing.push_back(at);
    std::filesystem::create_directories(path);
    for (const auto& made : missing) sync_directory(directory_of(made));
  });
}

}  // namespace caprl::detail
