// One type that each concept accepts, and types with exactly one fault that it refuses. The text of the errors is held
// by the programs under faulty/.
#include <doctest/doctest.h>

#include <concepts>
#include <span>
#include <string>
#include <vector>

#include "caprl/advantage/advantage_estimator.hpp"
#include "caprl/frames/frame_sampler.hpp"
#include "caprl/judge/reward_judge.hpp"
#include "caprl/policy/policy.hpp"
#include "caprl/sampling/filters.hpp"
#include "caprl/sampling/sampler.hpp"

using namespace caprl;

namespace {

using Rewards = std::vector<std::vector<Reward>>;
using Requests = std::span<const JudgeRequest>;
using Names = std::vector<std::string>;

struct GoodJudge {
  Rewards score(Requests) { return {}; }
  Names part_names() const { return {}; }
};
struct JudgeWithoutScore {
  Names part_names() const { return {}; }
};
struct JudgeOfOneRequest {
  Rewards score(const JudgeRequest&) { return {}; }
  Names part_names() const { return {}; }
};
struct JudgeOfNumbers {
  std::vector<std::vector<double>> score(Requests) { return {}; }
  Names part_names() const { return {}; }
};
struct JudgeWithoutNames {
  Rewards score(Requests) { return {}; }
};
struct JudgeWithChangingNames {
  Rewards score(Requests) { return {}; }
  Names part_names() { return {}; }
};
struct JudgeWithOneName {
  Rewards score(Requests) { return {}; }
  std::string part_names() const { return {}; }
};
static_assert(RewardJudge<GoodJudge>);
static_assert(!RewardJudge<JudgeWithoutScore>);
static_assert(!RewardJudge<JudgeOfOneRequest>);
static_assert(!RewardJudge<JudgeOfNumbers>);
static_assert(!RewardJudge<JudgeWithoutNames>);
static_assert(!RewardJudge<JudgeWithChangingNames>);
static_assert(!RewardJudge<JudgeWithOneName>);

struct GoodEstimator {
  Advantages operator()(const RewardBatch&) const { return {}; }
};
struct EstimatorOfValues {
  std::vector<double> operator()(const RewardBatch&) const { return {}; }
};
struct EstimatorOfTotals {
  Advantages operator()(const std::vector<double>&) const { return {}; }
};
struct ChangingEstimator {
  Advantages operator()(const RewardBatch&) { return {}; }
};
struct EstimatorThatWrites {
  Advantages operator()(RewardBatch&) const { return {}; }
};
static_assert(AdvantageEstimator<GoodEstimator>);
static_assert(!AdvantageEstimator<EstimatorOfValues>);
static_assert(!AdvantageEstimator<EstimatorOfTotals>);
static_assert(!AdvantageEstimator<ChangingEstimator>);
static_assert(!AdvantageEstimator<EstimatorThatWrites>);

struct GoodSampler {
  Token operator()(std::span<float>, std::span<const Token>, const RandomKey&) const { return 0; }
  double temperature() const { return 1; }
  bool filters() const { return false; }
};
struct SamplerOfDoubles {
  Token operator()(std::span<double>, std::span<const Token>, const RandomKey&) const { return 0; }
  double temperature() const { return 1; }
  bool filters() const { return false; }
};
struct SamplerOfIndex {
  Index operator()(std::span<float>, std::span<const Token>, const RandomKey&) const { return 0; }
  double temperature() const { return 1; }
  bool filters() const { return false; }
};
struct SamplerWithState {
  Token operator()(std::span<float>, std::span<const Token>, const RandomKey&) { return 0; }
  double temperature() const { return 1; }
  bool filters() const { return false; }
};
struct SamplerWithoutKey {
  Token operator()(std::span<float>, std::span<const Token>) const { return 0; }
  double temperature() const { return 1; }
  bool filters() const { return false; }
};
struct SamplerWithoutTemperature {
  Token operator()(std::span<float>, std::span<const Token>, const RandomKey&) const { return 0; }
  bool filters() const { return false; }
};
struct SamplerWithoutFilters {
  Token operator()(std::span<float>, std::span<const Token>, const RandomKey&) const { return 0; }
  double temperature() const { return 1; }
};
static_assert(Sampler<GoodSampler>);
static_assert(!Sampler<SamplerOfDoubles>);
static_assert(!Sampler<SamplerOfIndex>);
static_assert(!Sampler<SamplerWithState>);
static_assert(!Sampler<SamplerWithoutKey>);
static_assert(!Sampler<SamplerWithoutTemperature>);
static_assert(!Sampler<SamplerWithoutFilters>);

struct GoodFilter {
  void operator()(std::span<float>, std::span<const Token>) const {}
  bool active() const { return true; }
};
struct FilterWithoutHistory {
  void operator()(std::span<float>) const {}
  bool active() const { return true; }
};
struct FilterWithoutActive {
  void operator()(std::span<float>, std::span<const Token>) const {}
};
static_assert(LogitFilter<GoodFilter>);
static_assert(!LogitFilter<FilterWithoutHistory>);
static_assert(!LogitFilter<FilterWithoutActive>);

struct GoodFrameSampler {
  std::vector<Index> operator()(const VideoTimeline&, FrameLook&) const { return {0}; }
};
struct FrameSamplerOfTimes {
  std::vector<double> operator()(const VideoTimeline&, FrameLook&) const { return {0}; }
};
struct FrameSamplerWithoutLook {
  std::vector<Index> operator()(const VideoTimeline&) const { return {0}; }
};
struct ChangingFrameSampler {
  std::vector<Index> operator()(const VideoTimeline&, FrameLook&) { return {0}; }
};
static_assert(FrameSampler<GoodFrameSampler>);
static_assert(!FrameSampler<FrameSamplerOfTimes>);
static_assert(!FrameSampler<FrameSamplerWithoutLook>);
static_assert(!FrameSampler<ChangingFrameSampler>);

using Groups = std::vector<RolloutGroup>;
using GroupSpan = std::span<const RolloutGroup>;
using Prompts = std::span<const int>;

struct PolicyTypes {
  using Prompt = int;
  using value_type = float;
  using device_type = Cpu;
};
struct Encodes {
  int encode(const CaptionItem&, std::span<const Clip>) const { return 0; }
};
struct Generates {
  template <Sampler S>
  Groups generate(Prompts, const S&, const GenerateSettings&) const {
    return {};
  }
};
struct TellsProbabilities {
  Var<float> log_probabilities(Prompts, GroupSpan, double) const { return {}; }
};
struct NamesBlocks {
  std::vector<NamedBlock<float, Cpu>> blocks() const { return {}; }
};
struct GoodPolicy : PolicyTypes, Encodes, Generates, TellsProbabilities, NamesBlocks {};
struct PolicyWithoutTypes : Encodes, Generates, TellsProbabilities, NamesBlocks {};
struct PolicyOfOtherPrompts : PolicyTypes, Generates, TellsProbabilities, NamesBlocks {
  std::string encode(const CaptionItem&, std::span<const Clip>) const { return {}; }
};
struct PolicyWithoutGenerate : PolicyTypes, Encodes, TellsProbabilities, NamesBlocks {};
struct ChangingPolicy : PolicyTypes, Encodes, TellsProbabilities, NamesBlocks {
  template <Sampler S>
  Groups generate(Prompts, const S&, const GenerateSettings&) {
    return {};
  }
};
struct PolicyOfPlainNumbers : PolicyTypes, Encodes, Generates, NamesBlocks {
  std::vector<float> log_probabilities(Prompts, GroupSpan, double) const { return {}; }
};
struct PolicyWithoutTemperature : PolicyTypes, Encodes, Generates, NamesBlocks {
  Var<float> log_probabilities(Prompts, GroupSpan) const { return {}; }
};
struct PolicyWithoutBlocks : PolicyTypes, Encodes, Generates, TellsProbabilities {};
static_assert(Policy<GoodPolicy>);
static_assert(!Policy<PolicyWithoutTypes>);
static_assert(!Policy<PolicyOfOtherPrompts>);
static_assert(!Policy<PolicyWithoutGenerate>);
static_assert(!Policy<ChangingPolicy>);
static_assert(!Policy<PolicyOfPlainNumbers>);
static_assert(!Policy<PolicyWithoutTemperature>);
static_assert(!Policy<PolicyWithoutBlocks>);

}  // namespace

TEST_CASE("concepts accept one good type and refuse types with one fault") {
  CHECK(RewardJudge<GoodJudge>);
  CHECK(AdvantageEstimator<GoodEstimator>);
  CHECK(Sampler<GoodSampler>);
  CHECK(LogitFilter<GoodFilter>);
  CHECK(FrameSampler<GoodFrameSampler>);
  CHECK(Policy<GoodPolicy>);
}
