// daemon [stay]: leaves children that do everything to get away: double fork, own session, signals
// ignored, environment cleared. Without «stay» the main process then ends well.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace {

void get_away() {
  const pid_t child = fork();
  if (child < 0) {
    _exit(9);  // who leaves nobody behind shows nothing
  }
  if (child != 0) {
    return;
  }
  setsid();
  if (fork() != 0) {
    _exit(0);
  }
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE}) {
    std::signal(signal, SIG_IGN);
  }
  clearenv();
  chdir("/") == 0 ? void() : _exit(1);
  for (int i = 0; i < 1000; ++i) {  // bounded, should a guard fail
    sleep(1);
  }
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 0; i < 5; ++i) {
    get_away();
  }
  usleep(50'000);
  if (argc > 1 && std::strcmp(argv[1], "stay") == 0) {
    sleep(1000);
  }
  return 0;
}
