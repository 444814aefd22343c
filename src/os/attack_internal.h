#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "os/attack.h"

// The attacks, by file. Each is bounded in time and in what it takes, so that it harms no host
// whose safeguards do not hold. The values are their arguments; nothing of them is shared.
namespace keisei::os::attack {

struct Arguments {
  const char* self;    ///< this program's path
  const char* cookie;  ///< for whatever is started, so that it can be found
  int count;
  char** values;

  [[nodiscard]] const char* text(int index) const { return index < count ? values[index] : ""; }
  [[nodiscard]] int64_t number(int index) const;
};

/// Ends this process after some seconds, whatever happens; not inherited by a fork.
void bound_life();
void pause_ms(int64_t ms);
[[nodiscard]] int64_t now_ns();
/// The sentence on stderr, then the code.
[[gnu::format(printf, 2, 3)]] int say(int code, const char* format, ...);
/// fork() with the child's life bounded.
[[nodiscard]] pid_t fork_bounded();
/// A page that forks share, zeroed.
[[nodiscard]] void* shared_page();

// attack_memory.cc
int leak(const Arguments& arguments);
int children_hold(const Arguments& arguments);
int hoard_memfd(const Arguments& arguments);
int map_shared(const Arguments& arguments);

// attack_lifetime.cc
int spin(const Arguments& arguments);
int stop(const Arguments& arguments);
int burn(const Arguments& arguments);
int daemons(const Arguments& arguments);
int kill_init(const Arguments& arguments);
int kill_supervisor(const Arguments& arguments);
int linger(const Arguments& arguments);

// attack_tasks.cc
int fork_bomb(const Arguments& arguments);
int threads(const Arguments& arguments);

// attack_training.cc
int train(const Arguments& arguments);

// attack_escape.cc
int escape(const Arguments& arguments);
int write_outside(const Arguments& arguments);
int large_file(const Arguments& arguments);
int fill_scratch(const Arguments& arguments);
int inspect(const Arguments& arguments);

}  // namespace keisei::os::attack
