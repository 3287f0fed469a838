#pragma once

#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/media/av.hpp"
#include "caprl/media/av_log.hpp"
#include "caprl/media/video_source.hpp"

namespace caprl::detail {

/// A stream's decoder. Remembers whether what it gives can still be trusted: after an error, frames are damaged until
/// the next key frame, since they are predicted from damaged ones.
class VideoDecoder {
 public:
  VideoDecoder(const VideoSource& source, AvLog& log, int threads, Index maximum_pixels) : log_(&log) {
    const AvLog::Scope scope(log);
    const AVCodecParameters& parameters = *source.stream().codecpar;
    const AVCodec* codec = avcodec_find_decoder(parameters.codec_id);
    if (codec == nullptr) {
      throw Error("[VideoReader] expected a codec that this libav decodes, got " +
                      std::string(avcodec_get_name(parameters.codec_id)),
                  source.path(), "convert the file, for example to H.264");
    }
    context_.reset(avcodec_alloc_context3(codec));
    require(context_ != nullptr, "[VideoReader] expected memory for a decoder, got none", source.path());
    context_->opaque = &log;
    context_->thread_count = threads;
    context_->max_pixels = maximum_pixels;
    context_->pkt_timebase = source.stream().time_base;
    int result = avcodec_parameters_to_context(context_.get(), &parameters);
    if (result >= 0) result = avcodec_open2(context_.get(), codec, nullptr);
    if (result < 0) source.fail("a decoder for " + std::string(codec->name), result);
  }

  /// Gives the decoder a packet; null begins to draw out what it holds. A frame that nothing refers to is skipped
  /// unless it is `needed`.
  void send(const AVPacket* packet, bool needed) {
    const AvLog::Scope scope(*log_);
    context_->skip_frame = needed ? AVDISCARD_DEFAULT : AVDISCARD_NONREF;
    const int result = avcodec_send_packet(context_.get(), packet);
    if (result < 0 && result != AVERROR_EOF) damaged_ = true;
  }

  /// The next decoded frame. False where the decoder wants another packet first.
  bool receive(AVFrame& frame) {
    const AvLog::Scope scope(*log_);
    while (true) {
      const int result = avcodec_receive_frame(context_.get(), &frame);
      if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return false;
      if (result < 0) {
        damaged_ = true;
        continue;
      }
      const bool flawed = (frame.flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame.decode_error_flags != 0;
      damaged_ = flawed || (damaged_ && frame.pict_type != AV_PICTURE_TYPE_I);
      return true;
    }
  }

  /// Forgets everything, for a fresh start at a key frame.
  void flush() {
    avcodec_flush_buffers(context_.get());
    damaged_ = false;
  }

  bool damaged() const { return damaged_; }

 private:
  AvLog* log_;
  AvCodec context_;
  bool damaged_ = false;
};

}  // namespace caprl::detail
