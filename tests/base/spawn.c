/* ranks: 0 */
/* tests/base/spawn.c -- other programs: found, started, waited for, listened
 * to.
 */
#include "base/memory.h"
#include "base/spawn.h"
#include "tests/scratch.h"
#include "tests/tap.h"
#include <fcntl.h>
#include <signal.h>

static void
test_read (void)
{
  static const char *const say[] = {"sh", "-c", "echo a b; exit 3", NULL};
  static const char *const none[] = {"/no/such/program", NULL};
  static const char *const much[] = {
      "sh", "-c", "dd if=/dev/zero bs=65536 count=40 2>&1 | tr '\\0' x", NULL};
  static const char *const killed[] = {"sh", "-c", "kill -9 $$", NULL};
  char *out = NULL;
  int code = -1;
  enum status e = spawn_read (say, true, &out, &code);
  tap_ok (e == OK && code == 3 && strcmp (out, "a b\n") == 0,
          "a program's output and code");
  mem_free (&out);
  e = spawn_read (none, true, &out, &code);
  tap_ok (e == OK && code == 127 && out[0] == '\0',
          "a program that is not there");
  mem_free (&out);
  e = spawn_read (much, true, &out, &code);
  tap_ok (e == OK && code == 0 && strlen (out) == 1 << 20,
          "a program of many words is heard to its end");
  mem_free (&out);
  e = spawn_read (killed, true, &out, &code);
  tap_ok (e == OK && code == 128, "one that a signal ends");
  mem_free (&out);
}

static void
count (void *context)
{
  ++*(int *)context;
}

static void
test_start (void)
{
  static const char *const words[] = {
      "sh", "-c", "cat; echo here; echo there >&2; sleep 0.1; kill -15 $$",
      NULL};
  static const char *const none[] = {"/no/such/program", NULL};
  const char *err = scratch ("err");
  char text[16] = "";
  pid_t child;
  struct spawn_end end = {0, 0};
  int calls = 0;
  bool good = spawn_start (words, NULL, err, &child) == 0 &&
              spawn_wait (child, count, &calls, &end);
  int fd = open (err, O_RDONLY | O_CLOEXEC);
  tap_ok (good && end.signal == SIGTERM && end.code == 0 && calls > 1 &&
              read (fd, text, sizeof text - 1) == 6 &&
              strcmp (text, "there\n") == 0,
          "errors in a file, nothing to read, the signal that ended it");
  close (fd);
  tap_ok (!spawn_wait (child, NULL, NULL, &end), "it is waited for once");
  tap_ok (spawn_start (none, NULL, err, &child) != 0, "it is not there");
  tap_ok (spawn_found ("sh") && !spawn_found ("no-such-program"),
          "programs on PATH");
}

static unsigned
leave_word (void)
{
  static unsigned times;
  return 4711 + times++;
}

static void
test_ask (void)
{
  unsigned first = 0, again = 0;
  tap_ok (spawn_ask (leave_word, &first) && spawn_ask (leave_word, &again) &&
              first == 4711 && again == 4711,
          "what a copy of the process answers leaves this one as it was");
}

int
main (void)
{
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  test_read ();
  test_start ();
  test_ask ();
  scratch_close ();
  tap_ok (mem_leaks () == 0, "nothing is left");
  return tap_done ();
}
