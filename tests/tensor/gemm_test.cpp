#include "caprl/tensor/cpu/gemm.hpp"

#include <doctest/doctest.h>
#include <sys/time.h>

#include <atomic>
#include <csignal>

#include "caprl/tensor/cpu/eigen_gemm.hpp"
#include "caprl/tensor/cpu/packed_gemm.hpp"
#include "caprl/tensor/cpu/tile_product.hpp"
#include "caprl/tensor/cpu/turn_block.hpp"
#include "support/matrices.hpp"

namespace {

using caprl::Cpu;
using caprl::Error;
using caprl::Index;
using caprl::PackedWeights;
using caprl::Rows;
using caprl::Tensor;
using caprl::Transpose;
using caprl::WeightFormat;
using test::distance;
using test::random_tensor;

struct Product {
  Index m, n, k;
};

/// alpha op(a) op(b) + beta c, element by element in double.
template <class T>
std::vector<double> naive(Transpose ta, Transpose tb, double alpha, Rows<T> a, Rows<T> b, double beta, Rows<T> c) {
  const Index depth = ta == Transpose::no ? a.columns : a.rows;
  std::vector<double> result;
  for (Index i = 0; i < c.rows; ++i) {
    for (Index j = 0; j < c.columns; ++j) {
      double sum = 0;
      for (Index k = 0; k < depth; ++k) {
        sum += static_cast<double>(ta == Transpose::no ? a(i, k) : a(k, i)) *
               static_cast<double>(tb == Transpose::no ? b(k, j) : b(j, k));
      }
      result.push_back(alpha * sum + (beta == 0 ? 0 : beta * static_cast<double>(c(i, j))));
    }
  }
  return result;
}

template <class T>
std::vector<double> contents(Rows<T> view) {
  std::vector<double> values;
  for (Index r = 0; r < view.rows; ++r) {
    for (Index c = 0; c < view.columns; ++c) values.push_back(static_cast<double>(view(r, c)));
  }
  return values;
}

/// Operands as column blocks of wider matrices, so that a pitch that is ignored shows.
template <class T>
struct Operands {
  Operands(Product size, Transpose ta, Transpose tb)
      : a_storage(
            random_tensor<T>({ta == Transpose::no ? size.m : size.k, (ta == Transpose::no ? size.k : size.m) + 3}, 1)),
        b_storage(
            random_tensor<T>({tb == Transpose::no ? size.k : size.n, (tb == Transpose::no ? size.n : size.k) + 5}, 2)),
        c_storage(random_tensor<T>({size.m, size.n + 2}, 3)),
        a(a_storage.rows().columns_between(3, a_storage.dim(1))),
        b(b_storage.rows().columns_between(1, b_storage.dim(1) - 4)),
        c(c_storage.rows().columns_between(1, size.n + 1)) {}

  Tensor<T> a_storage, b_storage, c_storage;
  Rows<T> a, b, c;
};

template <class T>
void check_all_forms(Product size, double bound) {
  for (const Transpose ta : {Transpose::no, Transpose::yes}) {
    for (const Transpose tb : {Transpose::no, Transpose::yes}) {
      for (const auto& [alpha, beta] : {std::pair{1.5, 0.0}, {1.5, 1.0}, {1.0, -0.5}, {1.0, 0.0}, {1.0, 1.0}}) {
        const Operands<T> with(size, ta, tb);
        const auto expected = naive(ta, tb, alpha, with.a, with.b, beta, with.c);
        const double left_of_c = static_cast<double>(with.c_storage.data()[0]);
        caprl::gemm(Cpu{}, ta, tb, static_cast<T>(alpha), with.a, with.b, static_cast<T>(beta), with.c);
        CAPTURE(size.m);
        CAPTURE(size.n);
        CAPTURE(size.k);
        CHECK(distance(contents(with.c), expected) < bound);
        CHECK(static_cast<double>(with.c_storage.data()[0]) == left_of_c);
      }
    }
  }
}

Tensor<float> rounded_to_bf16(const Tensor<float>& values) {
  Tensor<float> rounded(values.shape());
  for (Index i = 0; i < values.elements(); ++i) {
    rounded.data()[i] = static_cast<float>(caprl::bf16(values.data()[i]));
  }
  return rounded;
}

}  // namespace

