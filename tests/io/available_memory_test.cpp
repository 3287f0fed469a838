#include "caprl/io/available_memory.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "support/temporary_folder.hpp"

using namespace caprl;

namespace {

/// A system's files with 8000 kB available.
struct System : testing::TemporaryFolder {
  System() { put("proc/meminfo", "MemTotal:  16000 kB\nMemFree:  100 kB\nMemAvailable:    8000 kB\nBuffers: 1 kB\n"); }

  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((*this / path).parent_path());
    file(path, text);
  }
  Index available() const { return available_memory(path()); }
};

}  // namespace

TEST_CASE("the memory available is what the system says") {
  System system;
  CHECK(system.available() == 8000 * 1024);
  system.put("proc/self/cgroup", "0::/\n");  // a group without limits
  CHECK(system.available() == 8000 * 1024);
  const testing::TemporaryFolder nothing;
  CHECK(available_memory(nothing.path()) == unknown_memory);
}

TEST_CASE("the limits of control groups, and of those around them, count") {
  System system;
  system.put("proc/self/cgroup", "1:name=systemd:/elsewhere\n0::/outer/inner\n");
  const std::string inner = "sys/fs/cgroup/outer/inner/", outer = "sys/fs/cgroup/outer/";
  system.put(inner + "memory.max", "5000000\n");
  system.put(inner + "memory.current", "1000000\n");
  CHECK(system.available() == 4000000);
  system.put(inner + "memory.stat", "anon 700000\nfile 300000\ninactive_file 200000\nactive_file 100000\n");
  CHECK(system.available() == 4200000);  // cached files make room
  system.put(outer + "memory.max", "3000000\n");
  system.put(outer + "memory.current", "2500000\n");
  CHECK(system.available() == 500000);
  system.put(outer + "memory.current", "3500000\n");
  CHECK(system.available() == 0);
  system.put(outer + "memory.max", "max\n");
  CHECK(system.available() == 4200000);
}

TEST_CASE("so do those of the first version, and of a group that is the root of what is seen") {
  System system;
  system.put("proc/self/cgroup", "4:memory:/docker/1f\n3:cpu:/docker/1f\n");
  const std::string seen = "sys/fs/cgroup/memory/";
  system.put(seen + "memory.limit_in_bytes", "6000000\n");
  system.put(seen + "memory.usage_in_bytes", "2000000\n");
  CHECK(system.available() == 4000000);
  system.put(seen + "memory.stat", "cache 10\ninactive_file 10\ntotal_inactive_file 500000\n");
  CHECK(system.available() == 4500000);
}
