#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/core/recorded_numbers.hpp"
#include "caprl/data/item.hpp"
#include "caprl/judge/per_caption.hpp"
#include "caprl/judge/reward_judge.hpp"
#include "caprl/judge/time_stamps.hpp"

namespace caprl {

/// 0.45 coverage validity + 0.25 validity + 0.30 order validity: how CapRL++ (arXiv 2606.09393) weighs the format of
/// timestamps. All three from 0 to 1.
inline double stamp_score(double validity, double coverage, double order) {
  return 0.45 * coverage * validity + 0.25 * validity + 0.30 * order * validity;
}

/// The published format reward: validity = legal / found, coverage = min(1, legal / 3), order = 1 if the start times of
/// the legal ones never decrease, else 0. Without a legal stamp 0. It knows nothing of the clip: "[00:00]" three times
/// earns 1.
inline double published_stamp_reward(const std::vector<TimeStamp>& stamps) {
  std::vector<Index> starts;
  for (const TimeStamp& stamp : stamps) {
    if (stamp.legal) starts.push_back(stamp.start_seconds);
  }
  if (starts.empty()) return 0;
  const auto legal = static_cast<double>(starts.size());
  return stamp_score(legal / static_cast<double>(stamps.size()), std::min(1.0, legal / 3),
                     std::ranges::is_sorted(starts) ? 1 : 0);
}

/// The share of pairs of numbers that stand in ascending order (equal ones do); 1 for fewer than two numbers.
inline double share_of_ordered_pairs(std::span<const Index> values) {
  Index ordered = 0, pairs = 0;
  for (std::size_t later = 1; later < values.size(); ++later) {
    for (std::size_t earlier = 0; earlier < later; ++earlier, ++pairs) ordered += values[earlier] <= values[later];
  }
  return pairs == 0 ? 1.0 : static_cast<double>(ordered) / static_cast<double>(pairs);
}

/// The clip-aware format reward: a stamp counts if it is legal, the first of its kind and within the clip;
/// validity = counted / found, coverage = counted / min(3, floor(duration) + 1) but at most 1, order = the share of
/// ordered pairs of the counted start times. Without a stamp that counts 0.
inline double clip_stamp_reward(const std::vector<TimeStamp>& stamps, double duration_seconds) {
  const auto last_second = static_cast<Index>(std::floor(duration_seconds));
  std::vector<TimeStamp> counted;
  std::vector<Index> starts;
  for (const TimeStamp& stamp : stamps) {
    if (!stamp.legal || stamp.end_seconds > last_second) continue;
    if (std::ranges::find(counted, stamp) != counted.end()) continue;
    counted.push_back(stamp);
    starts.push_back(stamp.start_seconds);
  }
  if (counted.empty()) return 0;
  const auto count = static_cast<double>(counted.size());
  const auto wanted = static_cast<double>(std::min<Index>(3, last_second + 1));
  return stamp_score(count / static_cast<double>(stamps.size()), std::min(1.0, count / wanted),
                     share_of_ordered_pairs(starts));
}

/// The timestamp format as a RewardJudge. Clip-aware, it needs the item's duration: a video of unknown duration gives
/// missing rewards, and items without a video, where there is nothing to stamp, 0 for every caption.
struct StampTerm {
  bool published = false;

  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) const {
    return score_each_caption(requests, [this](const CaptionItem& item, const Caption& caption) {
      const std::vector<TimeStamp> stamps = find_time_stamps(caption.text);
      if (published) return Reward::of(published_stamp_reward(stamps));
      const bool video =
          std::ranges::any_of(item.media, [](const auto& file) { return file.kind == MediaKind::video; });
      if (!video) return Reward::of(0);
      if (!(item.duration_seconds > 0)) return Reward::missing("stamps: the duration of the video is not known");
      return Reward::of(clip_stamp_reward(stamps, item.duration_seconds));
    });
  }
  std::vector<std::string> part_names() const { return {"stamps"}; }
  RecordedNumbers recorded() const { return {{"published", published}}; }
};

static_assert(RewardJudge<StampTerm>);

}  // namespace caprl
