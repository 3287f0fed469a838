#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/data/caption_data.hpp"

namespace examples {

/// The items of a data file, with the text of `field` as their caption. Throws Error naming a line without it.
inline std::vector<caprl::CaptionItem> load_item_captions(const std::filesystem::path& path, const std::string& field,
                                                          caprl::CaptionDataSettings settings = {}) {
  const bool is_own = field == "caption";
  settings.require_captions = is_own;
  settings.keep_extra = !is_own;
  auto items = caprl::load_caption_data(path, settings);
  if (is_own) return items;
  for (caprl::CaptionItem& item : items) {
    const caprl::Json extra = caprl::parse_json(item.extra, item.where);
    item.caption = caprl::JsonFields(extra, item.where).get<std::string>(field);
    if (item.caption.empty()) throw caprl::Error("[" + field + "] expected a caption, got an empty text", item.where);
  }
  return items;
}

}  // namespace examples
