#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/core/interrupt.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/data/item.hpp"

/// What the example programs share: one way to fail, and options that most of them have.
namespace examples {

/// Runs `body` and turns an error into a message of one screen and exit status 1. Where Ctrl-C stopped a run, which has
/// saved, the status is 130, so that scripts stop too.
template <class Body>
int run_program(int argc, char** argv, CLI::App& app, const Body& body) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  try {
    body();
    if (!caprl::interrupted()) return 0;
    std::puts("stopped; the same command goes on from here");
    return 130;
  } catch (const std::exception& error) {
    std::fflush(stdout);  // so that the error comes after what was printed
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

/// --threads, for programs that calculate.
inline void add_threads_option(CLI::App& app) {
  app.add_option_function<int>(
         "--threads", [](const int& count) { caprl::set_threads(count); },
         "Threads; results are the same bytes for the same number (default: all)")
      ->check(CLI::PositiveNumber);
}

/// Throws Error where a step would take more items than there are.
inline void require_batch(caprl::Index items, caprl::Index batch) {
  if (batch <= items) return;
  throw caprl::Error(
      "[--batch] expected at most the " + std::to_string(items) + " items of --data, got " + std::to_string(batch), {},
      "use a smaller batch or more data");
}

inline std::vector<const caprl::CaptionItem*> pointers(const std::vector<caprl::CaptionItem>& items) {
  std::vector<const caprl::CaptionItem*> pointers;
  for (const caprl::CaptionItem& item : items) pointers.push_back(&item);
  return pointers;
}

}  // namespace examples