namespace {

std::atomic<int> ticks{0};

/// A timer whose signals, every millisecond, are handled on the stack of any thread.
class Ticking {
 public:
  Ticking() {
    struct sigaction action {};
    action.sa_handler = [](int) { ++ticks; };
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGALRM, &action, &before_);
    const itimerval every{{0, 1000}, {0, 1000}};
    ::setitimer(ITIMER_REAL, &every, nullptr);
  }
  ~Ticking() {
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  struct sigaction before_ {};
};

}  // namespace

TEST_CASE("products are right, and leave the heap alone, while signals come") {
  const auto a = random_tensor<float>({3000, 352}, 1), b = random_tensor<float>({128, 352}, 2);
  const auto product = [&] {
    Tensor<float> c({3000, 128});
    caprl::gemm<float>(Cpu{}, Transpose::no, Transpose::yes, 1.0f, a.rows(), b.rows(), 0.0f, c.rows());
    return contents(c.rows());
  };
  const auto expected = product();
  const Ticking timer;
  const int before = ticks;
  for (int round = 0; round < 150; ++round) REQUIRE(product() == expected);
  CHECK(ticks > before + 10);
}

TEST_CASE("gemm is the naive product in all four transposition forms, with pitches") {
  for (const Product size : {Product{1, 1, 1},
                             {1, 37, 29},
                             {2, 5, 64},
                             {3, 17, 33},
                             {4, 4, 100},
                             {7, 31, 1},
                             {9, 40, 50},
                             {14, 70, 600},
                             {33, 21, 70},
                             {65, 130, 97}}) {
    check_all_forms<float>(size, 1e-6);
    check_all_forms<double>(size, 1e-14);
  }
}

TEST_CASE("weight gradients whose rows lie a multiple of 1 KB apart") {
  for (const auto& [m, n] : {std::pair<Index, Index>{1024, 8}, {8, 1024}, {1023, 8}}) {
    const Tensor<float> a = random_tensor<float>({20, m == 8 ? 8 : 1024}, 1);
    const Tensor<float> b = random_tensor<float>({20, n}, 2);
    const auto left = a.rows().columns_between(0, m);
    Tensor<float> c = random_tensor<float>({m, n}, 3);
    const auto expected = naive(Transpose::yes, Transpose::no, 1, left, b.rows(), 1, c.rows());
    caprl::gemm(Cpu{}, Transpose::yes, Transpose::no, 1, left, b.rows(), 1, c.rows());
    CHECK(distance(c, expected) < 1e-6);
  }
}

TEST_CASE("gemm without depth scales, and with beta 0 does not read its target") {
  Tensor<float> c = Tensor<float>::full({2, 3}, 4.0f);
  const Rows<const float> a{nullptr, 2, 0, 0};
  const Rows<const float> b{nullptr, 0, 3, 3};
  caprl::gemm(Cpu{}, Transpose::no, Transpose::no, 1, a, b, 0.5f, c.rows());
  CHECK(c.data()[5] == 2.0f);
  for (const Index rows : {1, 40}) {
    const Tensor<float> x = random_tensor<float>({rows, 20}, 1);
    const Tensor<float> w = random_tensor<float>({30, 20}, 2);
    Tensor<float> y = Tensor<float>::full({rows, 30}, NAN);
    caprl::gemm(Cpu{}, Transpose::no, Transpose::yes, 1, x.rows(), w.rows(), 0, y.rows());
    for (const float value : y.span()) CHECK(std::isfinite(value));
  }
}

