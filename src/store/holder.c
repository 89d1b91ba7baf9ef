/* store/holder.c -- which process holds a run directory, and is it alive?
 *
 * A process number means something only in one PID namespace, on one boot of
 * one kernel: two containers of a machine may have the same host name and each
 * a process 7, and so may two machines.  So a lock names all of these.  If the
 * holder is in another namespace of this kernel, its flock on the lock's file
 * tells: the kernel releases that when the process dies, however it does.
 */
#define _GNU_SOURCE
#include "store/file.h"
#include "store/lock_impl.h"
#include "store/record_impl.h"

#include "base/clock.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A lock is of a few lines. */
enum { MOST_BYTES = 1 << 14 };

/* Start time of a process in clock ticks since boot, 0 when it cannot be told,
 * -1 when it is dead and only its parent has not noticed: field 22 of its stat,
 * counted behind the name, which may hold blanks. */
static int64_t
process_start (int64_t pid)
{
  char path[64], line[1024];
  snprintf (path, sizeof path, "/proc/%lld/stat", (long long)pid);
  FILE *f = fopen (path, "re");
  if (!f)
    return 0;
  size_t n = fread (line, 1, sizeof line - 1, f);
  fclose (f);
  line[n] = '\0';
  char *p = strrchr (line, ')');
  if (p && p[1] && (p[2] == 'Z' || p[2] == 'X'))
    return -1; /* a zombie: dead, but its parent has not asked yet */
  for (int field = 2; p && field < 22; field++)
    p = strchr (p + 1, ' ');
  return p ? strtoll (p, NULL, 10) : 0;
}

/* "" where there is no /proc. */
static void
boot_id (char *out, size_t room)
{
  FILE *f = fopen ("/proc/sys/kernel/random/boot_id", "re");
  out[0] = '\0';
  if (f && !fgets (out, (int)room, f))
    out[0] = '\0';
  if (f)
    fclose (f);
  out[strcspn (out, "\n")] = '\0';
}

int64_t
store_process_space (void)
{
  struct stat st;
  return stat ("/proc/self/ns/pid", &st) == 0 ? (int64_t)st.st_ino : 0;
}

void
holder_self (struct holder *h)
{
  const char *job = getenv ("SLURM_JOB_ID");
  const char *restart = getenv ("SLURM_RESTART_COUNT");
  static atomic_int turn;
  *h = (struct holder){.known = true, .pid = getpid ()};
  gethostname (h->host, sizeof h->host - 1);
  boot_id (h->boot, sizeof h->boot);
  h->space = store_process_space ();
  snprintf (h->job, sizeof h->job, "%s", job ? job : "");
  if (!restart || !text_to_long (restart, &h->restart))
    h->restart = 0;
  h->start = process_start (h->pid);
  snprintf (h->token, sizeof h->token, "%.30s:%.8s:%llx:%lld:%.6f:%d", h->host,
            h->boot, (unsigned long long)h->space, (long long)h->pid,
            clock_wall_s (), atomic_fetch_add (&turn, 1));
}

static void
take_word (const json_t *j, const char *key, char *out, size_t room)
{
  const char *word = json_string_value (json_object_get (j, key));
  snprintf (out, room, "%s", word ? word : "");
}

static void
parse (const char *data, size_t n, struct holder *h)
{
  json_t *j = json_loadb (data, n, 0, NULL);
  h->known = json_string_value (json_object_get (j, "host")) != NULL;
  take_word (j, "host", h->host, sizeof h->host);
  take_word (j, "job", h->job, sizeof h->job);
  take_word (j, "boot", h->boot, sizeof h->boot);
  take_word (j, "token", h->token, sizeof h->token);
  h->pid = json_integer_value (json_object_get (j, "pid"));
  h->start = json_integer_value (json_object_get (j, "start"));
  h->restart = json_integer_value (json_object_get (j, "restart"));
  h->space = json_integer_value (json_object_get (j, "space"));
  h->flock = json_is_true (json_object_get (j, "flock"));
  json_decref (j);
}

