#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "caprl/io/json_fields.hpp"
#include "world/clip.hpp"
#include "world/scene.hpp"

namespace world {

using caprl::Json;

/// The facts of a scene: {"background": "gray", "objects": [{"shape": "circle", "colour": "red", ...}]}.
inline Json scene_to_json(const Scene& scene) {
  Json objects = Json::array();
  for (const Object& object : scene.objects) {
    Json entry;
    for (const Attribute attribute : attributes) {
      entry[std::string(attribute_name(attribute))] = std::string(object.word(attribute));
    }
    objects.push_back(std::move(entry));
  }
  return {{"background", std::string(background_words[static_cast<std::size_t>(scene.background)])},
          {"objects", std::move(objects)}};
}

/// The same with "seconds" and "events": [{"kind": "move", "object": "circle", "to": "left", "second": 3}]; "to" is a
/// direction, a colour, or the shape of the object that is hit.
inline Json scene_to_json(const Clip& clip) {
  Json json = scene_to_json(clip.scene);
  json["seconds"] = clip.seconds;
  json["events"] = Json::array();
  const auto shape = [&](int i) {
    return std::string(clip.scene.objects[static_cast<std::size_t>(i)].word(Attribute::shape));
  };
  for (const Event& event : clip.events) {
    Json entry = {{"kind", std::string(event_kind_words[static_cast<std::size_t>(event.kind)])},
                  {"object", shape(event.subject)},
                  {"second", event.second}};
    const auto value = static_cast<std::size_t>(event.value);
    if (event.kind == EventKind::move) {
      entry["to"] = std::string(direction_words[value]);
      entry["cells"] = event.cells;
    }
    if (event.kind == EventKind::change) entry["to"] = std::string(colour_words[value]);
    if (event.kind == EventKind::hit) entry["to"] = shape(event.value);
    json["events"].push_back(std::move(entry));
  }
  return json;
}

namespace detail {

inline int read_word(const caprl::JsonFields& fields, const std::string& field,
                     std::span<const std::string_view> list) {
  const auto word = fields.get<std::string>(field);
  const int index = find_word(list, word);
  if (index < 0) throw fields.error(field, "expected a word of the example world, got \"" + word + "\"");
  return index;
}

inline int read_object(const caprl::JsonFields& fields, const std::string& field, const Scene& scene) {
  const int shape = read_word(fields, field, shape_words);
  for (std::size_t i = 0; i < scene.objects.size(); ++i) {
    if (scene.objects[i][Attribute::shape] == shape) return static_cast<int>(i);
  }
  throw fields.error(field, "expected the shape of one of the objects");
}

}  // namespace detail

/// Reads the facts back; `look` stays 0. Throws Error naming the place and the field.
inline Scene scene_from_json(const Json& json, const std::string& where = {}) {
  const caprl::JsonFields fields(json, where);
  Scene scene;
  scene.background = detail::read_word(fields, "background", background_words);
  const Json& objects = fields.raw("objects");
  if (!objects.is_array() || objects.empty()) throw fields.error("objects", "expected a list of objects");
  for (const Json& entry : objects) {
    const caprl::JsonFields object_fields(entry, where, "objects");
    Object object;
    for (const Attribute attribute : attributes) {
      object[attribute] = detail::read_word(object_fields, std::string(attribute_name(attribute)), words(attribute));
    }
    scene.objects.push_back(object);
  }
  return scene;
}

inline bool is_clip_json(const Json& json) { return json.contains("events"); }

/// Reads a clip's facts back; `look` and `slots` stay empty.
inline Clip clip_from_json(const Json& json, const std::string& where = {}) {
  const caprl::JsonFields fields(json, where);
  Clip clip;
  clip.scene = scene_from_json(json, where);
  clip.seconds = fields.get<int>("seconds");
  const Json& events = fields.raw("events");
  if (!events.is_array()) throw fields.error("events", "expected a list of events");
  for (const Json& entry : events) {
    const caprl::JsonFields event_fields(entry, where, "events");
    Event event;
    event.kind = static_cast<EventKind>(detail::read_word(event_fields, "kind", event_kind_words));
    event.subject = detail::read_object(event_fields, "object", clip.scene);
    event.second = event_fields.get<int>("second");
    if (event.kind == EventKind::move) {
      event.value = detail::read_word(event_fields, "to", direction_words);
      event.cells = event_fields.get<int>("cells");
    }
    if (event.kind == EventKind::change) event.value = detail::read_word(event_fields, "to", colour_words);
    if (event.kind == EventKind::hit) event.value = detail::read_object(event_fields, "to", clip.scene);
    clip.events.push_back(event);
  }
  return clip;
}

}  // namespace world
