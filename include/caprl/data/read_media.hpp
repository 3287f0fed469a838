#pragma once

#include "caprl/core/error.hpp"
#include "caprl/data/item.hpp"

namespace caprl {

/// read(): one of the item's files. An Error also says which line of the data file names it.
template <class Read>
auto read_media(const CaptionItem& item, const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    if (item.where.empty()) throw;
    const bool is_named = error.where() == item.where;  // a file that no data file speaks of
    throw Error(error.problem(), is_named ? item.where : error.where() + ", of " + item.where, error.remedy());
  }
}

}  // namespace caprl
