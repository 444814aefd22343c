#pragma once

#include <sys/types.h>

#include "os/jail.h"

// The parts of the program keisei-jail. It is static, single-threaded and links nothing of ours.
namespace keisei::os::jail {

struct Setup {
  const JailSpec& spec;
  Containment containment;
  char** argv;  ///< of the command
};

/// Tells the guard which step failed with which errno and exits 125.
[[noreturn]] void die(const char* step);

/// The inner half: limits itself and becomes the command. Never returns.
[[noreturn]] void become_command(const Setup& setup);

/// Shuts what the worker profile forbids: all capabilities and the system calls of the list.
/// Needs no_new_privs.
void apply_worker_policy();

/// Every process below this one, by parent links; sends each `signal`. Returns how many there were.
int signal_descendants(int signal);

}  // namespace keisei::os::jail
