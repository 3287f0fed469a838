#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/media/av.hpp"
#include "caprl/media/av_log.hpp"
#include "caprl/media/video_decoder.hpp"
#include "caprl/media/video_index.hpp"
#include "caprl/media/video_source.hpp"

namespace caprl::detail {

/// Decodes any frame of a video, moving through the file as little as it can.
class VideoCursor {
 public:
  VideoCursor(const std::string& path, int threads, Index maximum_pixels, bool accept_damaged)
      : source_(path, log_),
        decoder_(source_, log_, threads, maximum_pixels),
        index_(index_video(source_, decoder_)),
        sent_(static_cast<Index>(index_.packets.size())),
        accept_damaged_(accept_damaged),
        careful_(index_.counted) {
    if (careful_) restart();
  }

  const VideoSource& source() const { return source_; }
  const VideoIndex& index() const { return index_; }
  AvLog& log() { return log_; }

  /// While it lives, only these frames will be asked for, in rising order.
  class Selection {
   public:
    Selection(VideoCursor& cursor, std::span<const Index> frames) : cursor_(cursor) {
      if (cursor.index_.counted) return;
      cursor.selected_.assign(cursor.index_.packets.size(), false);
      for (const Index frame : frames) cursor.selected_[at(cursor.index_.place[at(frame)])] = true;
      cursor.upcoming_ = frames;
    }
    ~Selection() {
      cursor_.selected_.clear();
      cursor_.upcoming_ = {};
    }
    Selection(const Selection&) = delete;
    Selection& operator=(const Selection&) = delete;

   private:
    VideoCursor& cursor_;
  };

  /// The frame, valid until the next call. A frame that does not come, or comes damaged, after a jump is tried again
  /// from the beginning of the file; then it is an error.
  const AVFrame& decode(Index number) {
    while (!upcoming_.empty() && upcoming_.front() <= number) upcoming_ = upcoming_.subspan(1);
    if (current_ == number && holds_frame_ && (accept_damaged_ || !decoder_.damaged())) return *frame_;
    if (!careful_) {
      if (reach(number) && !decoder_.damaged()) return *frame_;
      careful_ = true;
      restart();
    }
    if (current_ >= number) restart();
    if (!advance(number) && !(accept_damaged_ && advance_before(number))) fail(number, "missing");
    if (decoder_.damaged() && !accept_damaged_) fail(number, "damaged");
    return *frame_;
  }

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }

  [[noreturn]] void fail(Index number, const std::string& state) const {
    std::string text = "[VideoReader] expected frame " + std::to_string(number) + " at " +
                       std::to_string(index_.timeline.seconds[at(number)]) + " s, got it " + state;
    if (const std::string logged = log_.last(); !logged.empty()) text += ": " + logged;
    throw Error(text, source_.path(), "write the file again, or leave it out");
  }

  /// Jumps where it spares decoding or where the frame lies behind, then decodes up to the frame.
  bool reach(Index number) {
    const Index start = index_.start[at(number)];
    const bool behind = current_ >= number || draining_;
    if ((behind || start > sent_) && !jump(start)) return false;
    return advance(number);
  }

  /// Decodes until the frame comes out. False where it does not.
  bool advance(Index number) {
    while (true) {
      while (decoder_.receive(*frame_)) {
        const std::optional<Index> got = index_.counted ? current_ + 1 : index_.frame_of(frame_->pts);
        if (!got) continue;
        current_ = *got;
        holds_frame_ = current_ == number;
        if (current_ >= number) return holds_frame_;
      }
      if (draining_) return false;
      if (!feed(number)) {
        decoder_.send(nullptr, true);
        draining_ = true;
      }
    }
  }

  /// Decodes the last frame before a missing one: what a player leaves on the screen.
  bool advance_before(Index number) {
    while (number-- > 0) {
      restart();
      if (advance(number)) return true;
    }
    return false;
  }

  /// Sends one packet. False where the decoder needs no more: at the end, or where a jump follows this frame anyway, so
  /// that the frame can be drawn out at once.
  bool feed(Index number) {
    if (!careful_ && !selected_.empty() && sent_ > index_.place[at(number)]) {
      if (upcoming_.empty() || index_.start[at(upcoming_.front())] >= sent_) return false;
    }
    if (!next_packet()) return false;
    decoder_.send(packet_.get(), is_needed(number));
    ++sent_;
    return true;
  }

  bool is_needed(Index number) const {
    if (careful_) return true;
    if (!selected_.empty()) return selected_[at(sent_)];
    return index_.packets[at(sent_)].shown_at >= index_.time_stamps[at(number)];
  }

  /// Reads the packet at place `sent_`, with its time as the index has it. False at the end, or where the file gives
  /// another packet than when it was indexed.
  bool next_packet() {
    if (!std::exchange(has_packet_, false) && !source_.read(*packet_)) return false;
    if (index_.counted) return true;
    if (sent_ >= static_cast<Index>(index_.packets.size())) return false;
    const std::int64_t shown_at = index_.packets[at(sent_)].shown_at;
    if (packet_->pts != AV_NOPTS_VALUE && packet_->pts != shown_at) return false;
    packet_->pts = shown_at;
    return true;
  }

  /// Brings the file to a place, with an empty decoder.
  bool jump(Index place) {
    constexpr Index near = 100;  // packets that are passed over sooner than by a seek
    decoder_.flush();
    draining_ = false;
    current_ = -1;
    holds_frame_ = false;
    if (place < sent_ || place - sent_ > near) {
      const VideoIndex::Packet& packet = index_.packets[at(place)];
      if (!seek(packet.shown_at, place) && !seek(packet.decoded_at, place)) restart();
    }
    for (; sent_ < place; ++sent_) {
      if (!next_packet()) return false;
    }
    return true;
  }

  /// Seeks, and finds out where it led by the first packet there. False where that is behind the place or unknown.
  bool seek(std::int64_t timestamp, Index place) {
    has_packet_ = false;
    if (timestamp == AV_NOPTS_VALUE || !source_.seek(timestamp) || !source_.read(*packet_)) return false;
    const std::optional<Index> landed = index_.place_of(packet_->pts == AV_NOPTS_VALUE ? packet_->dts : packet_->pts);
    if (!landed || *landed > place) return false;
    sent_ = *landed;
    has_packet_ = true;
    return true;
  }

  void restart() {
    source_.reopen();
    decoder_.flush();
    sent_ = 0;
    current_ = -1;
    has_packet_ = draining_ = holds_frame_ = false;
  }

  AvLog log_;
  VideoSource source_;
  VideoDecoder decoder_;
  VideoIndex index_;
  AvFrame frame_ = new_av_frame();
  AvPacket packet_ = new_av_packet();
  Index sent_ = 0;      ///< packets sent or passed over: the place of the next one
  Index current_ = -1;  ///< the last frame that came out
  bool holds_frame_ = false;
  bool has_packet_ = false;  ///< the packet at `sent_` is read already
  bool draining_ = true;     ///< the decoder takes no more packets before a jump; so it is after the file was indexed
  bool accept_damaged_;
  bool careful_;                ///< decode everything from the beginning on
  std::vector<bool> selected_;  ///< by place; empty: any frame may follow
  std::span<const Index> upcoming_;
};

}  // namespace caprl::detail
