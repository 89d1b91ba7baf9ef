/* store/lock.c -- one job in a run directory.
 *
 * The lock is a small JSON file that names its holder.  It is stale when its
 * process was on this host and is gone (the number may have gone to another
 * process since: its start time tells), or when it was this very job before the
 * scheduler restarted it.  A holder on another host cannot be asked, so he is
 * believed.  Whoever replaces a stale lock holds the directory's flock
 * meanwhile, so that two cannot replace it at once.
 */
#include "store/file_impl.h"
#include "store/record_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct holder {
  char host[256], job[64];
  int64_t pid, start, restart;
  bool known; /* the file could be read */
};

/* Start time of a process in clock ticks since boot, 0 when it cannot be told:
 * field 22 of its stat, counted behind the name, which may hold blanks. */
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
  for (int field = 2; p && field < 22; field++)
    p = strchr (p + 1, ' ');
  return p ? strtoll (p, NULL, 10) : 0;
}

static void
holder_self (struct holder *h)
{
  const char *job = getenv ("SLURM_JOB_ID");
  const char *restart = getenv ("SLURM_RESTART_COUNT");
  *h = (struct holder){.known = true, .pid = getpid ()};
  gethostname (h->host, sizeof h->host - 1);
  snprintf (h->job, sizeof h->job, "%s", job ? job : "");
  if (!restart || !text_to_long (restart, &h->restart))
    h->restart = 0;
  h->start = process_start (h->pid);
}

static void
holder_read (const char *path, struct holder *h)
{
  *h = (struct holder){0};
  json_t *j = json_load_file (path, 0, NULL);
  const char *host = json_string_value (json_object_get (j, "host"));
  const char *job = json_string_value (json_object_get (j, "job"));
  if (host) {
    h->known = true;
    snprintf (h->host, sizeof h->host, "%s", host);
    snprintf (h->job, sizeof h->job, "%s", job ? job : "");
    h->pid = json_integer_value (json_object_get (j, "pid"));
    h->start = json_integer_value (json_object_get (j, "start"));
    h->restart = json_integer_value (json_object_get (j, "restart"));
  }
  json_decref (j);
}

static bool
holder_is_gone (const struct holder *h, const struct holder *self)
{
  if (!h->known)
    return false;
  if (self->job[0] && strcmp (h->job, self->job) == 0 &&
      h->restart < self->restart)
    return true;
  if (strcmp (h->host, self->host) != 0 || h->pid <= 0)
    return false;
  if (kill ((pid_t)h->pid, 0) != 0 && errno == ESRCH)
    return true;
  int64_t start = process_start (h->pid);
  return h->start != 0 && start != 0 && h->start != start;
}

/* 0 when written, else errno. */
static int
lock_write (const char *path, const struct holder *h)
{
  int fd = open (path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  if (fd < 0)
    return errno;
  json_t *j = json_pack ("{s:s, s:I, s:s, s:I, s:I, s:f}", "host", h->host,
                         "pid", (json_int_t)h->pid, "job", h->job, "restart",
                         (json_int_t)h->restart, "start", (json_int_t)h->start,
                         "time", clock_wall_s ());
  errno = 0;
  int error = 0;
  if (!j || json_dumpfd (j, fd, JSON_INDENT (2)) != 0)
    error = errno ? errno : EIO;
  json_decref (j);
  if (close (fd) != 0 && error == 0)
    error = errno;
  if (error != 0)
    unlink (path);
  return error;
}

static enum status
lock_refused (const char *dir, const char *path, const struct holder *h)
{
  if (!h->known)
    return fail (E_USAGE,
                 "%s: in use: %s is there but names nobody; when no job runs "
                 "here, remove it: rm %s",
                 dir, path, path);
  return fail (E_USAGE,
               "%s: in use by process %lld on host %s%s%s; when that one is "
               "gone, remove the lock: rm %s",
               dir, (long long)h->pid, h->host, h->job[0] ? ", job " : "",
               h->job, path);
}

static enum status
lock_try (const char *dir, const char *path)
{
  struct holder self, other;
  holder_self (&self);
  int error = lock_write (path, &self);
  if (error == EEXIST) {
    holder_read (path, &other);
    if (!holder_is_gone (&other, &self))
      return lock_refused (dir, path, &other);
    tell (LOG_INFO,
          "%s: replaced the lock of process %lld on %s, which is "
          "gone",
          dir, (long long)other.pid, other.host);
    unlink (path);
    error = lock_write (path, &self);
  }
  if (error != 0)
    return fail (E_IO, "%s: not written: %s", path, strerror (error));
  return OK;
}

enum status
store_lock_take (const char *dir)
{
  struct text path;
  text_init (&path);
  text_add (&path, "%s/lock", dir);
  int fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* Where flock is missing, O_EXCL alone still keeps two starts apart. */
  if (fd >= 0)
    (void)flock (fd, LOCK_EX);
  enum status s = lock_try (dir, path.data);
  if (fd >= 0)
    close (fd);
  text_clear (&path);
  return s;
}

void
store_lock_release (const char *dir)
{
  struct text path;
  text_init (&path);
  text_add (&path, "%s/lock", dir);
  unlink (path.data);
  text_clear (&path);
}
