#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "caprl/core/interrupt.hpp"
#include "caprl/core/log.hpp"
#include "caprl/core/progress.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

TEST_CASE("durations are short to read") {
  CHECK(duration_text(0.4) == "0 s");
  CHECK(duration_text(59.4) == "59 s");
  CHECK(duration_text(185) == "3 min 05 s");
  CHECK(duration_text(7800) == "2 h 10 min");
  CHECK(duration_text(-1) == "?");
}

TEST_CASE("where stdout is no terminal, progress is plain lines at intervals") {
  const TemporaryFolder folder;
  std::FILE* file = std::fopen((folder / "out.txt").c_str(), "w");
  {
    Progress progress("training", 100, 0, {.out = file, .line_every_seconds = 1000});
    for (Index done = 1; done <= 100; ++done) {
      progress.update(done, {{"reward", 0.01 * static_cast<double>(done), 2}, {"tokens/s", 8123.4, 0}});
    }
  }
  std::fclose(file);
  const std::string text = content_of(folder / "out.txt");
  CHECK(text.find("training 1/100  reward 0.01  tokens/s 8123  ") == 0);
  CHECK(text.find("\ntraining 100/100  reward 1.00  tokens/s 8123  done in 0 s\n") != std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("the bar shows the share done, figures that fit, and the time left of what this run did") {
  Progress progress("rl", 100, 50);
  const std::vector<Figure> figures{{"reward", 0.5, 2}, {"accuracy", 0.25, 2}};
  const std::string wide = progress.bar_line(75, figures, 25, 120);
  CHECK(wide.find("75/100  reward 0.50  accuracy 0.25  25 s left") != std::string::npos);
  std::size_t filled = 0;
  for (auto at = wide.find("\u2501"); at != std::string::npos; at = wide.find("\u2501", at + 1)) ++filled;
  CHECK(filled == 15);
  const std::string narrow = progress.bar_line(75, figures, 25, 60);
  CHECK(narrow.find("reward 0.50  25 s left") != std::string::npos);
  CHECK(narrow.find("accuracy") == std::string::npos);
  const std::string narrower = progress.bar_line(75, figures, 25, 50);
  CHECK(narrower.find("\u2501") != std::string::npos);
  CHECK(narrower.find("reward") == std::string::npos);
  CHECK(progress.bar_line(75, figures, 25, 30).find("\u2501") == std::string::npos);
  CHECK(progress.plain_line(50, {}, 3).find("left") == std::string::npos);  // nothing done yet by this run
}

TEST_CASE("the bar is never wider than the terminal, and is cut between characters") {
  const Progress progress("Beschriftung der Büros in São Tomé", 100000, 50);
  const std::vector<Figure> figures{{"reward", 0.5, 2}, {"größte Länge", 0.25, 2}, {"tokens/s", 8120, 0}};
  const auto width = [](const std::string& text) {
    Index characters = 0;
    for (std::size_t at = 0; at < text.size(); ++characters) {
      const auto lead = static_cast<unsigned char>(text[at]);
      REQUIRE((lead < 0x80 || lead >= 0xC0));  // a character begins
      at += lead < 0x80 ? 1 : lead < 0xE0 ? 2 : 3;
      REQUIRE(at <= text.size());  // and is whole
    }
    return characters;
  };
  for (Index columns = 1; columns <= 140; ++columns) {
    CAPTURE(columns);
    CHECK(width(progress.bar_line(75, figures, 25, columns)) <= columns - 1);
  }
  const Index all = width(progress.bar_line(75, figures, 25, 1000));
  CHECK(width(progress.bar_line(75, figures, 25, all + 1)) == all);  // what fits is shown
  CHECK(width(progress.bar_line(75, figures, 25, 20)) == 19);
}

namespace {

/// Runs body in a process of its own and returns its exit status.
template <class Body>
int status_of_child(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

}  // namespace

TEST_CASE("the first interrupt sets a flag, the second ends the process") {
  CHECK(status_of_child([] {
          const InterruptScope scope;
          if (interrupted()) ::_exit(1);
          std::raise(SIGINT);
          ::_exit(interrupted() ? 7 : 2);
        }) == 7);
  CHECK(status_of_child([] {
          const InterruptScope scope;
          std::raise(SIGTERM);
          std::raise(SIGINT);
        }) == 128 + SIGINT);
  CHECK(status_of_child([] {
          std::signal(SIGINT, SIG_DFL);  // not the test program's own handler
          { const InterruptScope scope; }
          std::raise(SIGINT);
        }) == 1000 + SIGINT);
}

TEST_CASE("messages are lines on standard error") {
  const TemporaryFolder folder;
  CHECK(status_of_child([&] {
          if (std::freopen((folder / "err.txt").c_str(), "w", stderr) == nullptr) ::_exit(1);
          log_info("two");
          log_warning("three");
          std::fflush(stderr);
        }) == 0);
  CHECK(content_of(folder / "err.txt") == "two\nwarning: three\n");
}
