// expect: settled.part_names()
// expect: RewardJudge
#include "caprl/judge/weighted_sum.hpp"

struct Brevity {
  std::vector<std::vector<caprl::Reward>> score(std::span<const caprl::JudgeRequest> requests) {
    return std::vector<std::vector<caprl::Reward>>(requests.size());
  }
};

int main() { caprl::WeightedSum reward{caprl::Weighted{Brevity{}, 1.0}}; }
