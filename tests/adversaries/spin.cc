// spin [THREADS]: burns CPU in native code for ever, deaf to every polite signal.
#include <csignal>
#include <cstdlib>
#include <thread>

namespace {

[[noreturn]] void burn() {
  while (true) {
    asm volatile("");
  }
}

}  // namespace

int main(int argc, char** argv) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGALRM}) {
    std::signal(signal, SIG_IGN);
  }
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  for (int i = 1; i < threads; ++i) {
    std::thread(burn).detach();
  }
  burn();
}
