#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "caprl/io/json_fields.hpp"
#include "caprl/io/safetensors.hpp"

namespace caprl {

/// The weights of a Hugging Face folder: model.safetensors, or the files that model.safetensors.index.json lists. Read
/// like one `SafetensorsFile`.
class WeightFiles {
 public:
  /// Throws Error naming the file for anything that the formats do not allow, and where the index and its files differ.
  explicit WeightFiles(const std::filesystem::path& folder) : path_(folder / "model.safetensors") {
    const std::filesystem::path index = folder / "model.safetensors.index.json";
    if (std::filesystem::exists(path_) || !std::filesystem::exists(index)) {
      add_file(path_);
      return;
    }
    path_ = index;
    open_listed(folder);
  }

  /// The file that says which tensors there are.
  const std::filesystem::path& path() const { return path_; }
  /// The number of the file that holds each tensor.
  const std::map<std::string, std::size_t>& tensors() const { return file_of_; }
  bool contains(const std::string& name) const { return file_of_.count(name) != 0; }

  /// A copy of shape `expected`, converted to T; see `SafetensorsFile::read`.
  template <class T>
  Tensor<T> read(const std::string& name, const Shape& expected) const {
    return file_with(name).template read<T>(name, expected);
  }

  /// Throws Error unless the shape of a tensor that is there is `expected`.
  void require_shape(const std::string& name, const Shape& expected) const {
    file_with(name).require_shape(name, expected);
  }

  /// True if two of the tensors have the same type, shape and bytes.
  bool equal(const std::string& name, const std::string& other) const {
    return file_with(name).equals(name, file_with(other), other);
  }
  /// From now on there is no such tensor.
  void leave_out(const std::string& name) { file_of_.erase(name); }

 private:
  const SafetensorsFile& file_with(const std::string& name) const { return files_.at(file_of_.at(name)); }

  void add_file(const std::filesystem::path& path) {
    files_.emplace_back(path);
    for (const auto& [name, tensor] : files_.back().tensors()) {
      if (!file_of_.emplace(name, files_.size() - 1).second) {
        throw Error("[weights] expected each tensor in one file, got " + name + " in two", path.string());
      }
    }
  }

  void open_listed(const std::filesystem::path& folder) {
    const Json json = load_json(path_);
    const JsonFields places = JsonFields(json, path_.string()).object("weight_map");
    std::map<std::string, std::vector<std::string>> listed;
    for (const auto& [tensor, value] : places.value().items()) {
      const auto file = places.get<std::string>(tensor);
      if (file.empty() || std::filesystem::path(file).filename() != file || file == "." || file == "..") {
        throw places.error(tensor, "expected the name of a file in the same folder, got \"" + file + "\"");
      }
      listed[file].push_back(tensor);
    }
    for (const auto& [file, names] : listed) {
      located(path_.string(), [&, &name = file, &tensors = names] {
        add_file(folder / name);
        require_names(files_.back(), tensors);
      });
    }
  }

  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t> file_of_;
};

}  // namespace caprl
