#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include "caprl/media/image.hpp"
#include "support/skipped.hpp"

/// What a command prints.
inline std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  char part[4096];
  for (std::size_t got = 1; got > 0;) {
    got = std::fread(part, 1, sizeof part, pipe.get());
    text.append(part, got);
  }
  return text;
}

/// False, and reported, where the programs are absent.
inline bool have_ffmpeg() {
  static const bool found = std::system("ffmpeg -version >/dev/null 2>&1 && ffprobe -version >/dev/null 2>&1") == 0;
  if (!found) report_skipped("the programs ffmpeg and ffprobe");
  return found;
}

/// Of Debian's opencv-doc. False, and reported, where it is absent.
inline bool have_found_file(const std::filesystem::path& path) {
  const bool found = std::filesystem::exists(path);
  if (!found) report_skipped(path.string() + " of Debian's opencv-doc");
  return found;
}

/// The presentation times of all frames by ffprobe, which decodes them.
inline std::vector<double> ffprobe_times(const std::string& path) {
  const std::string text = output_of(
      "ffprobe -v error -select_streams v:0 -show_entries frame=best_effort_timestamp_time -of default=nw=1:nk=1 '" +
      path + "' 2>/dev/null");
  std::vector<double> times;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    if (end > at) times.push_back(std::strtod(text.c_str() + at, nullptr));
    at = end == std::string::npos ? text.size() : end + 1;
  }
  return times;
}

/// A folder of clips made by ffmpeg, removed at the end.
class VideoFiles {
 public:
  VideoFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "caprl_video_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
  }
  ~VideoFiles() { std::filesystem::remove_all(folder_); }
  VideoFiles(const VideoFiles&) = delete;
  VideoFiles& operator=(const VideoFiles&) = delete;

  std::string make(const std::string& name, const std::string& arguments) const {
    const std::string path = folder_ + "/" + name;
    const std::string command = "ffmpeg -v error -y -nostdin " + arguments + " '" + path + "' 2>/dev/null";
    if (std::system(command.c_str()) != 0) throw std::runtime_error("this failed: " + command);
    return path;
  }

  std::string write(const std::string& name, const std::string& content) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  /// The first part of a file.
  std::string cut(const std::string& path, double share) const {
    const std::string whole = read(path);
    return write("cut_" + std::filesystem::path(path).filename().string(),
                 whole.substr(0, static_cast<std::size_t>(static_cast<double>(whole.size()) * share)));
  }

  /// The file with 60 bytes of its last three quarters changed.
  std::string damage(const std::string& path, int seed) const {
    std::string bytes = read(path);
    std::size_t state = static_cast<std::size_t>(seed) * 7919 + 12345;
    for (int i = 0; i < 60; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const std::size_t at = bytes.size() / 4 + (state >> 20) % (bytes.size() * 3 / 4);
      bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1 + (state >> 12) % 200));
    }
    return write("damaged.mp4", bytes);
  }

  std::string unpack(const std::string& packed, const std::string& name) const {
    const std::string path = folder_ + "/" + name;
    if (std::system(("zcat '" + packed + "' > '" + path + "'").c_str()) != 0)
      throw std::runtime_error("cannot unpack " + packed);
    return path;
  }

  /// One frame as ffmpeg's command line shows it.
  caprl::Image ffmpeg_frame(const std::string& path, caprl::Index number, caprl::ImageSize size) const {
    const std::string raw =
        output_of("ffmpeg -v error -nostdin -i '" + path + "' -vf \"select='eq(n," + std::to_string(number) +
                  ")',scale=" + std::to_string(size.width) + ":" + std::to_string(size.height) +
                  ":flags=bicubic+accurate_rnd+full_chroma_int\" -frames:v 1 -f rawvideo -pix_fmt rgb24 - 2>/dev/null");
    caprl::Image image(size.height, size.width);
    if (raw.size() != image.rgb.size()) throw std::runtime_error("no such frame in " + path);
    image.rgb.assign(raw.begin(), raw.end());
    return image;
  }

 private:
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  std::string folder_;
};
