#include "caprl/core/ascii.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace caprl;

TEST_CASE("only ASCII letters have another case") {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool is_upper = byte >= 'A' && byte <= 'Z';
    CHECK(ascii_lower(c) == (is_upper ? static_cast<char>(byte + 32) : c));
  }
  CHECK(ascii_lower(std::string("A\xC3\x84z.PNG")) == "a\xC3\x84z.png");
  CHECK(same_letter('q', 'Q'));
  CHECK_FALSE(same_letter('@', '`'));  // 32 apart, and no letters
}

TEST_CASE("blanks are trimmed on both sides alone") {
  CHECK(trimmed(" \t a  b\r\n") == "a  b");
  CHECK(trimmed("a") == "a");
  CHECK(trimmed(" \n") == "");
  CHECK(trimmed("") == "");
}
