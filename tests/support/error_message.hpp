#pragma once

#include <cstdio>
#include <string>

#include "caprl/core/error.hpp"

namespace caprl::testing {

/// The message of the Error that `body` throws; "no error" if it does not.
template <class Body>
std::string error_message(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// True if `body` throws an Error whose message holds every one of `parts`. Otherwise prints the message.
template <class Body, class... Parts>
bool fails_with(const Body& body, const Parts&... parts) {
  const std::string message = error_message(body);
  const bool all = ((message.find(parts) != std::string::npos) && ...) && message != "no error";
  if (!all) std::fprintf(stderr, "unexpected message: %s\n", message.c_str());
  return all;
}

}  // namespace caprl::testing
