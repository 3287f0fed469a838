#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/media/image.hpp"
#include "caprl/media/orientation.hpp"
#include "caprl/media/video_converter.hpp"
#include "caprl/media/video_cursor.hpp"
#include "caprl/media/video_timeline.hpp"

namespace caprl {

struct VideoSettings {
  int threads = 0;  ///< of the codec, its own and never OpenMP's; 0 takes the library's thread setting
  Index maximum_pixels = 100'000'000;
  /// Damaged frames are taken as the decoder patches them up, and the frame before stands for a missing one, as in a
  /// player, instead of being errors. Files that are cut off stay errors.
  bool accept_damaged = false;
};

/// Reads chosen frames of a video file, through libav.
///
/// Opening reads the whole file's packets without decoding them, for the exact time and the key flag of each frame.
/// Times count from the first frame that is shown, whatever the stream's start time or edit list. Frames come out
/// turned by the stream's display matrix, as RGB of the full range by the stream's own matrix and range (unstated:
/// BT.709 from 720 lines or 1280 columns on, BT.601 below); pixels that are not square stay as stored, other transfer
/// functions are not mapped. One frame is held at a time.
///
/// Every member may throw `Error` with the file's path and libav's last message: on files that are empty, cut off,
/// without a video stream or without frames, and on chosen frames that are missing or damaged. A reader serves one
/// thread.
class VideoReader {
 public:
  explicit VideoReader(const std::string& path, const VideoSettings& settings = {})
      : cursor_(std::make_unique<detail::VideoCursor>(path, settings.threads > 0 ? settings.threads : caprl::threads(),
                                                      settings.maximum_pixels, settings.accept_damaged)) {}

  const std::string& path() const { return cursor_->source().path(); }
  const VideoTimeline& timeline() const { return cursor_->index().timeline; }

  /// Height and width of the frames as they are shown, after rotation.
  ImageSize size() const {
    const AVCodecParameters& parameters = *cursor_->source().stream().codecpar;
    return turned({parameters.height, parameters.width});
  }

  /// One frame; `target` is its height and width (zero by zero: as stored). Frames in rising order are the quickest.
  Image frame(Index number, ImageSize target = {}) {
    check(number);
    return convert(cursor_->decode(number), target);
  }

  /// Calls back with each of the frames' number, time in seconds and picture. The numbers must rise strictly. Decodes
  /// no more than these frames need: from the key frame before each, without the frames in between that nothing refers
  /// to.
  template <class Callback>
  void for_each_frame(std::span<const Index> numbers, Callback&& callback, ImageSize target = {}) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      check(numbers[i]);
      require(i == 0 || numbers[i] > numbers[i - 1], "[VideoReader] expected frame numbers that rise strictly", path());
    }
    const detail::VideoCursor::Selection selection(*cursor_, numbers);
    for (const Index number : numbers) {
      Image image = convert(cursor_->decode(number), target);
      callback(number, timeline().seconds[static_cast<std::size_t>(number)], image);
    }
  }

 private:
  bool is_turned() const { return cursor_->source().orientation() >= 5; }
  ImageSize turned(ImageSize size) const { return is_turned() ? ImageSize{size.width, size.height} : size; }

  void check(Index number) const {
    if (number >= 0 && number < timeline().frames()) return;
    throw Error("[VideoReader] expected a frame in [0, " + std::to_string(timeline().frames()) + "), got " +
                    std::to_string(number),
                path());
  }

  Image convert(const AVFrame& frame, ImageSize target) {
    if (target == ImageSize{}) target = size();
    require(target.height > 0 && target.width > 0, "[VideoReader] expected a target of at least 1 x 1", path());
    return oriented(converter_(frame, turned(target), cursor_->log(), path()), cursor_->source().orientation());
  }

  std::unique_ptr<detail::VideoCursor> cursor_;
  detail::VideoConverter converter_;
};

}  // namespace caprl
