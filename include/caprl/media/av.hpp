#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libswscale/swscale.h>
}

#include <array>
#include <memory>
#include <string>

#include "caprl/core/error.hpp"

namespace caprl::detail {

/// Frees a libav object by the function that takes the address of its pointer.
template <auto Free>
struct AvFree {
  template <class T>
  void operator()(T* object) const {
    Free(&object);
  }
};
struct AvFreeSws {
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};

using AvFormat = std::unique_ptr<AVFormatContext, AvFree<avformat_close_input>>;
using AvCodec = std::unique_ptr<AVCodecContext, AvFree<avcodec_free_context>>;
using AvFrame = std::unique_ptr<AVFrame, AvFree<av_frame_free>>;
using AvPacket = std::unique_ptr<AVPacket, AvFree<av_packet_free>>;
using AvScaler = std::unique_ptr<SwsContext, AvFreeSws>;

inline AvFrame new_av_frame() {
  AvFrame frame(av_frame_alloc());
  require(frame != nullptr, "[VideoReader] expected memory for a frame, got none");
  return frame;
}
inline AvPacket new_av_packet() {
  AvPacket packet(av_packet_alloc());
  require(packet != nullptr, "[VideoReader] expected memory for a packet, got none");
  return packet;
}

inline std::string av_error_text(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

}  // namespace caprl::detail