enum status
holder_read (const char *path, struct holder *h)
{
  char data[MOST_BYTES];
  struct stat st;
  *h = (struct holder){0};
  int fd =
      open (path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
  bool there = fd >= 0 ? fstat (fd, &st) == 0 : lstat (path, &st) == 0;
  if (fd >= 0 && there && S_ISREG (st.st_mode)) {
    ssize_t n = read (fd, data, sizeof data);
    if (n > 0)
      parse (data, (size_t)n, h);
  }
  if (fd >= 0)
    close (fd);
  if (there && !S_ISREG (st.st_mode))
    return fail (E_USAGE,
                 "%s: is %s, and no lock of a run: move it away, or take "
                 "another run.dir",
                 path, store_file_kind_words (st.st_mode));
  return OK;
}

const char *
holder_text (const struct holder *h)
{
  static _Thread_local char words[512];
  int n = snprintf (words, sizeof words, "process %lld on host %s",
                    (long long)h->pid, h->host);
  if (h->job[0])
    n += snprintf (words + n, sizeof words - (size_t)n, ", job %s", h->job);
  if (h->restart > 0)
    snprintf (words + n, sizeof words - (size_t)n, ", restart %lld",
              (long long)h->restart);
  return words;
}

/* -- is he alive? ---------------------------------------------------------- */

/* Where a start time is known but cannot be compared, the holder may live. */
static bool
process_lives (int64_t pid, int64_t start)
{
  if (pid <= 0 || (kill ((pid_t)pid, 0) != 0 && errno == ESRCH))
    return false;
  int64_t now = process_start (pid);
  return start == 0 || now == 0 || start == now;
}

/* A holder on this kernel, in another namespace: what its flock says. */
static enum life
life_by_flock (const char *path)
{
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? GONE : ALIVE;
  bool free = flock (fd, LOCK_SH | LOCK_NB) == 0;
  close (fd);
  return free ? GONE : ALIVE;
}

enum life
holder_life (const char *path, const struct holder *h,
             const struct holder *self)
{
  if (!h->known)
    return ALIVE;
  bool same_job = self->job[0] && strcmp (h->job, self->job) == 0;
  if (same_job && h->restart != self->restart)
    return h->restart < self->restart ? GONE : ALIVE;
  bool same_host = strcmp (h->host, self->host) == 0;
  bool told = h->boot[0] && self->boot[0] && h->space && self->space;
  if (h->pid <= 0)
    return SILENT;
  if (!told) /* by a program that did not say */
    return !same_host                         ? SILENT
           : process_lives (h->pid, h->start) ? ALIVE
                                              : GONE;
  if (strcmp (h->boot, self->boot) != 0)
    return SILENT; /* another machine, or this one before it went down */
  if (h->space == self->space)
    return process_lives (h->pid, h->start) ? ALIVE : GONE;
  return h->flock ? life_by_flock (path) : ALIVE;
}

/* A holder on another machine counts as gone, for commands that only look, when
 * its lock has not been touched for so many seconds.  A new start waits less,
 * as it watches the lock meanwhile. */
#define SILENT_S 60

bool
store_lock_held (const char *dir, char host[256], char job[64])
{
  struct text path;
  struct holder h, self;
  struct stat st;
  bool held = false;
  text_init (&path);
  text_add (&path, "%s/lock", dir);
  if (holder_read (path.data, &h) != OK)
    fail_clear ();
  if (h.known) {
    /* A job that was restarted may take over its own lock; but this process
     * only looks, and must not pass for the job. */
    holder_self (&self);
    self.job[0] = '\0';
    enum life life = holder_life (path.data, &h, &self);
    held = life == ALIVE || (life == SILENT && stat (path.data, &st) == 0 &&
                             clock_wall_s () - (double)st.st_mtime < SILENT_S);
    snprintf (host, sizeof h.host, "%s", h.host);
    snprintf (job, sizeof h.job, "%s", h.job);
  }
  text_clear (&path);
  return held;
}
