#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

/// Says that a test, or a part of one, does not run for want of something that cmake/install_packages.sh installs.
/// Where that has been run (tests/run.sh says so by CAPRL_TESTS_COMPLETE), it is a failure.
inline void report_skipped(const std::string& lacking) {
  if (std::getenv("CAPRL_TESTS_COMPLETE") != nullptr) {
    FAIL_CHECK("expected what cmake/install_packages.sh installs, got none: ", lacking);
  } else {
    MESSAGE("SKIPPED: absent: ", lacking);
  }
}