TEST_CASE("gemm lets NaN through to the rows it touches and to no others") {
  for (const Index rows : {3, 40}) {
    Tensor<float> x = random_tensor<float>({rows, 20}, 1);
    const Tensor<float> w = random_tensor<float>({30, 20}, 2);
    Tensor<float> y({rows, 30});
    x.rows()(1, 19) = NAN;
    caprl::gemm(Cpu{}, Transpose::no, Transpose::yes, 1, x.rows(), w.rows(), 0, y.rows());
    for (Index c = 0; c < 30; ++c) {
      CHECK(std::isnan(y.rows()(1, c)));
      CHECK(std::isfinite(y.rows()(0, c)));
      CHECK(std::isfinite(y.rows()(2, c)));
    }
  }
}

TEST_CASE("the Eigen body agrees for float in all four forms, whatever body serves") {
  for (const Transpose ta : {Transpose::no, Transpose::yes}) {
    for (const Transpose tb : {Transpose::no, Transpose::yes}) {
      const Operands<float> with({50, 60, 70}, ta, tb);
      const auto expected = naive(ta, tb, 1.5, with.a, with.b, 1, with.c);
      caprl::detail::gemm_eigen<float>(ta, tb, 1.5f, with.a, with.b, with.c);
      CHECK(distance(contents(with.c), expected) < 1e-6);
    }
  }
}

TEST_CASE("gemm gives the same bytes each time, and serially inside a parallel chunk") {
  for (const Index rows : {2, 64}) {
    const Tensor<float> x = random_tensor<float>({rows, 300}, 1);
    const Tensor<float> w = random_tensor<float>({200, 300}, 2);
    Tensor<float> first({rows, 200});
    caprl::gemm(Cpu{}, Transpose::no, Transpose::yes, 1, x.rows(), w.rows(), 0, first.rows());
    for (int i = 0; i < 5; ++i) {
      Tensor<float> again({rows, 200});
      caprl::gemm(Cpu{}, Transpose::no, Transpose::yes, 1, x.rows(), w.rows(), 0, again.rows());
      CHECK(std::equal(first.span().begin(), first.span().end(), again.span().begin()));
    }
    Tensor<float> inside({4, rows, 200});
    caprl::parallel_for(4, 1, [&](Index i) {
      caprl::gemm(Cpu{}, Transpose::no, Transpose::yes, 1, x.rows(), w.rows(), 0, inside.slice(i, i + 1).rows());
    });
    for (Index i = 0; i < 4; ++i) CHECK(distance(inside.slice(i, i + 1), first) < 1e-6);
  }
}

TEST_CASE("gemm names the shapes that do not fit") {
  const Tensor<float> a({2, 3}), b({4, 5}), c({2, 5});
  CHECK_THROWS_WITH_AS(caprl::gemm(Cpu{}, Transpose::no, Transpose::yes, 1, a.rows(), b.rows(), 0, c.rows()),
                       "[gemm] expected [M, K] x [K, N] = [M, N], got [2, 3] x [4, 5]^T = [2, 5]", Error);
}

TEST_CASE("weights that are laid out on the way multiply as the naive product does, a group of panels after another") {
  for (const auto& [rows, outputs, inputs] : {Product{1, 1, 1}, {13, 40, 70}, {40, 230, 1100}}) {
    const Operands<float> with({rows, outputs, inputs}, Transpose::no, Transpose::yes);
    for (const float beta : {0.0f, 1.0f}) {
      const auto expected = naive(Transpose::no, Transpose::yes, 1, with.a, with.b, beta, with.c);
      caprl::detail::multiply_packing(with.a, with.b, beta, with.c);
      CHECK(distance(contents(with.c), expected) < 1e-6);
    }
  }
}

TEST_CASE("turn_rows transposes, and writes nothing beside") {
  for (const auto& [rows, columns] : {std::pair<Index, Index>{1, 1}, {16, 16}, {32, 48}, {37, 21}, {5, 70}}) {
    const Tensor<float> from = random_tensor<float>({rows, columns + 3}, 1);
    const auto view = from.rows().columns_between(2, columns + 2);
    const Tensor<float> to = Tensor<float>::full({columns, rows + 2}, NAN);
    caprl::detail::turn_rows<float>(view, to.data(), rows + 2);
    for (Index c = 0; c < columns; ++c) {
      for (Index r = 0; r < rows; ++r) REQUIRE(to.rows()(c, r) == view(r, c));
      CHECK(std::isnan(to.rows()(c, rows)));
      CHECK(std::isnan(to.rows()(c, rows + 1)));
    }
  }
}

