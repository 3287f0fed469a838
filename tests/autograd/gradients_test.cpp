#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "caprl/autograd/add.hpp"
#include "caprl/autograd/attention.hpp"
#include "caprl/autograd/convolution.hpp"
#include "caprl/autograd/embedding.hpp"
#include "caprl/autograd/log_probability.hpp"
#include "caprl/autograd/low_rank.hpp"
#include "caprl/autograd/reshape.hpp"
#include "caprl/autograd/take_rows.hpp"
#include "caprl/model/decoder.hpp"
#include "caprl/model/log_probabilities_by_parts.hpp"
#include "caprl/model/lora.hpp"
#include "caprl/model/vision_tower.hpp"
#include "caprl/nn/initialize.hpp"

using namespace caprl;

namespace {

Tensor<double> random_tensor(const Shape& shape, std::uint32_t item) {
  Tensor<double> tensor(shape);
  RandomStream stream({.seed = 11, .item = item});
  for (double& value : tensor.span()) value = stream.normal();
  return tensor;
}

double inner(const Tensor<double>& a, const Tensor<double>& b) {
  double sum = 0;
  for (Index i = 0; i < a.elements(); ++i) sum += a.data()[i] * b.data()[i];
  return sum;
}

/// The norm of the difference between a gradient and central differences of sum(output * weights), over the norm.
double difference(const Tensor<double>& values, const Tensor<double>& gradient,
                  const std::function<Var<double>()>& compute, const Tensor<double>& weights) {
  const double step = 1e-5;
  double error = 0;
  double norm = 0;
  const Index stride = std::max<Index>(1, values.elements() / 60);
  for (Index i = 0; i < values.elements(); i += stride) {
    const double kept = values.data()[i];
    const auto at = [&](double shift) {
      values.data()[i] = kept + shift;
      return inner(compute().value(), weights);
    };
    // Richardson's extrapolation of central differences: the error is of the fourth order.
    const double wide = (at(20 * step) - at(-20 * step)) / (40 * step);
    const double narrow = (at(10 * step) - at(-10 * step)) / (20 * step);
    const double numeric = (4 * narrow - wide) / 3;
    values.data()[i] = kept;
    error += (numeric - gradient.data()[i]) * (numeric - gradient.data()[i]);
    norm += numeric * numeric;
  }
  return std::sqrt(error / std::max(norm, 1e-30));
}

/// Checks the gradients of every input and parameter of `compute`.
void check_gradients(const std::vector<Var<double>>& inputs, const std::vector<Parameter<double>>& parameters,
                     const std::function<Var<double>()>& compute) {
  Tape tape;
  const Var<double> output = compute();
  const Tensor<double> weights = random_tensor(output.shape(), 99);
  output.seed_gradient(weights.clone());
  tape.backward();
  const NoGradient silent;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    CAPTURE(i);
    CHECK(difference(inputs[i].value(), inputs[i].gradient(), compute, weights) < 1e-9);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    CAPTURE(i);
    CHECK(difference(parameters[i].value(), parameters[i].gradient(), compute, weights) < 1e-9);
  }
}

Parameter<double> random_parameter(const Shape& shape, std::uint32_t item) {
  Parameter<double> parameter(shape);
  const Tensor<double> values = random_tensor(shape, item);
  std::copy_n(values.data(), values.elements(), parameter.value().data());
  return parameter;
}

Decoder<double> tiny_decoder() {
  const BlockSettings block{
      .hidden_size = 8, .intermediate_size = 12, .attention_heads = 2, .key_value_heads = 1, .head_size = 4};
  const Decoder<double> decoder({.block = block, .layers = 2, .vocabulary_size = 9, .maximum_positions = 16});
  initialize<double>(decoder, 2, 5, ends_residual_branch);
  return decoder;
}

VisionTower<double> tiny_tower() {
  const BlockSettings block{
      .hidden_size = 8, .intermediate_size = 12, .attention_heads = 2, .key_value_heads = 2, .head_size = 4};
  const VisionTower<double> tower({.block = block,
                                   .layers = 1,
                                   .image_size = 12,
                                   .temporal_patch_size = 2,
                                   .stem_channels = {4},
                                   .output_size = 6});
  initialize<double>(tower, 1, 5, ends_residual_branch);
  return tower;
}

