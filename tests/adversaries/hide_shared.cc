// hide_shared drop|copy|write|tail|pages MB: holds so many megabytes of shared memory, in pieces,
// of which hardly a page is in any page table: dropped from it (the piece keeps it), filled through
// a second mapping that is gone, written with write() to a memfd of which a page is mapped and that
// is then closed, or unmapped but for the first page; pages: dropped, in pieces of a page. Then it
// stays.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kPiece = 4'000'000;
constexpr std::size_t kPage = 4096;

void* map_shared(int fd, std::size_t size) {
  const int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (memory == MAP_FAILED) {
    _exit(3);
  }
  return memory;
}

void hide_written() {
  static const std::vector<char> content(kPiece, 'x');
  const int fd = memfd_create("hidden", MFD_CLOEXEC);
  if (write(fd, content.data(), content.size()) < 0) {
    _exit(4);
  }
  map_shared(fd, kPage);
  close(fd);
}

void hide_pages() {
  for (std::size_t hidden = 0; hidden < kPiece; hidden += kPage) {
    auto* page = static_cast<char*>(map_shared(-1, kPage));
    *page = 1;
    madvise(page, kPage, MADV_DONTNEED);
  }
}

void hide(std::string_view how) {
  if (how == "write") {
    return hide_written();
  }
  if (how == "pages") {
    return hide_pages();
  }
  auto* piece = static_cast<char*>(map_shared(-1, kPiece));
  if (how == "copy") {
    void* second = mremap(piece, 0, kPiece, MREMAP_MAYMOVE);  // of size 0: one more of the same
    std::memset(second, 1, kPiece);
    munmap(second, kPiece);
    return;
  }
  std::memset(piece, 1, kPiece);
  if (how == "drop") {
    madvise(piece, kPiece, MADV_DONTNEED);
  } else {
    munmap(piece + kPage, kPiece - kPage);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    return 2;
  }
  const auto bytes = static_cast<std::size_t>(std::atoi(argv[2])) * 1'000'000;
  for (std::size_t hidden = 0; hidden < bytes; hidden += kPiece) {
    hide(argv[1]);
  }
  for (int i = 0; i < 1000; ++i) {  // bounded, should a guard fail
    sleep(1);
  }
}
