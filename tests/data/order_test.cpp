#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "caprl/data/disjoint.hpp"
#include "caprl/data/order.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

namespace {

std::vector<Index> epoch_of(DataOrder order, Index items, Index epoch) {
  std::vector<Index> all;
  for (Index position = 0; position < items; ++position) all.push_back(order.item(epoch, position));
  return all;
}

CaptionItem item_with(const std::filesystem::path& path) {
  CaptionItem item;
  item.where = "d.jsonl:" + path.stem().string();
  item.media.push_back({MediaKind::image, path});
  return item;
}

}  // namespace

TEST_CASE("an epoch has every item once, and its order depends on seed and epoch alone") {
  auto first = epoch_of(DataOrder(50, 1), 50, 0);
  CHECK(epoch_of(DataOrder(50, 1), 50, 0) == first);
  CHECK(epoch_of(DataOrder(50, 1), 50, 1) != first);
  CHECK(epoch_of(DataOrder(50, 2), 50, 0) != first);
  DataOrder asked_backwards(50, 1);
  for (Index position = 49; position >= 0; --position) {
    asked_backwards.item(1, position);
    CHECK(asked_backwards.item(0, position) == first[static_cast<std::size_t>(position)]);
  }
  std::sort(first.begin(), first.end());
  for (Index i = 0; i < 50; ++i) CHECK(first[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("every item comes to every place about equally often") {
  std::vector<int> count(16, 0);
  for (Index epoch = 0; epoch < 4000; ++epoch) {
    const auto order = epoch_of(DataOrder(4, 9), 4, epoch);
    for (std::size_t i = 0; i < 4; ++i) ++count[i * 4 + static_cast<std::size_t>(order[i])];
  }
  for (const int times : count) {
    CHECK(times > 880);
    CHECK(times < 1120);
  }
}

TEST_CASE("a batch has no item twice, and an epoch's batches are disjoint") {
  DataOrder order(10, 3);
  std::set<Index> seen;
  for (Index step = 6; step < 9; ++step) {  // the third epoch of three batches
    for (const Index item : order.batch(step, 3)) seen.insert(item);
  }
  CHECK(seen.size() == 9);
  CHECK(order.batch(6, 3)[0] == order.item(2, 0));
  CHECK(order.batch(5, 10).size() == 10);
  CHECK(fails_with([&] { order.batch(0, 11); }, "expected a batch of 1 to 10 items, got 11"));
  CHECK(fails_with([&] { order.item(0, 10); }, "expected a position within the epoch"));
  CHECK(fails_with([&] { order.batch(-1, 3); }, "expected a step of 0 or more, got -1"));
  CHECK(fails_with([&] { DataOrder(0, 1); }, "expected 1 to 2^32 - 1 items, got 0"));
  CHECK(fails_with([&] { DataOrder(Index{1} << 32, 1); }, "got 4294967296"));
}

TEST_CASE("splits that share a file's bytes are refused with both places") {
  const TemporaryFolder folder;
  const std::vector<CaptionItem> train{item_with(folder.file("1.png", "first")),
                                       item_with(folder.file("2.png", "second")),
                                       item_with(folder.file("3.png", "second"))};  // twice in one split is allowed
  const std::vector<CaptionItem> test{item_with(folder.file("4.png", "fourth")), item_with(folder / "4.png")};
  const std::vector<CaptionItem> leak{item_with(folder.file("5.png", "fifth")),
                                      item_with(folder.file("6.png", "second"))};
  const auto check = [](std::initializer_list<DataSplit> splits) {
    require_disjoint(std::span<const DataSplit>(splits.begin(), splits.size()));
  };
  CHECK_NOTHROW(check({{"train", train}, {"test", test}}));
  CHECK(fails_with(
      [&] {
        check({{"train", train}, {"test", test}, {"other", leak}});
      },
      "2.png in train (d.jsonl:2)", "6.png in other (d.jsonl:6)"));
  const std::vector<CaptionItem> absent{item_with(folder / "7.png")};
  CHECK(fails_with([&] { check({{"train", absent}}); }, "No such file", "7.png"));
}
