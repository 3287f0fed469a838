#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "caprl/core/index.hpp"

namespace caprl {

/// A multiple-choice question about a media item. Options hold the text alone, without the letter they were written
/// with.
struct Question {
  std::string text;
  std::vector<std::string> options;  ///< at least two, all different
  Index gold = 0;                    ///< index of the right option
};

enum class MediaKind { image, video };

/// A file to look at.
struct MediaFile {
  MediaKind kind = MediaKind::image;
  std::filesystem::path path;
};

/// One thing to caption and what is asked about it: a line of a data file.
struct CaptionItem {
  std::string id;                   ///< unique in its data set
  std::string where;                ///< "file:line", for messages
  std::string system;               ///< the system message, or empty
  std::string prompt;               ///< what the user asks of the captioner, media marks taken out
  std::vector<MediaFile> media;     ///< shown before the prompt's text, in order; at least one
  std::vector<Question> questions;  ///< may be empty for captioning and supervised data
  std::string caption;              ///< the supervised target, or empty
  std::string source;               ///< the data set's own name for the kind of item
  double duration_seconds = 0;      ///< of a video, once it is known (`read_durations`); 0 otherwise
  std::string extra;                ///< the line's other fields as the text of a JSON object, if they were asked for
};

/// A caption as judges see it.
struct Caption {
  std::string text;
  Index tokens = 0;        ///< length of the text in the policy's tokens, without special ones
  bool truncated = false;  ///< stopped by the length limit, not by the policy
};

}  // namespace caprl
