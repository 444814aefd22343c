// evaluation_garbage: in the place of keisei-worker, answers the request with what is no report and
// says that all went well. What it answers is its own name, since a worker has no arguments: nan,
// truncated, version (of another one), huge (above the cap), none.
#include <errno.h>
#include <string.h>
#include <unistd.h>

namespace {

constexpr int kReportFd = 11;  // eval/request.h
constexpr long kHuge = 24'000'000;

bool answer(const char* text, size_t length) {
  return write(kReportFd, text, length) == static_cast<ssize_t>(length);
}

/// Until nobody takes it any more.
void answer_without_end() {
  static char block[1 << 16];
  memset(block, ' ', sizeof block);
  for (long left = kHuge; left > 0; left -= static_cast<long>(sizeof block)) {
    if (write(kReportFd, block, sizeof block) < 0) {
      return;
    }
  }
}

}  // namespace

int main() {
  constexpr char kNan[] = "{\"keisei_report\": NaN, \x00\xff\n{\"games\":20}\n";
  constexpr char kTruncated[] = "{\"keisei_report\":1,\"id\":1,\"wei";
  constexpr char kVersion[] = "{\"keisei_report\":2,\"id\":1,\"weights\":\"\"}\n";
  const char* name = program_invocation_short_name;
  bool said = strcmp(name, "none") == 0;
  if (strcmp(name, "nan") == 0) {
    said = answer(kNan, sizeof kNan - 1);
  } else if (strcmp(name, "truncated") == 0) {
    said = answer(kTruncated, sizeof kTruncated - 1);
  } else if (strcmp(name, "version") == 0) {
    said = answer(kVersion, sizeof kVersion - 1);
  } else if (strcmp(name, "huge") == 0) {
    answer_without_end();
    said = true;
  }
  return said ? 0 : 1;
}
