#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "caprl/io/jsonl.hpp"
#include "support/error_message.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

TEST_CASE("lines come with their places") {
  const TemporaryFolder folder;
  std::vector<std::string> places;
  std::vector<int> numbers;
  for_each_json_line(folder.file("a.jsonl", "{\"n\": 1}\r\n{\"n\": 2}\n{\"n\": 3}"),
                     [&](const Json& json, const std::string& where) {
                       numbers.push_back(json["n"]);
                       places.push_back(std::filesystem::path(where).filename().string());
                     });
  CHECK(numbers == std::vector<int>{1, 2, 3});
  CHECK(places == std::vector<std::string>{"a.jsonl:1", "a.jsonl:2", "a.jsonl:3"});
}

TEST_CASE("bad lines are errors with their place") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& content) {
    for_each_json_line(folder.file("a.jsonl", content), [](const Json&, const std::string&) {});
  };
  CHECK_NOTHROW(read(""));
  CHECK(fails_with([&] { read("{}\n\n{}\n"); }, "blank line", "a.jsonl:2"));
  CHECK(fails_with([&] { read("{}\n \r\n"); }, "blank line", "a.jsonl:2"));
  CHECK(fails_with([&] { read("{}\n{\"a\": [1, 2"); }, "a.jsonl:2:12"));
  CHECK(fails_with([&] { read("{} {}\n"); }, "a.jsonl:1:4"));
}

TEST_CASE("the writer appends whole lines") {
  const TemporaryFolder folder;
  const auto path = folder.file("a.jsonl", "{\"n\":1}\n");
  JsonlWriter writer(path);
  writer.write_line("{\"n\":2}");
  CHECK(content_of(path) == "{\"n\":1}\n{\"n\":2}\n");
  writer.write_line(Json({{"n", 3}}).dump());
  writer.sync();
  CHECK(content_of(path) == "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
  CHECK(fails_with([&] { writer.write_line("{\n}"); }, "expected one line"));
  CHECK(fails_with([&] { JsonlWriter{path}; }, "[lock]", "no other process", path.string()));
  CHECK(fails_with([&] { JsonlWriter(folder / "absent/a.jsonl"); }, "No such file", "absent/a.jsonl"));
}

TEST_CASE("a line that does not fit the disk is taken back") {
  const SmallDisk disk(64 * 1024);
  const auto path = disk.folder() / "a.jsonl";
  JsonlWriter writer(path);
  writer.write_line("{\"n\":1}");
  const std::string large = "\"" + std::string(1 << 20, 'x') + "\"";
  CHECK(fails_with([&] { writer.write_line(large); }, disk.message(), "a.jsonl", "the lines before are unchanged"));
  CHECK(content_of(path) == "{\"n\":1}\n");
  writer.write_line("{\"n\":2}");
  CHECK(content_of(path) == "{\"n\":1}\n{\"n\":2}\n");
}

TEST_CASE("a log is cut back to a step") {
  const TemporaryFolder folder;
  const std::string lines = "{\"step\":0}\n{\"step\":1}\n{\"step\":2}\n";
  const auto cut = [&](const std::string& content, Index step) {
    const auto path = folder.file("m.jsonl", content);
    truncate_after_step(path, step);
    return content_of(path);
  };
  CHECK(cut(lines, 5) == lines);
  CHECK(cut(lines, 1) == "{\"step\":0}\n{\"step\":1}\n");
  CHECK(cut(lines, -1) == "");
  CHECK(cut("", 3) == "");
  CHECK(cut(lines + "{\"step\":3}", 5) == lines);        // the process died within the line
  CHECK(cut(lines + "{\"step\":3,\"re\n", 5) == lines);  // or the disk lost its end
  CHECK(fails_with([&] { cut("{\"step\":0}\n{\"st\n{\"step\":1}\n", 5); }, "m.jsonl:2"));
  CHECK(fails_with([&] { cut("{\"n\":0}\n{\"step\":1}\n", 5); }, "field step", "m.jsonl:1"));
  CHECK_NOTHROW(truncate_after_step(folder / "absent.jsonl", 3));
}

TEST_CASE("a file that is cut short while its lines are read") {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 100'000; ++i) lines += "{\"n\": 1}\n";
  const auto path = folder.file("a.jsonl", lines);
  int count = 0;
  for_each_json_line(path, [&](const Json&, const std::string&) {
    if (count++ == 0) std::filesystem::resize_file(path, 0);
  });
  CHECK(count == 100'000);  // as it was when it was opened
}

TEST_CASE("what the file system refuses is an Error that names the log") {
  const TemporaryFolder folder;
  const std::string long_name(300, 'x');
  CHECK(fails_with([&] { truncate_after_step(folder / long_name, 3); }, "[cut file] File name too long", long_name));
}
