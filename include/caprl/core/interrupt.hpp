#pragma once

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace caprl {

namespace detail {

inline std::atomic<int>& interrupt_count() {
  static std::atomic<int> count{0};
  static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may touch only lock-free atomics");
  return count;
}

extern "C" inline void caprl_handle_interrupt(int signal) {
  if (interrupt_count().fetch_add(1) > 0) ::_exit(128 + signal);
}

}  // namespace detail

/// True once Ctrl-C (or a polite kill) came while an `InterruptScope` was open: time to save and stop.
inline bool interrupted() { return detail::interrupt_count().load() > 0; }

/// While this object lives, the first Ctrl-C (SIGINT) or SIGTERM sets what `interrupted` says, and a second one ends
/// the process at once. Afterwards signals do again what they did before.
class InterruptScope {
 public:
  InterruptScope() {
    detail::interrupt_count() = 0;  // made here, before a handler may ask for it
    struct sigaction action {};
    action.sa_handler = detail::caprl_handle_interrupt;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGINT, &action, &before_interrupt_);
    ::sigaction(SIGTERM, &action, &before_terminate_);
  }
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
  ~InterruptScope() {
    ::sigaction(SIGINT, &before_interrupt_, nullptr);
    ::sigaction(SIGTERM, &before_terminate_, nullptr);
  }

 private:
  struct sigaction before_interrupt_ {};
  struct sigaction before_terminate_ {};
};

}  // namespace caprl
