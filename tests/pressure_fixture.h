#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/check.h"
#include "base/file.h"

namespace keisei::testing_support {

/// A directory that stands in for /proc: a machine with a pressure of the test's choice.
class PressureFixture {
 public:
  PressureFixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "keisei-proc-XXXXXX").string();
    KEISEI_CHECK(mkdtemp(pattern.data()) != nullptr, "mkdtemp");
    directory_ = pattern;
    std::filesystem::create_directory(directory_ / "pressure");
    waiting_for_memory(0);
    available_mb(8000);
  }
  ~PressureFixture() { std::filesystem::remove_all(directory_); }
  PressureFixture(const PressureFixture&) = delete;
  PressureFixture& operator=(const PressureFixture&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return directory_; }

  void waiting_for_memory(double percent) {
    write("pressure/memory", fmt::format("some avg10={:.2f} avg60=0.00 avg300=0.00 total=0\n"
                                         "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
                                         percent));
  }
  /// Tasks that ran or waited, half of the time without a processor.
  void load(double tasks) {
    write("pressure/cpu", "some avg10=50.00 avg60=0.00 avg300=0.00 total=0\n");
    write("loadavg", fmt::format("{:.2f} 0.00 0.00 1/100 1000\n", tasks));
  }
  void available_mb(std::int64_t megabytes) {
    write("meminfo", fmt::format("MemTotal: 16000000 kB\nMemAvailable: {} kB\n",
                                 megabytes * 1'000'000 / 1024));
  }

 private:
  void write(const char* file, const std::string& text) const {
    KEISEI_CHECK(write_file_atomically(directory_ / file, text).has_value(), "a fixture");
  }

  std::filesystem::path directory_;
};

}  // namespace keisei::testing_support
