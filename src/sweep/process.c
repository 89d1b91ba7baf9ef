/* sweep/process.c -- programs of Slurm, run without a shell. */
#define _GNU_SOURCE /* pipe2 */
#include "sweep/sweep_impl.h"

#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEP (1u << 20) /* bytes of output */

extern char **environ;

/* Everything from fd, to the end. */
static enum status
read_all (int fd, char **out)
{
  char *text = NULL;
  size_t size = 0;
  enum status s = MEM_NEW (KEEP + 1, &text, "output of a program");
  if (s != OK)
    return s;
  for (;;) {
    char rest[4096];
    bool full = size == KEEP;
    ssize_t n = full ? read (fd, rest, sizeof rest)
                     : read (fd, text + size, KEEP - size);
    if (n == 0 || (n < 0 && errno != EINTR))
      break;
    if (n > 0 && !full)
      size += (size_t)n;
  }
  text[size] = '\0';
  *out = text;
  return OK;
}

static int
start (const char *const *argv, bool quiet, int out, pid_t *pid)
{
  posix_spawn_file_actions_t a;
  posix_spawn_file_actions_init (&a);
  posix_spawn_file_actions_adddup2 (&a, out, STDOUT_FILENO);
  posix_spawn_file_actions_addopen (&a, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (quiet)
    posix_spawn_file_actions_addopen (&a, STDERR_FILENO, "/dev/null", O_WRONLY,
                                      0);
  int error =
      posix_spawnp (pid, argv[0], &a, NULL, (char *const *)argv, environ);
  posix_spawn_file_actions_destroy (&a);
  return error;
}

enum status
sweep_process (const char *const *argv, bool quiet, char **out, int *code)
{
  int ends[2], how = 0;
  pid_t pid;
  *code = 127;
  if (pipe2 (ends, O_CLOEXEC) != 0)
    return fail (E_FAULT, "no pipe: %s", strerror (errno));
  int error = start (argv, quiet, ends[1], &pid);
  close (ends[1]);
  enum status s = read_all (ends[0], out);
  close (ends[0]);
  if (error != 0)
    return s;
  while (waitpid (pid, &how, 0) < 0 && errno == EINTR)
    ;
  *code = WIFEXITED (how) ? WEXITSTATUS (how) : 128;
  return s;
}
