// evaluation_garbage: in the place of keisei-worker, answers the request with what is no report,
// and says that all went well.
#include <unistd.h>

int main() {
  constexpr int kReportFd = 11;  // eval/request.h
  constexpr char kGarbage[] = "{\"keisei_report\": NaN, \x00\xff\n{\"games\":20}\n";
  return write(kReportFd, kGarbage, sizeof kGarbage) == sizeof kGarbage ? 0 : 1;
}