const PrefixTree small_tree =
    PrefixTree::from_segments(std::vector<Index>{-1, 0, 0, 2, -1}, std::vector<Index>{3, 2, 4, 1, 2});

}  // namespace

TEST_CASE("gradients of heads that are normalised in place") {
  const Var<double> x(random_tensor({3, 14}, 1), true);  // two heads of four features between six other columns
  const Parameter<double> gain = random_parameter({4}, 2), first = random_parameter({14, 14}, 3);
  check_gradients({x}, {gain, first}, [&] {
    const Var<double> y = linear(x, first);
    head_norm_in_place(y, 3, 11, gain, 1e-3);
    return y;
  });
  const Var<double> given(random_tensor({3, 14}, 4));  // the gain alone is trained
  const auto frozen = random_parameter({14, 14}, 5);
  frozen.freeze();
  const Parameter<double> trained = random_parameter({4}, 6);
  check_gradients({}, {trained}, [&] {
    const Var<double> y = linear(given, frozen);
    head_norm_in_place(y, 3, 11, trained, 1e-3);
    return y;
  });
  const Parameter<double> product = random_parameter({14, 14}, 7);  // all but the gain is
  gain.freeze();
  check_gradients({}, {product}, [&] {
    const Var<double> y = linear(given, product);
    head_norm_in_place(y, 3, 11, gain, 1e-3);
    return y;
  });
  CHECK(inner(gain.gradient(), gain.gradient()) == 0);
}

TEST_CASE("gradients of linear, with bias and with a residual") {
  const Var<double> x(random_tensor({5, 7}, 1), true);
  const Var<double> residual(random_tensor({5, 4}, 2), true);
  const auto weight = random_parameter({4, 7}, 3);
  const auto bias = random_parameter({4}, 4);
  check_gradients({x}, {weight}, [&] { return linear(x, weight); });
  const Var<double> y(random_tensor({5, 7}, 5), true);
  const auto fresh = random_parameter({4, 7}, 6);
  check_gradients({y}, {fresh, bias}, [&] { return linear(y, fresh, bias); });
  const Var<double> z(random_tensor({5, 7}, 7), true);
  const auto third = random_parameter({4, 7}, 8);
  check_gradients({z, residual}, {third}, [&] { return linear_residual(z, third, residual); });
  const Var<double> last(random_tensor({5, 7}, 9), true), carried(random_tensor({5, 4}, 10), true);
  const auto fourth = random_parameter({4, 7}, 11), fourth_bias = random_parameter({4}, 12);
  check_gradients({last, carried}, {fourth, fourth_bias},
                  [&] { return linear_residual(last, fourth, carried, fourth_bias); });
}

TEST_CASE("gradients of a bias that alone is trained") {
  const Var<double> x(random_tensor({5, 7}, 1)), residual(random_tensor({5, 4}, 2));
  const auto weight = random_parameter({4, 7}, 3), gain = random_parameter({7}, 4);
  weight.freeze();
  gain.freeze();
  const auto bias = random_parameter({4}, 5), second = random_parameter({4}, 6), third = random_parameter({7}, 7);
  check_gradients({}, {bias}, [&] { return linear(x, weight, bias); });
  check_gradients({}, {second}, [&] { return linear_residual(x, weight, residual, second); });
  check_gradients({}, {third}, [&] { return layer_norm(x, gain, third, 1e-6); });
}

TEST_CASE("gradients of norm, activations and sums") {
  const Var<double> x(random_tensor({5, 36}, 1), true);
  const auto gain = random_parameter({36}, 2);
  check_gradients({x}, {gain}, [&] { return rms_norm(x, gain, 1e-6); });
  const Var<double> centred(random_tensor({5, 36}, 7), true);
  const auto second_gain = random_parameter({36}, 8), bias = random_parameter({36}, 9);
  check_gradients({centred}, {second_gain, bias}, [&] { return layer_norm(centred, second_gain, bias, 1e-6); });
  const Var<double> gates(random_tensor({5, 36}, 3), true);
  check_gradients({gates}, {}, [&] { return swiglu(gates); });
  const Var<double> plain(random_tensor({5, 36}, 4), true);
  check_gradients({plain}, {}, [&] { return gelu(plain); });
  const Var<double> a(random_tensor({3, 4}, 5), true);
  const Var<double> b(random_tensor({3, 4}, 6), true);
  check_gradients({a, b}, {}, [&] { return add(a, b); });
}

