#pragma once

#include <omp.h>
#include <signal.h>

#include <initializer_list>

namespace caprl {

/// While this object lives, signals wait: neither this thread nor the threads of its OpenMP team run a handler. For
/// foreign code that a handler's stack frame would damage.
class HoldSignals {
 public:
  HoldSignals() {
    hold_in_team();
    const sigset_t all = held();
    ::pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  HoldSignals(const HoldSignals&) = delete;
  HoldSignals& operator=(const HoldSignals&) = delete;
  ~HoldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  /// All but those by which a thread learns of its own faults.
  static sigset_t held() {
    sigset_t signals;
    sigfillset(&signals);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&signals, fault);
    return signals;
  }

  /// The threads that OpenMP keeps for this thread hold signals for good: those that are there are told once, later
  /// ones inherit it.
  static void hold_in_team() {
    static thread_local int told = 1;
    if (omp_in_parallel() || omp_get_max_threads() <= told) return;
    told = omp_get_max_threads();
#pragma omp parallel num_threads(told)
    {
      if (omp_get_thread_num() != 0) {
        const sigset_t all = held();
        ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
      }
    }
  }

  sigset_t before_;
};

}  // namespace caprl
