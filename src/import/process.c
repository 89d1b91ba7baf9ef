/* import/process.c -- one other program, run to its end. */
#include "import/import_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "store/file.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

bool
import_process_found (const char *program)
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

/* What it said last, without blanks and line breaks at the end. */
static void
last_words (const char *err, char out[512])
{
  char *text = NULL;
  size_t n = 0;
  out[0] = '\0';
  if (store_file_read (err, &text, &n) != OK) {
    fail_clear ();
    return;
  }
  while (n > 0 && strchr (" \n\r\t", text[n - 1]))
    text[--n] = '\0';
  snprintf (out, 512, ": %s", n > 500 ? text + n - 500 : text);
  mem_free (&text);
}

/* Programs say all sorts of things about a full disk, or nothing: a few blocks
 * more tell, in the file of what they said, which is of no use any longer. */
static enum status
check_room (const char *program, const char *err)
{
  static const char zeros[65536];
  FILE *f = fopen (err, "ab");
  bool good = f && fwrite (zeros, sizeof zeros, 1, f) == 1;
  if (f && fclose (f) != 0)
    good = false;
  return good ? OK
              : fail (E_IO, "%s failed, and %s cannot be written: %s", program,
                      err, strerror (errno));
}

static enum status
judge (const char *program, int state, const char *err)
{
  char words[512];
  if (WIFEXITED (state) && WEXITSTATUS (state) == 0)
    return OK;
  last_words (err, words);
  TRY (check_room (program, err));
  if (WIFSIGNALED (state))
    return fail (E_DATA, "%s ended by signal %d%s", program, WTERMSIG (state),
                 words);
  return fail (E_DATA, "%s failed with code %d%s", program, WEXITSTATUS (state),
               words);
}

/* It may take hours and says nothing meanwhile: what grows is shown. */
static pid_t
wait_for (pid_t child, const char *program, const char *out, int *state)
{
  const double start = clock_now_s ();
  struct timespec nap = {.tv_nsec = 1000000};
  for (;;) {
    pid_t got = waitpid (child, state, WNOHANG);
    if (got > 0 || (got < 0 && errno != EINTR))
      return got;
    if (out)
      log_progress ("%s: %s written in %s", program,
                    text_bytes ((double)store_file_bytes (out)),
                    text_seconds (clock_now_s () - start));
    else
      log_progress ("%s: %s", program, text_seconds (clock_now_s () - start));
    nanosleep (&nap, NULL);
    if (nap.tv_nsec < 200000000) /* short ones are not kept waiting */
      nap.tv_nsec *= 2;
  }
}

enum status
import_process_run (const char *const *argv, const char *package,
                    const char *out, const char *err)
{
  if (!import_process_found (argv[0]))
    return fail (E_MISSING,
                 "%s is not on PATH: install SentencePiece's programs (Debian: "
                 "apt install %s)",
                 argv[0], package);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init (&files);
  posix_spawn_file_actions_addopen (&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen (&files, 1, out ? out : "/dev/null",
                                    O_CREAT | O_WRONLY | O_TRUNC, 0666);
  posix_spawn_file_actions_addopen (&files, 2, err,
                                    O_CREAT | O_WRONLY | O_TRUNC, 0666);
  pid_t child;
  int error =
      posix_spawnp (&child, argv[0], &files, NULL, (char **)argv, environ);
  posix_spawn_file_actions_destroy (&files);
  if (error != 0)
    return fail (E_MISSING, "%s: not started: %s", argv[0], strerror (error));
  import_interrupt_child (child);
  int state = 0;
  pid_t got = wait_for (child, argv[0], out, &state);
  import_interrupt_child (0);
  if (got < 0)
    return fail (E_FAULT, "%s: %s", argv[0], strerror (errno));
  return judge (argv[0], state, err);
}