TEST_CASE("gradients of embedding rows from a table and from features") {
  const auto table = random_parameter({6, 4}, 1);
  const Var<double> features(random_tensor({3, 4}, 2), true);
  check_gradients({features}, {table}, [&] { return embed(table, features, {5, 0, 7, 5, 6, 8, 6}); });
  CHECK_THROWS_AS(embed(table, features, {9}), Error);
  table.freeze();
  const Var<double> others(random_tensor({3, 4}, 3), true);
  check_gradients({others}, {}, [&] { return embed(table, others, {5, 0, 7, 5, 6, 8, 6}); });
  CHECK(inner(table.gradient(), table.gradient()) == 0);
}

TEST_CASE("gradients of a product in another shape") {
  const Var<double> x(random_tensor({6, 4}, 1), true);
  const auto weight = random_parameter({2, 8}, 2);
  check_gradients({x}, {weight}, [&] { return linear(reshape(x, {3, 8}), weight); });
  CHECK_THROWS_AS(reshape(x, {5, 5}), Error);
}

TEST_CASE("gradients of rows that are taken, some of them twice") {
  const Var<double> x(random_tensor({5, 4}, 1), true);
  check_gradients({x}, {}, [&] { return take_rows(x, {3, 0, 3, 4}); });
  CHECK_THROWS_AS(take_rows(x, {5}), Error);
}

TEST_CASE("gradients of rows that others are added to, and of those") {
  const Var<double> x(random_tensor({5, 4}, 1), true), features(random_tensor({3, 4}, 2), true);
  check_gradients({x, features}, {}, [&] { return add_rows(x, features, {0, 3, 4}, {2, 0, 2}); });
  CHECK_THROWS_AS(add_rows(x, features, {5}, {0}), Error);
  CHECK_THROWS_AS(add_rows(x, features, {0}, {3}), Error);
}

TEST_CASE("gradients of weighted rows of a table") {
  const auto table = random_parameter({6, 4}, 1);
  Tensor<float> weights({3, 2});
  for (Index i = 0; i < 6; ++i) weights.data()[i] = 0.3f * static_cast<float>(i) - 0.5f;
  check_gradients({}, {table}, [&] { return weighted_rows(table, {5, 0, 3, 3, 0, 5}, weights); });
  CHECK_THROWS_AS(weighted_rows(table, {5, 0, 3, 6, 0, 5}, weights), Error);
  CHECK_THROWS_AS(weighted_rows(table, {5, 0, 3}, weights), Error);
}

TEST_CASE("gradients of token log-probabilities where pairs share rows") {
  const Var<double> hidden(random_tensor({4, 5}, 1), true);
  const auto head = random_parameter({7, 5}, 2);
  check_gradients({hidden}, {head}, [&] {
    return token_log_probabilities(hidden, head, {{2, 6}, {0, 1}, {2, 3}, {3, 3}}, 1.25);
  });
}

TEST_CASE("gradients of a convolution's patches") {
  const Var<double> x(random_tensor({2 * 5 * 6, 3}, 1), true);
  check_gradients({x}, {}, [&] { return unfold(x, {.height = 5, .width = 6}); });
}

TEST_CASE("gradients of attention over a tree, whole and with a given prefix") {
  const TreeAttentionOptions options{.query_heads = 4, .key_heads = 2, .head_size = 4, .scale = 0.5f};
  const Var<double> qkv(random_tensor({12, 32}, 1), true);
  check_gradients({qkv}, {}, [&] { return tree_attention(qkv, small_tree, options); });
  const Var<double> prefix(random_tensor({3, 16}, 2), true);
  const Var<double> rest(random_tensor({9, 32}, 3), true);
  check_gradients({prefix, rest}, {}, [&] { return tree_attention_below(prefix, rest, small_tree, options); });
}

