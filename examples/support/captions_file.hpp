#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "caprl/data/item.hpp"
#include "caprl/io/jsonl.hpp"

/// The captions that `caption --out` writes.
namespace examples {

inline caprl::Caption caption_of(const caprl::JsonFields& fields) {
  return {.text = fields.get<std::string>("caption"),
          .tokens = fields.get<caprl::Index>("tokens"),
          .truncated = fields.get<bool>("truncated")};
}

/// For each item its captions in the file, all of them.
inline std::vector<std::vector<caprl::Caption>> read_captions(const std::filesystem::path& path,
                                                              const std::vector<caprl::CaptionItem>& items) {
  std::map<std::string, std::vector<caprl::Caption>> found;
  caprl::for_each_json_line(path, [&](const caprl::Json& json, const std::string& where) {
    const caprl::JsonFields line(json, where);
    auto& captions = found[line.get<std::string>("id")];
    if (!line.has("captions")) return captions.push_back(caption_of(line));
    if (line.raw("captions").empty()) throw caprl::Error("[read_captions] expected captions, got an empty list", where);
    for (const caprl::Json& caption : line.raw("captions"))
      captions.push_back(caption_of(caprl::JsonFields(caption, where)));
  });
  std::vector<std::vector<caprl::Caption>> captions;
  for (const caprl::CaptionItem& item : items) {
    const auto of_item = found.find(item.id);
    if (of_item == found.end())
      throw caprl::Error("[read_captions] expected a caption of the item " + item.id, path.string());
    captions.push_back(of_item->second);
  }
  return captions;
}

}  // namespace examples
