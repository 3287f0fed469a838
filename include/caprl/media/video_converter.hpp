#pragma once

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/media/av.hpp"
#include "caprl/media/av_log.hpp"
#include "caprl/media/image.hpp"

namespace caprl::detail {

/// A frame's pixel format without the deprecated full-range twins, and whether its values use the full range.
struct PixelFormat {
  AVPixelFormat format = AV_PIX_FMT_NONE;
  bool full_range = false;
};

inline PixelFormat pixel_format_of(const AVFrame& frame) {
  const bool full = frame.color_range == AVCOL_RANGE_JPEG;
  switch (frame.format) {
    case AV_PIX_FMT_YUVJ420P:
      return {AV_PIX_FMT_YUV420P, true};
    case AV_PIX_FMT_YUVJ422P:
      return {AV_PIX_FMT_YUV422P, true};
    case AV_PIX_FMT_YUVJ444P:
      return {AV_PIX_FMT_YUV444P, true};
    case AV_PIX_FMT_YUVJ440P:
      return {AV_PIX_FMT_YUV440P, true};
    case AV_PIX_FMT_YUVJ411P:
      return {AV_PIX_FMT_YUV411P, true};
    default:
      return {static_cast<AVPixelFormat>(frame.format), full};
  }
}

/// The frame's luma-chroma matrix; where the stream does not say, BT.709 for high definition and BT.601 below it.
inline int color_matrix_of(const AVFrame& frame) {
  const bool stated = frame.colorspace != AVCOL_SPC_UNSPECIFIED && frame.colorspace != AVCOL_SPC_RGB;
  if (stated) return frame.colorspace;
  return frame.height >= 720 || frame.width >= 1280 ? SWS_CS_ITU709 : SWS_CS_ITU601;
}

/// Turns decoded frames into RGB pictures of a size, through swscale; its bicubic filter widens when it shrinks.
class VideoConverter {
 public:
  Image operator()(const AVFrame& frame, ImageSize target, AvLog& log, const std::string& path) {
    const AvLog::Scope scope(log);
    prepare(frame, target, path);
    constexpr Index alignment = 64;  // swscale writes whole vectors, also past the last pixel
    const Index pitch = (target.width * 3 + alignment - 1) / alignment * alignment + alignment;
    scratch_.resize(static_cast<std::size_t>(pitch * target.height + 2 * alignment));
    std::uint8_t* aligned =
        scratch_.data() +
        (alignment - static_cast<Index>(reinterpret_cast<std::uintptr_t>(scratch_.data()) % alignment));
    std::uint8_t* planes[4] = {aligned, nullptr, nullptr, nullptr};
    const int pitches[4] = {static_cast<int>(pitch), 0, 0, 0};
    const int rows = sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height, planes, pitches);
    if (rows != target.height) throw Error("[VideoReader] expected a frame that swscale converts, got an error", path);
    Image image(target.height, target.width);
    for (Index y = 0; y < target.height; ++y) std::copy_n(aligned + y * pitch, target.width * 3, image.pixel(y, 0));
    return image;
  }

 private:
  using Key = std::array<Index, 7>;

  void prepare(const AVFrame& frame, ImageSize target, const std::string& path) {
    const PixelFormat source = pixel_format_of(frame);
    const int matrix = color_matrix_of(frame);
    const Key key = {frame.height, frame.width, source.format, source.full_range, matrix, target.height, target.width};
    if (scaler_ && key == key_) return;
    scaler_.reset(sws_getContext(
        frame.width, frame.height, source.format, static_cast<int>(target.width), static_cast<int>(target.height),
        AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT,
        nullptr, nullptr, nullptr));
    if (!scaler_) {
      const char* name = av_get_pix_fmt_name(source.format);
      throw Error(
          "[VideoReader] expected a pixel format that swscale converts, got " + std::string(name ? name : "none"),
          path);
    }
    const int* coefficients = sws_getCoefficients(matrix);
    constexpr int one = 1 << 16;
    // Formats without a matrix (RGB) refuse the details and need none.
    static_cast<void>(
        sws_setColorspaceDetails(scaler_.get(), coefficients, source.full_range ? 1 : 0, coefficients, 1, 0, one, one));
    key_ = key;
  }

  AvScaler scaler_;
  Key key_{};
  std::vector<std::uint8_t> scratch_;
};

}  // namespace caprl::detail
