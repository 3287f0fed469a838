#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iterator>
#include <numeric>
#include <optional>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/media/video_decoder.hpp"
#include "caprl/media/video_source.hpp"
#include "caprl/media/video_timeline.hpp"

namespace caprl::detail {

/// Where a video's frames lie in its file. "Place" is a packet's number in the order of the file, which is the order of
/// decoding; "frame" is a number in the order of showing.
struct VideoIndex {
  struct Packet {
    std::int64_t shown_at;    ///< presentation time stamp
    std::int64_t decoded_at;  ///< decoding time stamp, or none
    std::int64_t duration;
    bool is_key;
    bool is_shown;  ///< false for packets outside the edit list, which are decoded only for others' sake
  };

  std::vector<Packet> packets;            ///< by place
  std::vector<Index> by_time;             ///< all places, by presentation time
  std::vector<Index> place;               ///< [F] place of a frame's packet
  std::vector<Index> start;               ///< [F] place of the key packet from which a frame can be decoded
  std::vector<std::int64_t> time_stamps;  ///< [F]
  bool counted = false;  ///< the packets do not tell: frames are known only by counting them from the beginning
  VideoTimeline timeline;

  /// The place of the packet with a presentation time; none where there is no such packet.
  std::optional<Index> place_of(std::int64_t shown_at) const {
    const auto found = std::lower_bound(by_time.begin(), by_time.end(), shown_at, [&](Index at, std::int64_t time) {
      return packets[static_cast<std::size_t>(at)].shown_at < time;
    });
    if (found == by_time.end() || packets[static_cast<std::size_t>(*found)].shown_at != shown_at) return std::nullopt;
    return *found;
  }

