#include <doctest/doctest.h>

#include <string>

#include "caprl/io/atomic_directory.hpp"
#include "caprl/io/atomic_file.hpp"
#include "support/error_message.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

TEST_CASE("a file is replaced in one step, and nothing else is left") {
  const TemporaryFolder folder;
  const auto path = folder.file("a.txt", "old");
  {
    AtomicFile file(path);
    file.write("new ");
    CHECK(content_of(path) == "old");
    file.write("text");
    file.commit();
  }
  CHECK(content_of(path) == "new text");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a file that is not committed leaves the old one and no traces") {
  const TemporaryFolder folder;
  const auto path = folder.file("a.txt", "old");
  { AtomicFile(path).write("new"); }
  CHECK(content_of(path) == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("errors of files name the target") {
  const TemporaryFolder folder;
  CHECK(fails_with([&] { AtomicFile(folder / "absent/a.txt"); }, "[write file] No such file", "absent/a.txt"));
  CHECK(fails_with([&] { AtomicFile(folder / "a/.."); }, "expected a path that ends in a name"));
  std::filesystem::create_directory(folder / "taken");
  folder.file("taken/inside", "x");
  CHECK(fails_with([&] { write_file_atomically(folder / "taken", "text"); }, "Is a directory", "taken"));
  CHECK(folder.entries() == 1);
}

TEST_CASE("a full disk: an error that names the file, the old content stays, no partial file") {
  const SmallDisk disk(64 * 1024);
  MESSAGE("full disk by " << std::string(disk.mounted() ? "a small file system" : "a limit on file size"));
  const auto path = disk.folder().file("a.txt", "old");
  const std::string large(1 << 20, 'x');
  CHECK(fails_with([&] { write_file_atomically(path, large); }, disk.message(), "a.txt", "what was saved before"));
  CHECK(content_of(path) == "old");
  CHECK(disk.folder().entries() == 1);
}

TEST_CASE("a directory appears whole, replaces another, or not at all") {
  const TemporaryFolder folder;
  const auto target = folder / "model";
  {
    AtomicDirectory directory(target);
    std::filesystem::create_directory(directory.path() / "sub");
    write_file_atomically(directory.path() / "sub/a.txt", "first");
    CHECK_FALSE(std::filesystem::exists(target));
    directory.commit();
  }
  CHECK(content_of(target / "sub/a.txt") == "first");
  {
    AtomicDirectory directory(target / "");  // a slash at the end names the same directory
    std::filesystem::create_directory(directory.path() / "sub");
    write_file_atomically(directory.path() / "sub/a.txt", "second");
    write_file_atomically(directory.path() / "b.txt", "more");
    directory.commit();
  }
  CHECK(content_of(target / "sub/a.txt") == "second");
  CHECK(content_of(target / "b.txt") == "more");
  {
    AtomicDirectory directory(target);
    write_file_atomically(directory.path() / "b.txt", "third");
  }
  CHECK(content_of(target / "b.txt") == "more");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a directory that holds something else, or a file, is not replaced") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "home");
  folder.file("home/letter.txt", "dear");
  folder.file("plain", "text");
  const auto save = [&](const char* name) {
    AtomicDirectory directory(folder / name);
    write_file_atomically(directory.path() / "config.json", "{}");
    directory.commit();
  };
  CHECK(fails_with([&] { save("home"); }, "another file: letter.txt", "home", "choose another place"));
  CHECK(fails_with([&] { save("plain"); }, "got a file", "plain"));
  CHECK(content_of(folder / "home/letter.txt") == "dear");
  CHECK(content_of(folder / "plain") == "text");
  CHECK(folder.entries() == 2);
}

TEST_CASE("a full disk while a directory is written leaves the old one") {
  const SmallDisk disk(64 * 1024);
  const auto target = disk.folder() / "model";
  const auto save = [&](std::size_t bytes) {
    AtomicDirectory directory(target);
    write_file_atomically(directory.path() / "weights", std::string(bytes, 'w'));
    directory.commit();
  };
  save(1000);
  CHECK(fails_with([&] { save(1 << 20); }, disk.message(), "weights"));
  CHECK(content_of(target / "weights").size() == 1000);
  CHECK(disk.folder().entries() == 1);
}

TEST_CASE("a directory needs a place") {
  const TemporaryFolder folder;
  CHECK_NOTHROW(AtomicDirectory(folder / "absent/model"));  // parents are made
  CHECK(std::filesystem::is_directory(folder / "absent"));
  write_file_atomically(folder / "file", "no folder");
  CHECK(fails_with([&] { AtomicDirectory(folder / "file/model"); }, "[write directory] Not a directory", "/file"));
}

TEST_CASE("what the file system refuses is an Error that names the directory") {
  const TemporaryFolder folder;
  const std::string long_name(300, 'x');
  CHECK(fails_with([&] { AtomicDirectory((folder / long_name) / "model"); }, "[write directory] File name too long",
                   long_name, "what was saved before is unchanged"));
}

TEST_CASE("a link that leads nowhere, or to a directory, is a file that would be lost") {
  const TemporaryFolder folder;
  const auto target = folder / "model";
  std::filesystem::create_directory(target);
  const auto save = [&](const char* name) {
    AtomicDirectory directory(target);
    write_file_atomically(directory.path() / name, "text");
    directory.commit();
  };
  for (const char* to : {"link", "..", "absent"}) {
    std::filesystem::create_symlink(to, target / "link");
    CHECK(fails_with([&] { save("other"); }, "another file: link", "model"));
    CHECK_NOTHROW(save("link"));
    std::filesystem::remove(target / "link");
  }
}
