// Writes what both sides of a comparison read: weights, prompts, questions, and the numbers that a peer must reproduce.
//   make_models FOLDER [STEPS]    (STEPS: for how long the captioner is taught)
#include <cstdio>
#include <fstream>

#include "caprl/autograd/log_probability.hpp"
#include "caprl/optim/adamw.hpp"
#include "caprl/train/supervised.hpp"
#include "decoder_model.hpp"
#include "tiny_captioner.hpp"

namespace {

using namespace caprl;
using namespace benchmark_support;

/// The mean loss of two sequences of 64 tokens.
double decoder_loss(const Decoder<float>& model) {
  const std::vector<std::vector<TokenKey>> sequences = {sequence_of(0, 64), sequence_of(1, 64)};
  const SharedBatch batch = lay_out(sequences, false);
  std::vector<HeadPair> pairs;
  for (Index row = 0; row < 128; ++row) pairs.push_back({row, token_at(row / 64, row % 64 + 1)});
  const auto hidden = model(embed(model.embedding, Var<float>(), tokens_of(batch, sequences)), batch.tree);
  double sum = 0;
  const Var<float> log_probabilities = token_log_probabilities(hidden, model.head, pairs, 1.0);
  for (const float value : log_probabilities.value().span()) sum -= static_cast<double>(value);
  return sum / 128;
}

/// Taught for a short while, so that captions end as captions do.
void teach(const TinyVlmPolicy<>& policy, Index steps) {
  const std::vector<CaptionItem> items = make_items(512);
  AdamWOptimizer<float> optimizer(parameters_of<float>(policy.model()), {});
  for (Index step = 0; step < steps; ++step) {
    std::vector<const CaptionItem*> batch;
    for (Index i = 0; i < 32; ++i) batch.push_back(&items[static_cast<std::size_t>((step * 32 + i) % 512)]);
    const SupervisedStep taught =
        add_supervised_gradients(policy, std::span<const CaptionItem* const>(batch), load_noise, 32);
    optimizer.step(3e-3);
    if (step % 20 == 19) std::printf("taught %ld steps, loss %.3f\n", static_cast<long>(step + 1), taught.loss);
  }
}

void write_floats(const std::filesystem::path& path, std::span<const float> values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
}

/// Prompts, questions and reference values of the step of reinforcement.
Json describe_step(const TinyVlmPolicy<>& policy, const ExactJudge<float>& judge,
                   const std::filesystem::path& pixel_file) {
  const std::vector<CaptionItem> items = make_items(step_items);
  const JudgeTokens judge_tokens(policy.tokenizer(), QuestionPrompt::brief());
  std::vector<VlmPrompt> prompts;
  std::vector<RolloutGroup> groups;
  std::vector<std::vector<Caption>> captions;
  std::vector<JudgeRequest> requests;
  std::vector<float> pixels;
  Json json = {{"items", Json::array()}};
  for (const CaptionItem& item : items) {
    prompts.push_back(policy.encode(item, load_noise(item)));
    groups.push_back({policy.rollout_of(item.caption)});
    captions.push_back({groups.back().front().caption});
    const auto& picture = prompts.back().pictures.front().pixels;
    pixels.insert(pixels.end(), picture.data(), picture.data() + picture.elements());
    Json entry = {{"tokens", Json::array()}, {"questions", Json::array()}, {"gold", Json::array()}};
    for (const TokenKey& token : prompts.back().tokens) entry["tokens"].push_back(token.id);
    entry["media_row"] = prompts.back().media_row;
    entry["caption"] = groups.back().front().tokens;
    const OptionOrders orders{.kind = OptionOrders::Kind::cyclic, .count = 1};
    for (const Question& question : item.questions) {
      const OptionOrder order = option_orders(orders, question).front();
      entry["questions"].push_back(judge_tokens.question_tokens(question, order));
      entry["gold"].push_back(std::find(order.begin(), order.end(), question.gold) - order.begin());
    }
    json["items"].push_back(std::move(entry));
  }
  for (std::size_t i = 0; i < items.size(); ++i) requests.push_back({&items[i], captions[i]});
  write_floats(pixel_file, pixels);
  const std::vector<Token> before = judge_tokens.before_question("");
  json["judge_before"] = before;
  json["letters"] = Json::array();
  for (char letter = 'A'; letter <= 'E'; ++letter) json["letters"].push_back(judge_tokens.letter(letter));
  json["end"] = groups.front().front().tokens.back();
  double sum = 0;
  const Var<float> log_probabilities = policy.log_probabilities(prompts, groups, 1.0);
  for (const float value : log_probabilities.value().span()) sum += static_cast<double>(value);
  json["log_probability_sum"] = sum;
  double score = 0;
  for (const auto& group : judge.score(requests)) score += group.front().total.value();
  json["mean_score"] = score / static_cast<double>(items.size());
  json["judge_temperature"] = judge.settings().temperature;
  json["penalty"] = guess_penalty(4);
  return json;
}

void make(const std::filesystem::path& folder, Index steps) {
  std::filesystem::create_directories(folder);
  const std::filesystem::path tokenizer_file = folder / "tokenizer.json";
  write_file_atomically(tokenizer_file, make_tokenizer_json());
  const Tokenizer tokenizer = Tokenizer::from_file(tokenizer_file);
  TinyVlm<float> captioner(examples::tiny_vlm_settings({.temporal_patch = 1}, tokenizer));
  initialize(captioner, 1);
  const TinyVlmPolicy<> policy(captioner, tokenizer);
  teach(policy, steps);
  save_tiny_vlm(captioner, tokenizer_file, folder / "captioner");
  Decoder<float> judge_model(judge_settings_of(tokenizer.vocabulary_size()));
  initialize(judge_model, 2);
  save_language_model(judge_model, tokenizer_file, folder / "judge");
  const Decoder<float> decoder = make_decoder();
  save_weights<float>(decoder, folder / "decoder.safetensors", WeightFormat::float32);
  Json json = describe_step(policy, open_judge({judge_model, tokenizer, folder / "judge"}), folder / "pixels.f32");
  json["decoder_loss"] = decoder_loss(decoder);
  write_file_atomically(folder / "step.json", json.dump() + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: make_models FOLDER [STEPS]\n");
    return 2;
  }
  try {
    make(argv[1], argc == 3 ? std::stol(argv[2]) : 120);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