  /// The frame with a presentation time.
  std::optional<Index> frame_of(std::int64_t shown_at) const {
    const auto found = std::lower_bound(time_stamps.begin(), time_stamps.end(), shown_at);
    if (found == time_stamps.end() || *found != shown_at) return std::nullopt;
    return static_cast<Index>(found - time_stamps.begin());
  }
};

/// VP8 hides its alternate reference frames in packets of their own.
inline bool is_hidden(const AVPacket& packet, AVCodecID codec) {
  return codec == AV_CODEC_ID_VP8 && packet.size > 0 && (packet.data[0] & 0x10) == 0;
}

/// The packet table alone, by reading the file without decoding. A missing presentation time is the decoding time where
/// the codec does not reorder. False where times are missing or occur twice.
inline bool read_packets(VideoSource& source, VideoIndex& index) {
  const AVCodecParameters& parameters = *source.stream().codecpar;
  const AvPacket packet = new_av_packet();
  bool told = true;
  while (source.read(*packet, true)) {
    std::int64_t shown_at = packet->pts;
    if (shown_at == AV_NOPTS_VALUE && parameters.video_delay == 0) shown_at = packet->dts;
    if (shown_at == AV_NOPTS_VALUE) told = false;
    const bool shown = (packet->flags & AV_PKT_FLAG_DISCARD) == 0 && !is_hidden(*packet, parameters.codec_id);
    index.packets.push_back({shown_at, packet->dts, packet->duration, (packet->flags & AV_PKT_FLAG_KEY) != 0, shown});
  }
  index.by_time.resize(index.packets.size());
  std::iota(index.by_time.begin(), index.by_time.end(), Index{0});
  const auto time = [&](Index place) { return index.packets[static_cast<std::size_t>(place)].shown_at; };
  std::stable_sort(index.by_time.begin(), index.by_time.end(), [&](Index a, Index b) { return time(a) < time(b); });
  const auto twice = std::adjacent_find(index.by_time.begin(), index.by_time.end(),
                                        [&](Index a, Index b) { return time(a) == time(b); });
  return told && twice == index.by_time.end();
}

/// Frames in the order of showing, from the packet table.
inline void index_by_packets(const VideoSource& source, VideoIndex& index) {
  const double tick = av_q2d(source.stream().time_base);
  Index start = 0;
  double last_duration = 0;
  for (const Index place : index.by_time) {
    const VideoIndex::Packet& packet = index.packets[static_cast<std::size_t>(place)];
    if (packet.is_key) start = place;
    if (!packet.is_shown) continue;
    index.place.push_back(place);
    index.start.push_back(std::min(start, place));
    index.time_stamps.push_back(packet.shown_at);
    index.timeline.seconds.push_back(static_cast<double>(packet.shown_at - index.time_stamps.front()) * tick);
    index.timeline.is_key.push_back(packet.is_key);
    last_duration = static_cast<double>(packet.duration) * tick;
  }
  if (!index.timeline.seconds.empty()) index.timeline.duration_seconds = index.timeline.seconds.back() + last_duration;
}

/// Seconds after the first frame, from time stamps of which some may be missing: those lie one mean distance from their
/// neighbours. Empty where too few are known or they do not rise.
inline std::vector<double> complete_times(const std::vector<std::int64_t>& stamps, double tick) {
  const auto known = [](std::int64_t stamp) { return stamp != AV_NOPTS_VALUE; };
  const auto first = std::find_if(stamps.begin(), stamps.end(), known);
  const auto last = std::find_if(stamps.rbegin(), std::make_reverse_iterator(first), known);
  if (first == stamps.end() || last.base() - 1 == first) return {};
  const double gap = static_cast<double>(*last - *first) * tick / static_cast<double>(last.base() - 1 - first);
  std::vector<double> seconds;
  const double origin = static_cast<double>(*first) * tick - gap * static_cast<double>(first - stamps.begin());
  for (const std::int64_t stamp : stamps) {
    const double next = seconds.empty() ? 0.0 : seconds.back() + gap;
    seconds.push_back(known(stamp) ? static_cast<double>(stamp) * tick - origin : next);
  }
  const bool rising = std::adjacent_find(seconds.begin(), seconds.end(), std::greater_equal<>()) == seconds.end();
  return rising ? seconds : std::vector<double>{};
}

/// Frames by decoding the whole file once: for files whose packets do not tell their times (AVI with reordered frames,
/// raw streams). Where the decoder cannot tell either, frames are one frame time apart.
inline void index_by_decoding(VideoSource& source, VideoDecoder& decoder, VideoIndex& index) {
  const double tick = av_q2d(source.stream().time_base);
  const double rate = av_q2d(source.stream().avg_frame_rate);
  const AvFrame frame = new_av_frame();
  const AvPacket packet = new_av_packet();
  std::vector<std::int64_t> stamps;
  index.counted = true;
  source.reopen();
  decoder.flush();
  for (bool more = true; more;) {
    more = source.read(*packet);
    decoder.send(more ? packet.get() : nullptr, true);
    while (decoder.receive(*frame)) {
      stamps.push_back(frame->best_effort_timestamp);
      index.timeline.is_key.push_back(frame->pict_type == AV_PICTURE_TYPE_I);
    }
  }
  std::vector<double>& seconds = index.timeline.seconds;
  seconds = complete_times(stamps, tick);
  const double frame_seconds = std::isfinite(rate) && rate > 0 ? 1 / rate : tick;
  while (seconds.size() < stamps.size()) seconds.push_back(static_cast<double>(seconds.size()) * frame_seconds);
}

/// True where the container's own index points past the end of the file.
inline bool index_exceeds_file(const VideoSource& source) {
  const std::int64_t size = source.format().pb == nullptr ? -1 : avio_size(source.format().pb);
  if (size < 0) return false;
  for (int i = 0; i < avformat_index_get_entries_count(&source.stream()); ++i) {
    const AVIndexEntry* entry = avformat_index_get_entry(&source.stream(), i);
    if (entry->size > 0 && entry->pos > size - entry->size) return true;
  }
  return false;
}

/// The duration where the last packet does not say how long it is shown, and the rate: the container's where it agrees
/// with the frames within a factor of 1.5 (AVI may count fields), else what was measured.
inline void finish_timeline(const VideoSource& source, VideoTimeline& timeline) {
  const double stated = av_q2d(source.stream().avg_frame_rate);
  const bool usable = std::isfinite(stated) && stated > 0;
  const double last = timeline.seconds.back();
  const double gap = timeline.frames() > 1 ? last / static_cast<double>(timeline.frames() - 1)
                     : usable              ? 1 / stated
                                           : 0;
  if (timeline.duration_seconds <= last) timeline.duration_seconds = last + gap;
  const double measured = gap > 0 ? 1 / gap : 0;
  const bool agrees = usable && (measured == 0 || (stated < 1.5 * measured && measured < 1.5 * stated));
  timeline.frames_per_second = agrees ? stated : measured;
}

inline VideoIndex index_video(VideoSource& source, VideoDecoder& decoder) {
  if (index_exceeds_file(source)) {
    throw Error("[VideoReader] expected a whole video file, got one cut off before frames that its index names",
                source.path(), "write the file again, or leave it out");
  }
  VideoIndex index;
  if (read_packets(source, index)) {
    index_by_packets(source, index);
  } else {
    index_by_decoding(source, decoder, index);
  }
  if (index.timeline.seconds.empty()) throw Error("[VideoReader] expected at least one frame, got none", source.path());
  finish_timeline(source, index.timeline);
  return index;
}

}  // namespace caprl::detail
