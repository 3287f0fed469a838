#pragma once

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/core/random.hpp"

namespace caprl {

/// The order in which a data set's items come: another one each epoch, drawn from the seed.
///
/// What is asked for depends on the arguments alone, so a run that goes on needs only its step. The current epoch's
/// order is remembered to save time; so one object serves one thread.
class DataOrder {
 public:
  /// Throws Error unless there are 1 to 2^32 - 1 items.
  DataOrder(Index items, std::uint64_t seed) : items_(items), seed_(seed) {
    if (items < 1 || items > UINT32_MAX) {
      throw Error("[DataOrder] expected 1 to 2^32 - 1 items, got " + std::to_string(items));
    }
  }

  /// The item at `position` in [0, items) of `epoch`.
  Index item(Index epoch, Index position) {
    require(epoch >= 0 && position >= 0 && position < items_, "[DataOrder::item] expected a position within the epoch");
    if (epoch != epoch_) shuffle(epoch);
    return order_[static_cast<std::size_t>(position)];
  }

  /// The items of a step's batch, all different. An epoch has floor(items / batch) whole batches; the items left over
  /// rest until the next epoch.
  std::vector<Index> batch(Index step, Index batch_items) {
    if (step < 0) throw Error("[DataOrder::batch] expected a step of 0 or more, got " + std::to_string(step));
    if (batch_items < 1 || batch_items > items_) {
      throw Error("[DataOrder::batch] expected a batch of 1 to " + std::to_string(items_) + " items, got " +
                      std::to_string(batch_items),
                  {}, "use a smaller batch or more data");
    }
    const Index batches = items_ / batch_items;
    std::vector<Index> chosen;
    for (Index i = 0; i < batch_items; ++i) {
      chosen.push_back(item(step / batches, step % batches * batch_items + i));
    }
    return chosen;
  }

 private:
  void shuffle(Index epoch) {
    order_.resize(static_cast<std::size_t>(items_));
    std::iota(order_.begin(), order_.end(), Index{0});
    RandomStream({.seed = seed_, .purpose = Purpose::data_order, .step = static_cast<std::uint32_t>(epoch)})
        .shuffle(order_);
    epoch_ = epoch;
  }

  Index items_;
  std::uint64_t seed_;
  Index epoch_ = -1;
  std::vector<Index> order_;
};

}  // namespace caprl