TEST_CASE("gradients of a whole decoder with tied embeddings") {
  const Decoder<double> decoder = tiny_decoder();
  check_gradients({}, parameters_of<double>(decoder), [&] {
    const auto x = embed(decoder.embedding, Var<double>(), {1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3});
    return linear(decoder(x, small_tree), decoder.head);
  });
}

TEST_CASE("gradients of a whole decoder that computes its blocks a second time") {
  Decoder<double> decoder = tiny_decoder();
  decoder.recompute_blocks = true;
  const Var<double> x(random_tensor({12, 8}, 7), true);
  check_gradients({x}, parameters_of<double>(decoder), [&] { return linear(decoder(x, small_tree), decoder.head); });
}

TEST_CASE("log-probabilities of some rows are those among all, and so are their gradients") {
  Decoder<double> decoder = tiny_decoder();
  const std::vector<HeadPair> pairs{{4, 1}, {2, 5}, {4, 0}, {11, 8}};
  for (const bool recomputed : {false, true}) {
    decoder.recompute_blocks = recomputed;
    const Var<double> x(random_tensor({12, 8}, 7), true);
    const auto all = token_log_probabilities(decoder(x, small_tree), decoder.head, pairs, 1.25);
    const auto some = decoder.log_probabilities(x, small_tree, pairs, 1.25);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      CHECK(some.value().span()[i] == doctest::Approx(all.value().span()[i]).epsilon(1e-12));
    }
    for (const auto& parameter : parameters_of<double>(decoder)) parameter.zero_gradient();
    check_gradients({x}, parameters_of<double>(decoder),
                    [&] { return decoder.log_probabilities(x, small_tree, pairs, 1.25); });
  }
}

TEST_CASE("gradients of log-probabilities that are computed by subtrees") {
  const Decoder<double> decoder = tiny_decoder();
  const Var<double> x(random_tensor({12, 8}, 7), true);
  const std::vector<HeadPair> pairs{{2, 1}, {2, 5}, {4, 0}, {0, 3}, {11, 8}, {9, 2}, {7, 7}};
  check_gradients({x}, parameters_of<double>(decoder),
                  [&] { return log_probabilities_by_parts(decoder, x, small_tree, pairs, 1.25, 3); });
}

TEST_CASE("what nothing reads has no gradient, and a backward pass without any is an error") {
  const Var<double> x(random_tensor({3, 4}, 1), true);
  const Parameter<double> read = random_parameter({2, 4}, 2), unread = random_parameter({5, 4}, 3);
  Tape tape;
  const Var<double> y = linear(x, read);
  const Var<double> nobodys = rms_norm(linear(x, unread), random_parameter({5}, 4), 1e-6);
  y.seed_gradient(random_tensor(y.shape(), 5));
  tape.backward();
  CHECK(x.has_gradient());
  CHECK_FALSE(nobodys.has_gradient());
  CHECK(inner(unread.gradient(), unread.gradient()) == 0);

  linear(x, read);
  CHECK_THROWS_WITH_AS(tape.backward(), doctest::Contains("[Tape::backward] expected a gradient seeded"), Error);
  CHECK(Tape::recording());
}

TEST_CASE("gradients of a whole vision tower") {
  const VisionTower<double> tower = tiny_tower();
  const Var<double> pixels(random_tensor({2 * 144, 6}, 3), true);
  check_gradients({pixels}, parameters_of<double>(tower), [&] { return tower(pixels); });
}

TEST_CASE("gradients of low-rank terms on some of a product's columns, with dropout and without") {
  const DropoutScope scope(DropoutPass{.seed = 3});
  for (const double share : {0.0, 0.4}) {
    for (const bool frozen : {false, true}) {
      const Var<double> x(random_tensor({5, 7}, 1), true), residual(random_tensor({5, 6}, 2), true);
      const auto weight = random_parameter({6, 7}, 3);
      const LowRankTerm<double> term{random_parameter({2, 7}, 4), random_parameter({3, 2}, 5), 2, 1.5, share, "q"};
      if (frozen) weight.freeze();
      check_gradients({x, residual}, frozen ? std::vector{term.a, term.b} : std::vector{weight, term.a, term.b}, [&] {
        const Var<double> y = linear_residual(x, weight, residual);
        add_low_rank_in_place(y, x, term);
        return y;
      });
    }
  }
}

