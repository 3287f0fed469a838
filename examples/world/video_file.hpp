#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "caprl/core/error.hpp"
#include "caprl/media/av.hpp"
#include "caprl/media/av_log.hpp"
#include "world/pixels.hpp"
#include "world/render_clip.hpp"

namespace world {

namespace detail {

/// Throws Error for a negative libav result.
inline int check_av(int result, const char* action, const std::string& path) {
  if (result < 0) {
    throw caprl::Error(
        "[write_mp4] expected to " + std::string(action) + ", got " + caprl::detail::av_error_text(result), path);
  }
  return result;
}

/// H.264 where libav has an encoder for it, else MPEG-4 part 2. One thread, so that the same frames give the same
/// bytes.
inline caprl::detail::AvCodec open_encoder(int pixels, int frames_per_second, bool global_header,
                                           const std::string& path) {
  const AVCodec* kind = avcodec_find_encoder_by_name("libx264");
  const bool is_h264 = kind != nullptr;
  if (!kind) kind = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
  caprl::require(kind != nullptr, "[write_mp4] expected an encoder for H.264 or MPEG-4, got none", path,
                 "install libav with libx264");
  caprl::detail::AvCodec codec(avcodec_alloc_context3(kind));
  caprl::require(codec != nullptr, "[write_mp4] expected memory for an encoder, got none", path);
  codec->width = codec->height = pixels;
  codec->pix_fmt = AV_PIX_FMT_YUV420P;
  codec->time_base = {1, frames_per_second};
  codec->framerate = {frames_per_second, 1};
  codec->gop_size = 4 * frames_per_second;
  codec->max_b_frames = is_h264 ? 2 : 0;
  codec->thread_count = 1;
  codec->color_range = AVCOL_RANGE_MPEG;
  codec->colorspace = AVCOL_SPC_SMPTE170M;
  if (global_header) codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  AVDictionary* options = nullptr;
  if (is_h264) {
    av_dict_set(&options, "preset", "veryfast", 0);
    av_dict_set(&options, "crf", "18", 0);
  } else {
    codec->flags |= AV_CODEC_FLAG_QSCALE;
    codec->global_quality = 3 * FF_QP2LAMBDA;
  }
  const int opened = avcodec_open2(codec.get(), kind, &options);
  av_dict_free(&options);
  check_av(opened, "open the encoder", path);
  return codec;
}

/// RGB to planar YUV by ITU-R BT.601, limited range; a chroma sample is the mean of its 2 x 2 pixels. Written out here
/// because libswscale 6 crashes on RGB input in programs under the address sanitizer, and so that the bytes do not
/// depend on its version.
inline void fill_yuv420(const Picture& picture, AVFrame& frame) {
  const auto weigh = [&](int row, int column, float red, float green, float blue) {
    const std::uint8_t* pixel = picture.rgb.data() + 3 * (static_cast<std::size_t>(row) * picture.width + column);
    return (red * static_cast<float>(pixel[0]) + green * static_cast<float>(pixel[1]) +
            blue * static_cast<float>(pixel[2])) /
           255.0f;
  };
  for (int row = 0; row < picture.height; ++row) {
    for (int column = 0; column < picture.width; ++column) {
      frame.data[0][row * frame.linesize[0] + column] =
          static_cast<std::uint8_t>(16.5f + weigh(row, column, 65.481f, 128.553f, 24.966f));
    }
  }
  for (int row = 0; row < picture.height; row += 2) {
    for (int column = 0; column < picture.width; column += 2) {
      float cb = 0, cr = 0;
      for (const auto& [y, x] : {std::pair{0, 0}, std::pair{0, 1}, std::pair{1, 0}, std::pair{1, 1}}) {
        cb += weigh(row + y, column + x, -37.797f, -74.203f, 112.0f) / 4;
        cr += weigh(row + y, column + x, 112.0f, -93.786f, -18.214f) / 4;
      }
      frame.data[1][row / 2 * frame.linesize[1] + column / 2] = static_cast<std::uint8_t>(128.5f + cb);
      frame.data[2][row / 2 * frame.linesize[2] + column / 2] = static_cast<std::uint8_t>(128.5f + cr);
    }
  }
}

/// An MP4 file being written, one stream of square frames.
class Mp4Writer {
 public:
  Mp4Writer(std::string path, int pixels, int frames_per_second) : path_(std::move(path)) {
    check_av(avformat_alloc_output_context2(&format_, nullptr, "mp4", path_.c_str()), "make an MP4 file", path_);
    try {
      open(pixels, frames_per_second);
    } catch (...) {
      close();
      throw;
    }
  }
  Mp4Writer(const Mp4Writer&) = delete;
  Mp4Writer& operator=(const Mp4Writer&) = delete;
  ~Mp4Writer() { close(); }

