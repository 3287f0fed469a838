#pragma once

#include <array>
#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/io/json_fields.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/media/vision_preprocessing.hpp"

namespace caprl {

namespace detail {

/// Where a folder may keep a processor's settings: nested in processor_config.json, which comes first, or in a file of
/// their own, of which the first that is there counts.
struct ProcessorFiles {
  const char* nested;
  std::vector<const char*> files;
};

inline constexpr const char* processor_config_name = "processor_config.json";

/// Calls `read` with the processor's settings in a model's folder, and gives what it gives.
template <class Read>
auto read_processor(const std::filesystem::path& folder, const ProcessorFiles& places, const Read& read) {
  const std::filesystem::path shared = folder / processor_config_name;
  if (std::filesystem::exists(shared)) {
    const Json json = load_json(shared);
    const JsonFields fields(json, shared.string());
    if (fields.has(places.nested)) return read(fields.object(places.nested));
  }
  std::string names = std::string(places.nested) + " in " + processor_config_name;
  for (const char* file : places.files) {
    if (std::filesystem::exists(folder / file)) {
      const Json json = load_json(folder / file);
      return read(JsonFields(json, (folder / file).string()));
    }
    names += std::string(", or ") + file;
  }
  throw Error("[read_processor] expected the settings of a processor: " + names + "; got none", folder.string());
}

inline Index positive_or(const JsonFields& fields, const char* name, Index fallback, Index largest) {
  const auto value = fields.get_or<Index>(name, fallback);
  if (value >= 1 && value <= largest) return value;
  throw fields.error(name, "expected 1 to " + std::to_string(largest) + ", got " + std::to_string(value));
}

inline std::array<float, 3> channels_or(const JsonFields& fields, const char* name,
                                        const std::array<float, 3>& fallback) {
  if (!fields.has(name)) return fallback;
  const auto values = fields.get<std::vector<float>>(name);
  if (values.size() == 3) return {values[0], values[1], values[2]};
  throw fields.error(name, "expected one number for each of 3 channels, got " + std::to_string(values.size()));
}

/// Throws where a step of these processors is switched off, or another scale than from [0, 255] to [0, 1] is set.
inline void require_all_steps(const JsonFields& fields) {
  for (const char* step : {"do_resize", "do_rescale", "do_normalize"}) {
    if (!fields.get_or<bool>(step, true)) throw fields.error(step, "expected true: the models need this step");
  }
  const auto scale = fields.get_or<double>("rescale_factor", 1.0 / 255);
  if (std::abs(scale * 255 - 1) > 1e-9) {
    throw fields.error("rescale_factor", "expected 1/255, got " + std::to_string(scale));
  }
}

/// Far above any model's, and low enough for products.
inline constexpr Index largest_patch_pixels = 1024, largest_merge = 64, most_frames_per_patch = 64;

inline VisionPatchSettings read_patch_settings(const JsonFields& fields, VisionPatchSettings settings) {
  settings.patch_pixels = positive_or(fields, "patch_size", settings.patch_pixels, largest_patch_pixels);
  settings.merge = positive_or(fields, "merge_size", settings.merge, largest_merge);
  settings.frames_per_patch =
      positive_or(fields, "temporal_patch_size", settings.frames_per_patch, most_frames_per_patch);
  settings.mean = channels_or(fields, "image_mean", settings.mean);
  settings.deviation = channels_or(fields, "image_std", settings.deviation);
  for (const float deviation : settings.deviation) {
    if (!(deviation > 0)) throw fields.error("image_std", "expected numbers above 0");
  }
  return settings;
}

/// A filter by Pillow's number for it.
inline ResizeFilter read_filter(const JsonFields& fields) {
  switch (const auto number = fields.get_or<int>("resample", 3)) {
    case 2:
      return ResizeFilter::bilinear;
    case 3:
      return ResizeFilter::bicubic;
    default:
      throw fields.error("resample", "expected 2 (bilinear) or 3 (bicubic), got " + std::to_string(number));
  }
}

/// size.shortest_edge and size.longest_edge, which are pixels of an area in spite of their names; the older min_pixels
/// and max_pixels go before them where the class knows these.
inline PixelBudget read_pixel_budget(const JsonFields& fields, PixelBudget budget, bool knows_min_and_max_pixels) {
  // Every picture is grown to the minimum; the maximum, which only shrinks, may stand for none.
  constexpr Index largest_minimum = Index{1} << 26, largest = Index{1} << 40;
  const bool older_minimum = knows_min_and_max_pixels && fields.has("min_pixels"),
             older_maximum = knows_min_and_max_pixels && fields.has("max_pixels");
  if (fields.has("size")) {
    const JsonFields size = fields.object("size");
    if (!older_minimum || size.has("shortest_edge")) {
      size.get<Index>("shortest_edge");  // an error where it is missing: half a size has no meaning to the class
      budget.minimum = positive_or(size, "shortest_edge", budget.minimum, largest_minimum);
    }
    if (!older_maximum || size.has("longest_edge")) {
      size.get<Index>("longest_edge");
      budget.maximum = positive_or(size, "longest_edge", budget.maximum, largest);
    }
  }
  if (older_minimum) budget.minimum = positive_or(fields, "min_pixels", budget.minimum, largest_minimum);
  if (older_maximum) budget.maximum = positive_or(fields, "max_pixels", budget.maximum, largest);
  if (budget.minimum > budget.maximum) {
    throw fields.error("size", "expected no more pixels at least (" + std::to_string(budget.minimum) +
                                   ") than at most (" + std::to_string(budget.maximum) + ")");
  }
  return budget;
}

/// Throws where a file names another class than is asked for.
inline void require_type(const JsonFields& fields, const char* field, std::initializer_list<const char*> names) {
  if (!fields.has(field)) return;
  const auto type = fields.get<std::string>(field);
  std::string expected;
  for (const char* name : names) {
    if (type == name) return;
    expected += (expected.empty() ? "" : " or ") + std::string(name);
  }
  throw fields.error(field, "expected " + expected + ", got " + type);
}

inline ProcessorFiles video_processor_files() {
  return {"video_processor", {"video_preprocessor_config.json", "preprocessor_config.json"}};
}

inline const char* class_name(VideoProcessor processor) {
  return processor == VideoProcessor::qwen2_vl ? "Qwen2VLVideoProcessor" : "Qwen3VLVideoProcessor";
}

}  // namespace detail

/// Reads the settings of Qwen2VLImageProcessor (or ...Fast) from JSON.
inline ImagePreprocessing read_image_preprocessing(const JsonFields& fields) {
  detail::require_type(fields, "image_processor_type",
                       {"Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast", "Qwen2VLImageProcessorPil"});
  detail::require_all_steps(fields);
  ImagePreprocessing settings;
  settings.patches = detail::read_patch_settings(fields, settings.patches);
  settings.budget = detail::read_pixel_budget(fields, settings.budget, true);
  settings.filter = detail::read_filter(fields);
  return settings;
}

/// Reads the settings of the video processor from JSON; those of the image processor serve too, as they do in
/// transformers where a folder has no others.
inline VideoPreprocessing read_video_preprocessing(const JsonFields& fields, VideoProcessor processor) {
  detail::require_type(fields, "video_processor_type", {detail::class_name(processor)});
  detail::require_all_steps(fields);
  VideoPreprocessing settings = VideoPreprocessing::of(processor);
  settings.patches = detail::read_patch_settings(fields, settings.patches);
  settings.budget = detail::read_pixel_budget(fields, settings.budget, processor == VideoProcessor::qwen2_vl);
  settings.filter = detail::read_filter(fields);
  settings.cap_pixels_per_frame = fields.get_or<bool>("cap_pixels_per_frame", false);
  settings.cap_tokens = detail::positive_or(fields, "max_video_tokens", settings.cap_tokens, Index{1} << 24);
  return settings;
}

/// How a model folder's images are prepared: `image_processor` in processor_config.json, else preprocessor_config.json.
inline ImagePreprocessing load_image_preprocessing(const std::filesystem::path& folder) {
  return detail::read_processor(folder, {"image_processor", {"preprocessor_config.json"}}, read_image_preprocessing);
}

/// How its videos are: `video_processor` in processor_config.json, else video_preprocessor_config.json, else
/// preprocessor_config.json. The model decides whose rules a video follows.
inline VideoPreprocessing load_video_preprocessing(const std::filesystem::path& folder, VideoProcessor processor) {
  return detail::read_processor(folder, detail::video_processor_files(),
                                [&](const JsonFields& fields) { return read_video_preprocessing(fields, processor); });
}

}  // namespace caprl
