#include "program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <charconv>
#include <thread>

#include "base/file.h"
#include "base/unique_fd.h"
#include "os/program.h"

namespace keisei::tests {

namespace fs = std::filesystem;

TestDirectory::TestDirectory() {
  std::string pattern = (fs::temp_directory_path() / "keisei-test-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}

TestDirectory::~TestDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

namespace {

fs::path fresh_file(const fs::path& directory, const char* what) {
  for (int number = 0;; ++number) {
    fs::path file = directory / fmt::format("{}-{}.txt", what, number);
    if (!fs::exists(file)) {
      return file;
    }
  }
}

UniqueFd create(const fs::path& file) {
  return UniqueFd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
}

}  // namespace

Program::Program(const std::string& name, std::vector<std::string> arguments,
                 const fs::path& directory, const std::optional<fs::path>& out_file)
    : out_(out_file.value_or(fresh_file(directory, "out"))), err_(fresh_file(directory, "err")) {
  const UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd out = create(out_);
  const UniqueFd err = create(err_);
  std::vector<std::string> argv{std::string(KEISEI_BIN) + "/" + name};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  auto child = os::Child::spawn({.argv = std::move(argv),
                                 .environment = os::current_environment(),
                                 .fds = {{in.get(), 0}, {out.get(), 1}, {err.get(), 2}},
                                 .own_process_group = true});
  if (!child) {
    throw std::runtime_error(child.error().message);
  }
  child_ = std::move(*child);
}

std::optional<os::ExitStatus> Program::wait(std::chrono::seconds limit) {
  pollfd ended{child_->pidfd(), POLLIN, 0};
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(limit);
  if (::poll(&ended, 1, static_cast<int>(milliseconds.count())) <= 0) {
    return std::nullopt;
  }
  return child_->wait();
}

std::string Program::out() const { return read_file(out_).value_or(""); }
std::string Program::err() const { return read_file(err_).value_or(""); }

bool Program::wait_for_err(const std::string& text, std::chrono::seconds limit) const {
  return wait_until([&] { return err().find(text) != std::string::npos; }, limit);
}

std::vector<int> processes_with(const std::string& text) {
  std::vector<int> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    int pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc{}) {
      continue;
    }
    const std::string line = read_file(entry.path() / "cmdline").value_or("");
    const std::string program = fs::read_symlink(entry.path() / "exe", error).string();
    if (line.find(text) != std::string::npos || program.find(text) != std::string::npos) {
      found.push_back(pid);
    }
  }
  return found;
}

void pause_briefly() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

}  // namespace keisei::tests
