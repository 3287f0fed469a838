// A program of somebody else's: it finds caprl, and trains nothing yet.
#include <cstdio>
#include <vector>

#include "caprl/advantage/rloo.hpp"

int main() {
  const caprl::RewardBatch batch{.group_begin = {0, 2}, .totals = {1.0, 0.0}, .parts = {}, .weights = {}};
  const caprl::Advantages advantages = caprl::Rloo{}(batch);
  std::printf("advantages %.1f %.1f\n", advantages.values[0], advantages.values[1]);
  return advantages.values[0] == 1.0 && advantages.values[1] == -1.0 ? 0 : 1;
}
