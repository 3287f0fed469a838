// expect: judge.score(requests)
// expect: RewardJudge
#include "caprl/judge/reward_judge.hpp"

struct Brevity {
  double operator()(const caprl::Caption& caption) const { return -static_cast<double>(caption.tokens); }
  std::vector<std::string> part_names() const { return {"brevity"}; }
};
static_assert(caprl::RewardJudge<Brevity>);

int main() {}
