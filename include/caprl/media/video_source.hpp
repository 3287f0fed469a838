#pragma once

extern "C" {
#include <libavutil/display.h>
}

#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/io/input_file.hpp"
#include "caprl/media/av.hpp"
#include "caprl/media/av_log.hpp"
#include "caprl/media/image.hpp"

namespace caprl::detail {

/// The EXIF orientation (see `oriented`) that a display matrix asks for, to the nearest quarter turn.
inline int orientation_of(const std::int32_t* matrix) {
  const std::int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (std::abs(a) + std::abs(d) >= std::abs(b) + std::abs(c)) return a >= 0 ? (d >= 0 ? 1 : 4) : (d >= 0 ? 2 : 3);
  return b >= 0 ? (c >= 0 ? 5 : 6) : (c >= 0 ? 8 : 7);
}

/// A video file opened for reading packets of its one best video stream.
class VideoSource {
 public:
  VideoSource(const std::string& path, AvLog& log) : path_(path), log_(&log) { open(); }

  const std::string& path() const { return path_; }
  AVStream& stream() const { return *format_->streams[stream_]; }
  AVFormatContext& format() const { return *format_; }

  /// Reads the stream's next packet that holds data. False at the end of the file; `whole` insists that the demuxer met
  /// the end without complaint (Matroska only logs where a file is cut off).
  bool read(AVPacket& packet, bool whole = false) {
    const std::string whole_file = "a whole video file, got one that is cut off or damaged";
    const AvLog::Scope scope(*log_);
    while (true) {
      if (whole) log_->clear();
      av_packet_unref(&packet);
      const int result = av_read_frame(format_.get(), &packet);
      if (result == AVERROR_EOF) {
        if (whole && !log_->last().empty()) fail(whole_file, AVERROR_INVALIDDATA);
        if (format_->pb != nullptr && format_->pb->error < 0)
          fail("a file that can be read to its end", format_->pb->error);
        return false;
      }
      if (result < 0) fail(whole_file, result);
      if (packet.stream_index != stream_ || packet.size == 0) continue;
      if ((packet.flags & AV_PKT_FLAG_CORRUPT) != 0) fail(whole_file, AVERROR_INVALIDDATA);
      return true;
    }
  }

  /// Goes to the last point at or before a time stamp from which the container lets one read. False where it cannot.
  bool seek(std::int64_t timestamp) {
    const AvLog::Scope scope(*log_);
    return av_seek_frame(format_.get(), stream_, timestamp, AVSEEK_FLAG_BACKWARD) >= 0;
  }

  /// Opens the file again, at its beginning.
  void reopen() {
    format_.reset();
    open();
  }

  int orientation() const {
    const std::int32_t* matrix = display_matrix();
    return matrix == nullptr ? 1 : orientation_of(matrix);
  }

  [[noreturn]] void fail(const std::string& expected, int code) const {
    std::string text = "[VideoReader] expected " + expected + ": " + av_error_text(code);
    if (const std::string logged = log_->last(); !logged.empty()) text += " (" + logged + ")";
    throw Error(text, path_, "write the file again, or leave it out");
  }

 private:
  void open() {
    require(InputFile(path_).size() != 0, "[VideoReader] expected a video, got an empty file", path_);
    const AvLog::Scope scope(*log_);
    AVFormatContext* format = nullptr;
    AVDictionary* options = nullptr;
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    const int opened = avformat_open_input(&format, ("file:" + path_).c_str(), nullptr, &options);
    av_dict_free(&options);
    if (opened < 0) fail("a video file", opened);
    format_.reset(format);
    if (const int found = avformat_find_stream_info(format, nullptr); found < 0)
      fail("streams that can be read", found);
    stream_ = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
    if (stream_ < 0 || (stream().disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) {
      throw Error("[VideoReader] expected a video stream, got none", path_);
    }
    for (unsigned i = 0; i < format->nb_streams; ++i) {
      if (static_cast<int>(i) != stream_) format->streams[i]->discard = AVDISCARD_ALL;
    }
    const double tick = av_q2d(stream().time_base);
    if (!(std::isfinite(tick) && tick > 0)) throw Error("[VideoReader] expected a time base above 0, got none", path_);
  }

  const std::int32_t* display_matrix() const {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
    const AVCodecParameters& parameters = *stream().codecpar;
    const AVPacketSideData* data =
        av_packet_side_data_get(parameters.coded_side_data, parameters.nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return data != nullptr && data->size >= 36 ? reinterpret_cast<const std::int32_t*>(data->data) : nullptr;
#else
    std::size_t size = 0;
    const std::uint8_t* data = av_stream_get_side_data(&stream(), AV_PKT_DATA_DISPLAYMATRIX, &size);
    return data != nullptr && size >= 36 ? reinterpret_cast<const std::int32_t*>(data) : nullptr;
#endif
  }

  std::string path_;
  AvLog* log_;
  AvFormat format_;
  int stream_ = -1;
};

}  // namespace caprl::detail
