#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "caprl/core/index.hpp"
#include "caprl/io/file_descriptor.hpp"
#include "caprl/io/file_system.hpp"
#include "caprl/io/input_file.hpp"
#include "caprl/io/json_fields.hpp"

namespace caprl {

/// Calls body(line, where) for each line of a file, without its line end; `where` is "file:line". Lines are views
/// valid during the call. Throws Error for a blank line.
template <class Body>
void for_each_line(const std::filesystem::path& path, const Body& body) {
  const std::string text = read_text_file(path);
  std::string_view rest = text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const auto length = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, length);
    const std::string where = path.string() + ":" + std::to_string(number);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      throw Error("[jsonl] expected a JSON object, got a blank line", where, "remove the line");
    }
    body(line, where);
    rest.remove_prefix(std::min(length + 1, rest.size()));
  }
}

/// Calls body(json, where) for each line of a JSON Lines file. Throws Error for a line that is not one JSON value.
template <class Body>
void for_each_json_line(const std::filesystem::path& path, const Body& body) {
  for_each_line(path,
                [&](std::string_view line, const std::string& where) { body(parse_json_line(line, where), where); });
}

/// Appends lines to a file, each by one write, so that a reader and a killed process see whole lines.
///
/// A line that does not fit the disk is taken back: the lines before it stay as they were. One writer has the file at a
/// time. Throws Error naming the file.
class JsonlWriter {
 public:
  explicit JsonlWriter(std::filesystem::path path)
      : path_(std::move(path)),
        file_(detail::FileDescriptor::open("append to file", path_, O_WRONLY | O_CREAT | O_APPEND)) {
    detail::lock(file_, path_);
  }

  /// `json` is one JSON value without line breaks.
  void write_line(std::string_view json) {
    require(json.find('\n') == std::string_view::npos, "[JsonlWriter::write_line] expected one line, got a line break");
    struct stat before {};
    if (::fstat(file_.number(), &before) != 0) detail::throw_system_error("append to file", path_, errno);
    const std::string line = std::string(json) + "\n";
    const int error = detail::write_all(file_.number(), std::as_bytes(std::span(line)));
    if (error == 0) return;
    const bool restored = ::ftruncate(file_.number(), before.st_size) == 0;
    detail::throw_system_error("append to file", path_, error,
                               restored ? "free space and run again; the lines before are unchanged"
                                        : "free space; the last line of the file may be incomplete");
  }

  /// Waits until what was written is on the disk, and the file's name, since it may be new.
  void sync() {
    if (::fsync(file_.number()) != 0) detail::throw_system_error("append to file", path_, errno);
    detail::sync_directory(detail::directory_of(path_));
  }

 private:
  std::filesystem::path path_;
  detail::FileDescriptor file_;
};

namespace detail {

/// Bytes of the longest run of leading lines with a step of at most `step`. A last line without its end, or that is no
/// JSON, was being written when the process died and does not count.
inline std::size_t bytes_up_to_step(std::string_view text, Index step, const std::string& path) {
  std::size_t kept = 0;
  for (std::size_t number = 1; kept < text.size(); ++number) {
    const std::size_t end = text.find('\n', kept);
    if (end == std::string_view::npos) break;
    const std::string where = path + ":" + std::to_string(number);
    const bool is_last = end + 1 == text.size();
    try {
      const Json line = parse_json_line(text.substr(kept, end - kept), where);
      if (JsonFields(line, where).get<Index>("step") > step) break;
    } catch (const Error&) {
      if (!is_last) throw;
      break;
    }
    kept = end + 1;
  }
  return kept;
}

}  // namespace detail

/// Cuts a JSON Lines file whose objects have a rising integer `step` back to the lines with step <= `step`. A file that
/// is not there stays absent. Throws Error for a line that is not such an object, unless it is the last one.
inline void truncate_after_step(const std::filesystem::path& path, Index step) {
  const bool exists =
      detail::with_file_errors("cut file", path, "check the path", [&] { return std::filesystem::exists(path); });
  if (!exists) return;
  const std::string text = read_text_file(path);
  const std::size_t kept = detail::bytes_up_to_step(text, step, path.string());
  if (kept == text.size()) return;
  const auto file = detail::FileDescriptor::open("cut file", path, O_WRONLY);
  if (::ftruncate(file.number(), static_cast<off_t>(kept)) != 0) detail::throw_system_error("cut file", path, errno);
  if (::fsync(file.number()) != 0) detail::throw_system_error("cut file", path, errno);
}

}  // namespace caprl
