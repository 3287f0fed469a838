#pragma once

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// Rows picked by number (embedding, log-probability rows) and gradients added back to where they were picked.
namespace caprl {

namespace kernels {

/// y[r] = table[ids[r]].
template <class T, class Id>
struct GatherRows {
  Rows<const T> table;
  const Id* ids;
  Rows<T> y;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const T* in = table.row(ids[row]);
    T* out = y.row(row);
    team.template each<T>(y.columns, [&](auto at) { at.store(out, at(in)); });
  }
};

/// y[r] = first[ids[r]], or second[ids[r] - first.rows] from the end of the first on: two tables under one numbering.
template <class T>
struct GatherRowsOfTwo {
  Rows<const T> first;
  Rows<const T> second;
  const Index* ids;
  Rows<T> y;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const Index id = ids[row];
    const T* in = id < first.rows ? first.row(id) : second.row(id - first.rows);
    T* out = y.row(row);
    team.template each<T>(y.columns, [&](auto at) { at.store(out, at(in)); });
  }
};

/// For each group of rows that were picked from one place: table[place] += the sum of the rows in `order`.
template <class T, class G>
struct AddGroups {
  const Index* places;  ///< [groups]
  const Index* starts;  ///< [groups + 1], into order
  const Index* order;   ///< rows of x
  Rows<const T> x;
  Rows<G> table;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index group) const {
    G* out = table.row(places[group]);
    team.template each<T>(x.columns, [&](auto at) {
      auto total = at(x.row(order[starts[group]]));
      for (Index i = starts[group] + 1; i < starts[group + 1]; ++i) total = total + at(x.row(order[i]));
      at.store(out, at(out) + total);
    });
  }
};

/// y[r] = the sum over k of weights[r, k] table[ids[r, k]].
template <class T>
struct GatherWeighted {
  Rows<const T> table;
  const Index* ids;           ///< [rows, taps]
  Rows<const float> weights;  ///< [rows, taps]
  Rows<T> y;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const Index taps = weights.columns;
    team.template each<T>(y.columns, [&](auto at) {
      auto total = at(table.row(ids[row * taps])) * static_cast<Accumulator<T>>(weights(row, 0));
      for (Index k = 1; k < taps; ++k) {
        total = total + at(table.row(ids[row * taps + k])) * static_cast<Accumulator<T>>(weights(row, k));
      }
      at.store(y.row(row), total);
    });
  }
};

/// table[place] += the weighted sum of the rows of x in the place's group, whose members are numbered row * taps + k.
template <class T, class G>
struct AddWeightedGroups {
  const Index* places;
  const Index* starts;
  const Index* order;
  Rows<const float> weights;  ///< [rows, taps]
  Rows<const T> x;
  Rows<G> table;

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index group) const {
    const Index taps = weights.columns;
    G* out = table.row(places[group]);
    team.template each<T>(x.columns, [&](auto at) {
      auto total = at(out);
      for (Index i = starts[group]; i < starts[group + 1]; ++i) {
        const Index row = order[i] / taps;
        total = total + at(x.row(row)) * static_cast<Accumulator<T>>(weights(row, order[i] % taps));
      }
      at.store(out, total);
    });
  }
};

}  // namespace kernels

/// Which rows were picked from which place: rows sorted by place, equal places in row order, so that sums have one
/// order whatever the number of threads.
struct PlaceGroups {
  std::vector<Index> places;
  std::vector<Index> starts;
  std::vector<Index> order;
};

template <class Id>
PlaceGroups group_by_place(std::span<const Id> ids) {
  PlaceGroups groups;
  groups.order.resize(ids.size());
  std::iota(groups.order.begin(), groups.order.end(), Index{0});
  std::stable_sort(groups.order.begin(), groups.order.end(), [&](Index a, Index b) {
    return ids[static_cast<std::size_t>(a)] < ids[static_cast<std::size_t>(b)];
  });
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto place = static_cast<Index>(ids[static_cast<std::size_t>(groups.order[i])]);
    if (groups.places.empty() || groups.places.back() != place) {
      groups.places.push_back(place);
      groups.starts.push_back(static_cast<Index>(i));
    }
  }
  groups.starts.push_back(static_cast<Index>(ids.size()));
  return groups;
}

/// The groups of places below `boundary`, and those from it on, renumbered from 0.
inline std::pair<PlaceGroups, PlaceGroups> split_places(const PlaceGroups& groups, Index boundary) {
  const auto split = std::ranges::lower_bound(groups.places, boundary) - groups.places.begin();
  PlaceGroups below{{groups.places.begin(), groups.places.begin() + split},
                    {groups.starts.begin(), groups.starts.begin() + split + 1},
                    groups.order};
  PlaceGroups above{{groups.places.begin() + split, groups.places.end()},
                    {groups.starts.begin() + split, groups.starts.end()},
                    groups.order};
  for (Index& place : above.places) place -= boundary;
  return {std::move(below), std::move(above)};
}

namespace detail {

template <class Id>
void require_ids(const char* operation, std::span<const Id> ids, Index rows, Index places) {
  if (static_cast<Index>(ids.size()) != rows) {
    throw Error("[" + std::string(operation) + "] expected one id for each of " + std::to_string(rows) + " rows, got " +
                std::to_string(ids.size()));
  }
  for (const Id id : ids) {
    if (id < 0 || static_cast<Index>(id) >= places) {
      throw Error("[" + std::string(operation) + "] expected ids in [0, " + std::to_string(places) + "), got " +
                  std::to_string(id));
    }
  }
}

}  // namespace detail

/// y[r] = table[ids[r]] for ids in a span or vector; throws on an id outside the table.
template <class Device, class T, class Ids>
void gather_rows(Device device, ConstRows<T> table, const Ids& picked, Rows<T> y) {
  const std::span<const typename Ids::value_type> ids(picked);
  detail::require_ids("gather_rows", ids, y.rows, table.rows);
  detail::require_same_shape("gather_rows", Rows<const T>{nullptr, y.rows, table.columns, 0}, y);
  launch_rows(device, y.rows, kernels::GatherRows<T, typename Ids::value_type>{table, ids.data(), y}, y.columns);
}

/// table[place] += the sum of each group's rows of x, in row order.
template <class Device, class T, class G>
void add_place_groups(Device device, const PlaceGroups& groups, Rows<T> x, Rows<G> table) {
  const kernels::AddGroups<std::remove_const_t<T>, G> kernel{groups.places.data(), groups.starts.data(),
                                                             groups.order.data(), x, table};
  launch_rows(device, static_cast<Index>(groups.places.size()), kernel, x.columns);
}

/// table[ids[r]] += x[r], summed in row order; throws on an id outside the table.
template <class Device, class T, class Ids, class G>
void scatter_add_rows(Device device, Rows<T> x, const Ids& picked, Rows<G> table) {
  const std::span<const typename Ids::value_type> ids(picked);
  detail::require_ids("scatter_add_rows", ids, x.rows, table.rows);
  detail::require_same_shape("scatter_add_rows", Rows<const G>{nullptr, x.rows, table.columns, 0}, x);
  if (ids.empty()) return;
  add_place_groups(device, group_by_place(ids), x, table);
}

}  // namespace caprl
