#pragma once

#include <sys/mount.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "support/temporary_folder.hpp"

namespace caprl::testing {

/// A folder in which little fits: a file system of its own where we may mount one, else under a limit on the size of
/// each file that this process writes.
class SmallDisk {
 public:
  explicit SmallDisk(std::size_t bytes) {
    const std::string options = "size=" + std::to_string(bytes);
    mounted_ = ::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, options.c_str()) == 0;
    if (mounted_) return;
    before_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_limit_);
    rlimit limit = before_limit_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) {
      ::umount2(folder_.path().c_str(), MNT_DETACH);
    } else {
      ::setrlimit(RLIMIT_FSIZE, &before_limit_);
      std::signal(SIGXFSZ, before_handler_);
    }
  }

  const TemporaryFolder& folder() const { return folder_; }
  /// What the operating system says when it is full.
  std::string message() const { return mounted_ ? "No space left on device" : "File too large"; }
  bool mounted() const { return mounted_; }

 private:
  TemporaryFolder folder_;
  bool mounted_ = false;
  rlimit before_limit_{};
  void (*before_handler_)(int) = SIG_DFL;
};

}  // namespace caprl::testing
