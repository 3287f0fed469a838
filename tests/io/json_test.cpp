#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "caprl/io/json_fields.hpp"
#include "caprl/io/json_file.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

TEST_CASE("a JSON file's errors name the file, the line and the column") {
  const TemporaryFolder folder;
  CHECK(load_json(folder.file("good.json", "{\"a\": [1, 2.5]}"))["a"][1] == 2.5);
  CHECK(fails_with([&] { load_json(folder.file("a.json", "{\n  \"a\": 1,,\n}")); }, "a.json:2:10", "syntax error"));
  CHECK(fails_with([&] { load_json(folder.file("b.json", "")); }, "b.json:1:1", "unexpected end of input"));
  CHECK(fails_with([&] { load_json(folder.file("c.json", "{\"a\": 1} x")); }, "c.json:1:10"));
  CHECK(fails_with([&] { load_json(folder.file("d.json", "\"\xff\"")); }, "d.json:1:2", "ill-formed UTF-8"));
  CHECK(fails_with([&] { load_json(folder.file("e.json", "{\"a\": 1, \"b\": {\"a\": 1}, \"a\": 2}")); },
                   "got \"a\" twice", "e.json"));
  CHECK(fails_with([&] { load_json(folder.file("f.json", "[1e999]")); }, "f.json", "number overflow"));
  CHECK(fails_with([&] { load_json(folder / "absent.json"); }, "No such file", "absent.json"));
  CHECK(fails_with([&] { load_json(folder.path()); }, "expected a regular file"));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  ::alarm(20);  // ends a test that waits for somebody to write
  CHECK(fails_with([&] { load_json(folder / "pipe"); }, "expected a regular file", "pipe"));
  ::alarm(0);
  CHECK(fails_with([&] { parse_json(std::string(100000, '['), "deep"); }, "at most 100 deep", "deep"));
  CHECK_NOTHROW(parse_json(std::string(100, '[') + std::string(100, ']'), "deep"));
  CHECK(fails_with([] { parse_json(std::string(101, '[') + std::string(101, ']'), "deep"); }, "at most 100 deep"));
}

TEST_CASE("a message is whole, whatever the text of the file that it shows") {
  const auto show = [] { parse_json(std::string("{\"\\u0000\": 1, \"\\u0000\": 2}"), "zero.json"); };
  CHECK(fails_with(show, "got \"?\" twice", "zero.json"));
}

TEST_CASE("the same key in different objects is no duplicate") {
  CHECK_NOTHROW(parse_json(R"([{"a": {"a": 1}}, {"a": 2}])", "x"));
  CHECK(fails_with([] { parse_json(R"([{"b": {"a": 1, "a": 1}}])", "x"); }, "\"a\" twice"));
}

TEST_CASE("fields are typed, and errors name file, field and both types") {
  const Json json = parse_json(R"({"size": 5, "rate": 1e-5, "name": "x", "on": true, "none": null, "list": [1, 2],
                                   "mixed": [1, "x"], "inner": {"depth": "deep"}, "huge": 18446744073709551615,
                                   "wide": 1e300})",
                               "x");
  const JsonFields fields(json, "folder/config.json");
  CHECK(fields.get<Index>("size") == 5);
  CHECK(fields.get<double>("size") == 5);
  CHECK(fields.get<float>("rate") == 1e-5f);
  CHECK(fields.get<std::string>("name") == "x");
  CHECK(fields.get<bool>("on"));
  CHECK(fields.get<std::vector<int>>("list") == std::vector<int>{1, 2});
  CHECK(fields.get<std::uint64_t>("huge") == UINT64_MAX);
  CHECK(fields.get_or<int>("absent", 7) == 7);
  CHECK(fields.get_or<int>("none", 8) == 8);
  CHECK_FALSE(fields.has("none"));
  CHECK(fails_with([&] { fields.get<Index>("name"); }, "config.json: field name: expected an integer, got string",
                   "folder/config.json"));
  CHECK(fails_with([&] { fields.get<Index>("rate"); }, "field rate: expected an integer, got fractional number"));
  CHECK(fields.get<double>("wide") == 1e300);
  CHECK(fails_with([&] { fields.get<float>("wide"); }, "field wide: expected a number within single precision"));
  CHECK(fails_with([&] { fields.get<bool>("size"); }, "field size: expected true or false, got integer"));
  CHECK(fails_with([&] { fields.get<std::string>("size"); }, "field size: expected a string, got integer"));
  CHECK(fails_with([&] { fields.get<double>("name"); }, "field name: expected a number, got string"));
  CHECK(fails_with([&] { fields.get<Index>("absent"); }, "field absent: expected a value, but the field is missing"));
  CHECK(fails_with([&] { fields.get<std::vector<int>>("mixed"); }, "field mixed[1]: expected an integer, got string"));
  CHECK(fails_with([&] { fields.get<Index>("huge"); }, "field huge: expected an integer between"));
  CHECK(fails_with([&] { fields.get<std::uint8_t>("none"); }, "field none: expected an integer, got null"));
  CHECK(fails_with([&] { fields.object("inner").get<int>("depth"); }, "field inner.depth: expected an integer"));
  CHECK(fails_with([&] { fields.object("list"); }, "field list: expected an object, got list"));
  CHECK(fails_with([&] { fields.require_only({"size", "rate"}); }, "unknown field"));
  CHECK_NOTHROW(fields.object("inner").require_only({"depth"}));
}
