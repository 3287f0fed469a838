// expect: judge.score(requests)
// expect: RewardJudge
#include "caprl/judge/presets.hpp"

struct Brevity {
  std::vector<double> score(std::span<const caprl::JudgeRequest> requests) {
    return std::vector<double>(requests.size());
  }
  std::vector<std::string> part_names() const { return {"brevity"}; }
};

int main() { auto reward = caprl::published_image_reward(Brevity{}); }