TEST_CASE("a low-rank term trains where nothing else needs a gradient") {
  const Var<double> x(random_tensor({5, 7}, 1));
  const auto weight = random_parameter({6, 7}, 3);
  weight.freeze();
  const LowRankTerm<double> term{random_parameter({2, 7}, 4), random_parameter({3, 2}, 5), 2, 1.5, 0, "q"};
  check_gradients({}, {term.a, term.b}, [&] {
    const Var<double> y = linear(x, weight);
    add_low_rank_in_place(y, x, term);
    return y;
  });
}

TEST_CASE("dropout drops its share, the same again for the same pass, others for another pass, layer or first row") {
  const Var<double> x(random_tensor({200, 30}, 1));
  LowRankTerm<double> term{.a = {}, .b = {}, .dropout = 0.3, .name = "q"};
  const auto drops = [&](const DropoutPass& pass) {
    const DropoutScope scope(pass);
    return detail::dropped(x.value(), detail::dropout_draws(term));
  };
  const auto same = [](const Tensor<double>& a, const Tensor<double>& b) {
    return std::ranges::equal(a.span(), b.span());
  };
  CHECK(same(detail::dropped(x.value(), detail::dropout_draws(term)), x.value()));  // outside a scope
  const DropoutPass pass{.seed = 1, .step = 2, .pass = 3};
  const Tensor<double> dropped = drops(pass);
  Index zeros = 0;
  for (Index i = 0; i < dropped.elements(); ++i) {
    const double value = dropped.data()[i];
    if (value == 0)
      ++zeros;
    else
      CHECK(value == doctest::Approx(x.value().data()[i] / 0.7).epsilon(1e-14));
  }
  CHECK(static_cast<double>(zeros) / 6000 == doctest::Approx(0.3).epsilon(0.06));  // three standard deviations
  CHECK(same(drops(pass), dropped));
  CHECK_FALSE(same(drops({.seed = 2, .step = 2, .pass = 3}), dropped));
  CHECK_FALSE(same(drops({.seed = 1, .step = 3, .pass = 3}), dropped));
  CHECK_FALSE(same(drops({.seed = 1, .step = 2, .pass = 4}), dropped));
  CHECK_FALSE(same(drops({.seed = 1, .step = 2, .pass = 3, .first_row = 1}), dropped));
  term.name = "k";
  CHECK_FALSE(same(drops(pass), dropped));
}

/// Adapters with numbers on a decoder; their parameters.
std::vector<Parameter<double>> adapt(const Decoder<double>& decoder, const char* layers) {
  add_lora<double>(decoder, {.rank = 2, .alpha = 3, .dropout = 0.25, .targets = NamePattern(layers)}, 4);
  std::vector<Parameter<double>> trained;
  for (const auto& block : lora_blocks<double>(decoder)) {
    fill_normal(block, 0.5, 9);
    trained.push_back(block.parameter);
  }
  return trained;
}

TEST_CASE("gradients of adapters on a decoder, with dropout and blocks that are computed a second time") {
  Decoder<double> decoder = tiny_decoder();
  const auto trained = adapt(decoder, ".*(q|v|up|o)_proj");
  REQUIRE(trained.size() == 2 * 2 * 4);
  const std::vector<HeadPair> pairs{{2, 1}, {2, 5}, {4, 0}, {0, 3}, {11, 8}, {9, 2}, {7, 7}};
  const auto check = [&](const auto& log_probabilities) {
    for (const auto& parameter : trained) parameter.zero_gradient();
    const Var<double> x(random_tensor({12, 8}, 7), true);
    check_gradients({x}, trained, [&] {
      const DropoutScope scope(DropoutPass{.seed = 3});  // gone before the backward pass
      return log_probabilities(x);
    });
  };
  for (const bool recomputed : {false, true}) {
    decoder.recompute_blocks = recomputed;
    check([&](const Var<double>& x) { return decoder.log_probabilities(x, small_tree, pairs, 1.25); });
  }
  check([&](const Var<double>& x) { return log_probabilities_by_parts(decoder, x, small_tree, pairs, 1.25, 3); });
}

