// share_pages CHILDREN MB: the children share MB megabytes with their parent by copy on write. A
// guard that adds up RSS would see CHILDREN + 1 times as much as there is. Ends well after 300 ms.
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
      _exit(static_cast<char*>(memory)[bytes / 2] == 1 ? 0 : 1);
    }
  }
  while (wait(nullptr) > 0) {
  }
  return 0;
}
