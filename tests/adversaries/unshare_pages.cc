// unshare_pages CHILDREN MB: the children share MB megabytes with their parent by copy on write,
// and after 300 ms write to every page. No process's RSS changes by that; the memory in use grows
// by CHILDREN times MB megabytes. Ends well after a second.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
  if (argc < 3) {
    return 2;
  }
  const int children = std::atoi(argv[1]);
  const auto bytes = static_cast<std::size_t>(std::atoi(argv[2])) * 1'000'000;
  void* memory = std::malloc(bytes);
  std::memset(memory, 1, bytes);
  for (int i = 0; i < children; ++i) {
    if (fork() == 0) {
      usleep(300'000);
      std::memset(memory, 2, bytes);
      asm volatile("" : : "r"(memory) : "memory");  // it must really be written
      usleep(700'000);
      _exit(0);
    }
  }
  while (wait(nullptr) > 0) {
  }
  return 0;
}
