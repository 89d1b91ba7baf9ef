/* base/spawn.c -- starting other programs, and waiting for them. */
#define _GNU_SOURCE /* pipe2 */
#include "base/spawn.h"

#include "base/memory.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEEP (1u << 20) /* bytes of output */

extern char **environ;

bool
spawn_found (const char *program)
{
  const char *path = getenv ("PATH");
  bool found = false;
  while (path && *path && !found) {
    size_t n = strcspn (path, ":");
    struct text t;
    text_init (&t);
    text_add (&t, "%.*s/%s", (int)n, path, program);
    found = access (t.data, X_OK) == 0;
    text_clear (&t);
    path += n + (path[n] == ':');
  }
  return found;
}

/* Takes the actions for its other two descriptors.  The program hears all
 * signals, whatever this thread blocks (base/signals.h). */
static int
start (const char *const *argv, posix_spawn_file_actions_t *files, pid_t *child)
{
  posix_spawnattr_t how;
  sigset_t none;
  sigemptyset (&none);
  posix_spawnattr_init (&how);
  posix_spawnattr_setsigmask (&how, &none);
  posix_spawnattr_setflags (&how, POSIX_SPAWN_SETSIGMASK);
  posix_spawn_file_actions_addopen (files, STDIN_FILENO, "/dev/null", O_RDONLY,
                                    0);
  int error =
      posix_spawnp (child, argv[0], files, &how, (char *const *)argv, environ);
  posix_spawn_file_actions_destroy (files);
  posix_spawnattr_destroy (&how);
  return error;
}

int
spawn_start (const char *const *argv, const char *out, const char *err,
             pid_t *child)
{
  const int how = O_CREAT | O_WRONLY | O_TRUNC;
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init (&files);
  posix_spawn_file_actions_addopen (&files, STDOUT_FILENO,
                                    out ? out : "/dev/null", how, 0666);
  posix_spawn_file_actions_addopen (&files, STDERR_FILENO, err, how, 0666);
  return start (argv, &files, child);
}

bool
spawn_wait (pid_t child, void (*meanwhile) (void *context), void *context,
            struct spawn_end *end)
{
  struct timespec nap = {.tv_nsec = 1000000};
  int state = 0;
  pid_t got;
  while ((got = waitpid (child, &state, meanwhile ? WNOHANG : 0)) == 0 ||
         (got < 0 && errno == EINTR)) {
    if (!meanwhile)
      continue;
    meanwhile (context);
    nanosleep (&nap, NULL);
    if (nap.tv_nsec < 200000000) /* short ones are not kept waiting */
      nap.tv_nsec *= 2;
  }
  *end = (struct spawn_end){WIFEXITED (state) ? WEXITSTATUS (state) : 0,
                            WIFSIGNALED (state) ? WTERMSIG (state) : 0};
  return got > 0;
}

/* Bytes read until room is full or the end has come. */
static size_t
read_all (int fd, void *out, size_t room)
{
  size_t size = 0;
  ssize_t n = 1;
  while (size < room && n != 0) {
    n = read (fd, (char *)out + size, room - size);
    if (n < 0 && errno != EINTR)
      break;
    size += n > 0 ? (size_t)n : 0;
  }
  return size;
}

static enum status
read_text (int fd, char **out)
{
  char *text = NULL, rest[4096];
  TRY (MEM_NEW (KEEP + 1, &text, "output of a program"));
  text[read_all (fd, text, KEEP)] = '\0';
  while (read_all (fd, rest, sizeof rest) > 0) /* it shall not be stopped */
    continue;
  *out = text;
  return OK;
}

enum status
spawn_read (const char *const *argv, bool quiet, char **out, int *code)
{
  int ends[2];
  pid_t child;
  struct spawn_end end;
  *code = 127;
  if (pipe2 (ends, O_CLOEXEC) != 0)
    return fail (E_FAULT, "no pipe: %s", strerror (errno));
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init (&files);
  posix_spawn_file_actions_adddup2 (&files, ends[1], STDOUT_FILENO);
  if (quiet)
    posix_spawn_file_actions_addopen (&files, STDERR_FILENO, "/dev/null",
                                      O_WRONLY, 0);
  int error = start (argv, &files, &child);
  close (ends[1]);
  enum status s = read_text (ends[0], out);
  close (ends[0]);
  if (error == 0 && spawn_wait (child, NULL, NULL, &end))
    *code = end.signal == 0 ? end.code : 128;
  return s;
}

bool
spawn_ask (unsigned (*ask) (void), unsigned *answer)
{
  int ends[2];
  struct spawn_end end;
  if (pipe2 (ends, O_CLOEXEC) != 0)
    return false;
  pid_t child = fork ();
  if (child == 0) {
    unsigned mine = ask ();
    _exit (write (ends[1], &mine, sizeof mine) == sizeof mine ? 0 : 1);
  }
  close (ends[1]);
  bool heard =
      child > 0 && read_all (ends[0], answer, sizeof *answer) == sizeof *answer;
  close (ends[0]);
  if (child > 0)
    spawn_wait (child, NULL, NULL, &end);
  return heard;
}
