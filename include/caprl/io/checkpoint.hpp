#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "caprl/io/atomic_directory.hpp"
#include "caprl/io/file_system.hpp"
#include "caprl/io/json_fields.hpp"
#include "caprl/io/safetensors.hpp"
#include "caprl/io/safetensors_writer.hpp"

namespace caprl {

namespace detail {

inline constexpr const char* state_file = "state.json";

/// The sizes of all files below `folder` but its state.json, by relative path.
inline std::map<std::string, std::uintmax_t> file_sizes(const std::filesystem::path& folder) {
  return with_file_errors("write checkpoint", folder, save_remedy, [&] {
    std::map<std::string, std::uintmax_t> sizes;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      const auto name = entry.path().lexically_relative(folder).generic_string();
      if (entry.is_regular_file() && name != state_file) sizes[name] = entry.file_size();
    }
    return sizes;
  });
}

/// Names and values of an object and the objects within it: {"optimizer": {"rate": 1}} gives "optimizer.rate".
inline void flatten_settings(const Json& value, const std::string& path, std::map<std::string, Json>& flat) {
  if (!value.is_object()) {
    flat[path] = value;
    return;
  }
  for (const auto& [name, member] : value.items()) {
    flatten_settings(member, path.empty() ? name : path + "." + name, flat);
  }
}

}  // namespace detail

/// Throws Error that names the first setting in which `current` differs from `saved`, with both values.
inline void require_same_settings(const Json& saved, const Json& current, const std::string& where) {
  std::map<std::string, Json> before, now;
  detail::flatten_settings(saved, "", before);
  detail::flatten_settings(current, "", now);
  std::map<std::string, Json> names = before;
  names.insert(now.begin(), now.end());
  const auto text = [](const std::map<std::string, Json>& settings, const std::string& name) {
    const auto found = settings.find(name);
    return found == settings.end() ? std::string("absent") : found->second.dump();
  };
  for (const auto& [name, unused] : names) {
    const auto old_value = before.find(name), new_value = now.find(name);
    if (old_value != before.end() && new_value != now.end() && old_value->second == new_value->second) continue;
    throw Error(
        "[resume] setting " + name + " was " + text(before, name) + " before, and is " + text(now, name) + " now",
        where, "set it back, or write to another place");
  }
}

/// A checkpoint being written: fill it, then `commit`. Without `commit` nothing is left of it.
class CheckpointWriter {
 public:
  CheckpointWriter(const std::filesystem::path& target, Index step) : directory_(target), step_(step) {}

  /// Where further files may be put, a model's folder for example.
  const std::filesystem::path& path() const { return directory_.path(); }

  /// Writes `name`.safetensors.
  void tensors(const std::string& name, std::vector<NamedTensor> tensors) {
    write_safetensors(path() / (name + ".safetensors"), std::move(tensors));
  }

  /// Writes the state and gives the checkpoint its name. `state`: counters, data position, best score, whatever the
  /// run needs; `settings`: what may not change when the run goes on.
  void commit(const Json& state, const Json& settings) {
    const Json file = {{"format", 1},
                       {"step", step_},
                       {"state", state},
                       {"settings", settings},
                       {"files", detail::file_sizes(path())}};
    write_file_atomically(path() / detail::state_file, file.dump(1) + "\n");
    directory_.commit();
  }

 private:
  AtomicDirectory directory_;
  Index step_;
};

/// A checkpoint that was written to its end.
class Checkpoint {
 public:
  /// Throws Error naming the folder or file if anything is missing or of another size than when it was saved.
  explicit Checkpoint(std::filesystem::path path) : path_(std::move(path)), file_(load_json(state_path())) {
    const JsonFields fields(file_, state_path().string());
    if (fields.get<Index>("format") != 1) throw fields.error("format", "expected 1");
    step_ = fields.get<Index>("step");
    const JsonFields files = fields.object("files");
    for (const auto& [name, unused] : files.value().items()) {
      std::error_code error;
      const auto size = std::filesystem::file_size(path_ / name, error);
      if (error || size != files.get<std::uintmax_t>(name)) {
        throw Error("[checkpoint] expected a file of " + std::to_string(files.get<std::uintmax_t>(name)) +
                        " bytes, got " + (error ? "none" : std::to_string(size)),
                    (path_ / name).string(), "remove this checkpoint, or copy it again whole");
      }
    }
    fields.object("settings");
    fields.object("state");
  }

  const std::filesystem::path& path() const { return path_; }
  Index step() const { return step_; }
  const Json& state() const { return file_.at("state"); }
  const Json& settings() const { return file_.at("settings"); }

  /// Typed access to the state, with errors that name the file.
  JsonFields state_fields() const { return JsonFields(state(), state_path().string(), "state"); }

  SafetensorsFile tensors(const std::string& name) const { return SafetensorsFile(path_ / (name + ".safetensors")); }

  /// See `require_same_settings`.
  void require_settings(const Json& current) const {
    require_same_settings(settings(), current, state_path().string());
  }

 private:
  std::filesystem::path state_path() const { return path_ / detail::state_file; }

  std::filesystem::path path_;
  Json file_;
  Index step_ = 0;
};

}  // namespace caprl
