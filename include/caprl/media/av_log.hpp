#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
}

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace caprl::detail {

/// Keeps the last error that libav logged on behalf of one reader, instead of letting it print.
///
/// libav has one log callback for the whole process; the first AvLog sets it. Messages belong to a reader when they are
/// logged inside its `Scope`, or by a codec context (also from a codec's own threads) whose `opaque` points to its log.
/// All others go to libav's default callback.
class AvLog {
 public:
  AvLog() {
    static const bool installed = (av_log_set_callback(&AvLog::receive), true);
    static_cast<void>(installed);
    const std::lock_guard lock(mutex());
    living().push_back(this);
  }
  ~AvLog() {
    const std::lock_guard lock(mutex());
    std::erase(living(), this);
  }
  AvLog(const AvLog&) = delete;
  AvLog& operator=(const AvLog&) = delete;

  std::string last() const {
    const std::lock_guard lock(mutex());
    return last_;
  }

  void clear() {
    const std::lock_guard lock(mutex());
    last_.clear();
  }

  /// Claims what this thread logs while it lives.
  class Scope {
   public:
    explicit Scope(AvLog& log) : before_(std::exchange(current(), &log)) {}
    ~Scope() { current() = before_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    AvLog* before_;
  };

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static std::vector<AvLog*>& living() {
    static std::vector<AvLog*> logs;
    return logs;
  }
  static AvLog*& current() {
    static thread_local AvLog* log = nullptr;
    return log;
  }

  /// The reader that a message belongs to; null where it is none of ours. The mutex is held.
  static AvLog* owner(void* context) {
    if (current() != nullptr) return current();
    if (context == nullptr || *static_cast<AVClass**>(context) != avcodec_get_class()) return nullptr;
    void* claimed = static_cast<AVCodecContext*>(context)->opaque;
    const auto found = std::find(living().begin(), living().end(), claimed);
    return found == living().end() ? nullptr : *found;
  }

  static void receive(void* context, int level, const char* format, std::va_list arguments) {
    {
      const std::lock_guard lock(mutex());
      if (AvLog* log = owner(context)) {
        if (level <= AV_LOG_ERROR) log->keep(format, arguments);
        return;
      }
    }
    av_log_default_callback(context, level, format, arguments);
  }

  void keep(const char* format, std::va_list arguments) {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    last_ = line;
    while (!last_.empty() && (last_.back() == '\n' || last_.back() == ' ')) last_.pop_back();
  }

  std::string last_;
};

}  // namespace caprl::detail
