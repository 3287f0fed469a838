#pragma once

#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "caprl/evaluate/bootstrap.hpp"
#include "caprl/io/atomic_file.hpp"
#include "caprl/io/json_file.hpp"

namespace examples {

/// A flat object of figures, with .low and .high where there is an interval. docs/metrics.md lists the names.
class Summary {
 public:
  static Summary load(const std::filesystem::path& path) {
    Summary summary;
    const caprl::Json json = caprl::load_json(path);
    for (const auto& [name, value] : json.items()) summary.add(name, value.get<double>());
    return summary;
  }

  void add(const std::string& name, double value) { figures_[name] = value; }
  void add(const std::string& name, const caprl::Interval& interval) {
    figures_[name] = interval.value;
    figures_[name + ".low"] = interval.low;
    figures_[name + ".high"] = interval.high;
  }
  void add(const Summary& other) { figures_.update(other.figures_); }

  double at(const std::string& name) const {
    caprl::require(has(name), "[Summary] expected a figure " + name);
    return figures_.at(name).get<double>();
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, value] : figures_.items()) names.push_back(name);
    return names;
  }
  bool has(const std::string& name) const { return figures_.contains(name); }
  caprl::Interval interval(const std::string& name) const { return {at(name), at(name + ".low"), at(name + ".high")}; }

  void save(const std::filesystem::path& path) const { caprl::write_file_atomically(path, figures_.dump(2) + "\n"); }

 private:
  nlohmann::ordered_json figures_ = nlohmann::ordered_json::object();
};

/// The name of a figure: "image", "accuracy" and "trained" make "image.accuracy.trained". An empty `which` adds
/// nothing.
inline std::string figure_name(const std::string& prefix, const std::string& figure, const std::string& which) {
  return prefix + "." + figure + (which.empty() ? "" : "." + which);
}

/// Figures from "name=number" texts.
inline Summary parse_figures(const std::vector<std::string>& texts) {
  Summary summary;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    double value = 0;
    const char* end = text.data() + text.size();
    const bool parsed = equals != std::string::npos && equals > 0 &&
                        std::from_chars(text.data() + equals + 1, end, value).ptr == end && equals + 1 < text.size();
    caprl::require(parsed, "[parse_figures] expected name=number, got " + text);
    summary.add(text.substr(0, equals), value);
  }
  return summary;
}

}  // namespace examples
