// expect: estimator(batch)
// expect: AdvantageEstimator<MeanBaseline>
#include "caprl/advantage/advantage_estimator.hpp"

struct MeanBaseline {
  std::vector<double> operator()(const caprl::RewardBatch& batch) const { return batch.totals; }
};
static_assert(caprl::AdvantageEstimator<MeanBaseline>);

int main() {}