TEST_CASE("tile products are the same numbers for any number of rows and packs") {
  using caprl::detail::tile_product;
  constexpr Index depth = 20, most_rows = 26;
  constexpr Index columns = 11 * caprl::Pack<float>::lanes;
  const auto a = random_tensor<float>({most_rows, depth}, 1), b = random_tensor<float>({depth, columns}, 2);
  const auto start = random_tensor<float>({most_rows, columns}, 3);
  const auto product = [&](Index first, Index rows, Index width, bool accumulate) {
    Tensor<float> c = start.clone();
    tile_product<float>(rows, width, depth, {a.data() + first * depth, depth, 1}, b.data(), columns,
                        c.data() + first * columns, columns, accumulate);
    return c;
  };
  for (const bool accumulate : {false, true}) {
    const Tensor<float> whole = product(0, most_rows, columns, accumulate);
    const auto expected = naive(Transpose::no, Transpose::no, 1, a.rows(), b.rows(), accumulate ? 1 : 0, start.rows());
    CHECK(distance(whole, expected) < 1e-6);
    for (const Index rows : {1, 2, 3, 7, 9, 13}) {
      for (Index packs = 1; packs <= 11; ++packs) {
        const Index width = packs * caprl::Pack<float>::lanes;
        const Tensor<float> part = product(4, rows, width, accumulate);
        for (Index r = 4; r < 4 + rows; ++r) {
          REQUIRE(std::equal(part.rows().row(r), part.rows().row(r) + width, whole.rows().row(r)));
        }
      }
    }
  }
}

TEST_CASE("packed weights multiply as the naive product does") {
  for (const Index rows : {1, 2, 3, 4, 6, 7, 13, 25, 64}) {
    for (const auto& [outputs, inputs] : {std::pair<Index, Index>{1, 1}, {16, 8}, {33, 70}, {70, 600}}) {
      const Tensor<float> x = random_tensor<float>({rows, inputs + 4}, 1);
      const Tensor<float> w = random_tensor<float>({outputs, inputs + 1}, 2);
      const auto view = x.rows().columns_between(2, inputs + 2);
      const auto weight = w.rows().columns_between(1, inputs + 1);
      Tensor<float> y = Tensor<float>::full({rows, outputs + 3}, NAN);
      const auto out = y.rows().columns_between(0, outputs);
      caprl::multiply(Cpu{}, view, PackedWeights(weight), out);
      CHECK(distance(contents(out), naive(Transpose::no, Transpose::yes, 1, view, weight, 0, out)) < 1e-6);
      CHECK(std::isnan(y.rows()(0, outputs)));

      const Tensor<float> rounded = rounded_to_bf16(w);
      const auto rounded_weight = rounded.rows().columns_between(1, inputs + 1);
      caprl::multiply(Cpu{}, view, PackedWeights(weight, WeightFormat::bf16), out);
      CHECK(distance(contents(out), naive(Transpose::no, Transpose::yes, 1, view, rounded_weight, 0, out)) < 1e-6);
    }
  }
}

TEST_CASE("packed weights refuse other shapes") {
  const Tensor<float> x = random_tensor<float>({5, 30}, 3);
  const PackedWeights packed(random_tensor<float>({40, 30}, 1).rows());
  Tensor<float> narrow({5, 39});
  CHECK_THROWS_WITH_AS(caprl::multiply(Cpu{}, x.rows(), packed, narrow.rows()),
                       "[multiply] expected [M, K] x [N, K]^T = [M, N], got [5, 30] x [40, 30]^T = [5, 39]", Error);
}
