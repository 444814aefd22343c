// in_flight: sends full memfds through a local socket and keeps no descriptor of them: while they
// are in flight they stand in no table. Ends well where there is no such socket; otherwise it
// hoards up to 400 MB and waits.
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace {

void send_descriptor(int socket, int fd) {
  char byte = 0;
  iovec data = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  (void)!sendmsg(socket, &message, MSG_DONTWAIT);
}

}  // namespace

int main() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return 0;
  }
  const std::vector<char> block(1 << 20, 'f');
  for (int i = 0; i < 50; ++i) {
    const int fd = memfd_create("in-flight", MFD_CLOEXEC);
    for (int j = 0; j < 8; ++j) {
      (void)!write(fd, block.data(), block.size());
    }
    send_descriptor(pair[0], fd);
    close(fd);
  }
  while (true) {
    pause();
  }
}