TEST_CASE("by parts the same is dropped as in the whole") {
  const Decoder<double> decoder = tiny_decoder();
  adapt(decoder, ".*layers.0.*");  // the last layer numbers its rows anew where only some are read
  const Var<double> x(random_tensor({12, 8}, 7));
  const std::vector<HeadPair> pairs{{2, 1}, {4, 0}, {11, 8}, {9, 2}, {7, 7}};
  const auto plain = decoder.log_probabilities(x, small_tree, pairs, 1.25);
  const DropoutScope scope(DropoutPass{.seed = 3});
  const auto whole = decoder.log_probabilities(x, small_tree, pairs, 1.25);
  const auto parts = log_probabilities_by_parts(decoder, x, small_tree, pairs, 1.25, 3);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    CHECK(parts.value().span()[i] == doctest::Approx(whole.value().span()[i]).epsilon(1e-12));
    CHECK(std::abs(plain.value().span()[i] - whole.value().span()[i]) > 1e-6);
  }
}

TEST_CASE("what is frozen has no gradient, and what is trained has the one it had") {
  const std::vector<HeadPair> pairs{{2, 1}, {4, 0}, {11, 8}};
  const auto gradients = [&](const Decoder<double>& decoder) {
    Tape tape;
    const auto rows = embed(decoder.embedding, Var<double>(), {1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3});
    const auto values = decoder.log_probabilities(rows, small_tree, pairs, 1.0);
    values.seed_gradient(Tensor<double>::full(values.shape(), 1.0));
    tape.backward();
  };
  const Decoder<double> whole = tiny_decoder();
  gradients(whole);
  const auto of_whole = named_blocks<double>(whole);
  for (std::size_t one = 0; one < of_whole.size(); ++one) {  // each tensor alone: all kinds of ops, frozen and not
    const Decoder<double> decoder = tiny_decoder();
    const auto blocks = named_blocks<double>(decoder);
    for (const auto& block : blocks) {
      if (!(block.parameter == blocks[one].parameter)) block.parameter.freeze();
    }
    CAPTURE(blocks[one].name);
    gradients(decoder);
    CHECK(std::ranges::equal(blocks[one].parameter.gradient().span(), of_whole[one].parameter.gradient().span()));
    CHECK(inner(of_whole[one].parameter.gradient(), of_whole[one].parameter.gradient()) > 0);
    for (const auto& block : blocks) {
      if (block.parameter.needs_gradient()) continue;
      CHECK(inner(block.parameter.gradient(), block.parameter.gradient()) == 0);
    }
  }
}

TEST_CASE("nothing is propagated below the lowest tensor that is trained") {
  const Var<double> pixels(random_tensor({2 * 144, 6}, 3));
  VisionTower<double> tower = tiny_tower();
  Decoder<double> decoder = tiny_decoder();
  for (const auto& block : named_blocks<double>(tower)) block.parameter.freeze();
  for (const auto& block : named_blocks<double>(decoder)) {
    if (!block.name.starts_with("model.layers.1.")) block.parameter.freeze();
  }
  const Var<double> x(random_tensor({12, 8}, 7));
  const auto options = decoder.blocks[0].attention_options();
  for (const bool recomputed : {false, true}) {
    tower.recompute_blocks = recomputed;
    Tape tape;
    CHECK_FALSE(tower(pixels).needs_gradient());
    const auto angles = decoder.rotary(small_tree.depths());
    const auto below = decoder.blocks[0].over_tree(x, &angles, small_tree, options, recomputed);
    CHECK_FALSE(below.needs_gradient());
    const auto above = decoder.blocks[1].over_tree(below, &angles, small_tree, options, recomputed);
    above.seed_gradient(random_tensor(above.shape(), 5));
    tape.backward();
    CHECK_FALSE(below.has_gradient());
  }
  CHECK(inner(decoder.blocks[1].down.weight.gradient(), decoder.blocks[1].down.weight.gradient()) > 0);
  add_lora<double>(tower, {.rank = 1, .targets = std::vector<std::string>{"projection"}}, 1);
  Tape tape;
  CHECK(tower(pixels).needs_gradient());
}