  void add(const Picture& picture) {
    check_av(av_frame_make_writable(frame_.get()), "reuse a frame", path_);
    fill_yuv420(picture, *frame_);
    frame_->pts = next_++;
    encode(frame_.get());
  }
  void finish() {
    encode(nullptr);
    check_av(av_write_trailer(format_), "finish the file", path_);
    const int closed = avio_closep(&format_->pb);
    check_av(closed, "close the file", path_);
  }

 private:
  void open(int pixels, int frames_per_second) {
    const bool global_header = (format_->oformat->flags & AVFMT_GLOBALHEADER) != 0;
    format_->flags |= AVFMT_FLAG_BITEXACT;
    codec_ = open_encoder(pixels, frames_per_second, global_header, path_);
    stream_ = avformat_new_stream(format_, nullptr);
    caprl::require(stream_ != nullptr, "[write_mp4] expected memory for a stream, got none", path_);
    stream_->time_base = codec_->time_base;
    stream_->avg_frame_rate = codec_->framerate;
    check_av(avcodec_parameters_from_context(stream_->codecpar, codec_.get()), "describe the stream", path_);
    check_av(avio_open(&format_->pb, path_.c_str(), AVIO_FLAG_WRITE), "open the file", path_);
    check_av(avformat_write_header(format_, nullptr), "write the header", path_);
    frame_->width = frame_->height = pixels;
    frame_->format = AV_PIX_FMT_YUV420P;
    check_av(av_frame_get_buffer(frame_.get(), 0), "make a frame", path_);
  }
  void close() {
    if (!format_) return;
    if (format_->pb) avio_closep(&format_->pb);
    avformat_free_context(format_);
    format_ = nullptr;
  }
  void encode(const AVFrame* frame) {
    check_av(avcodec_send_frame(codec_.get(), frame), "encode a frame", path_);
    for (;;) {
      const int got = avcodec_receive_packet(codec_.get(), packet_.get());
      if (got == AVERROR(EAGAIN) || got == AVERROR_EOF) return;
      check_av(got, "encode a frame", path_);
      packet_->duration = 1;
      av_packet_rescale_ts(packet_.get(), codec_->time_base, stream_->time_base);
      packet_->stream_index = stream_->index;
      check_av(av_interleaved_write_frame(format_, packet_.get()), "write a frame", path_);
    }
  }

  std::string path_;
  AVFormatContext* format_ = nullptr;
  AVStream* stream_ = nullptr;
  caprl::detail::AvCodec codec_;
  caprl::detail::AvFrame frame_ = caprl::detail::new_av_frame();
  caprl::detail::AvPacket packet_ = caprl::detail::new_av_packet();
  std::int64_t next_ = 0;
};

}  // namespace detail

/// Renders a clip into an MP4 file of `clip_frames_per_second`. `pixels` must be even. Throws Error naming the file.
inline void write_mp4(const std::string& path, const Clip& clip, int pixels = 48) {
  caprl::require(pixels % 2 == 0, "[write_mp4] expected an even number of pixels", path);
  caprl::detail::AvLog log;  // encoders tell about themselves on stderr otherwise
  const caprl::detail::AvLog::Scope quiet(log);
  detail::Mp4Writer writer(path, pixels, clip_frames_per_second);
  const Look look = draw_look(clip.scene);
  for (int frame = 0; frame < frame_count(clip); ++frame) writer.add(render_frame(clip, look, frame, pixels));
  writer.finish();
}

}  // namespace world
