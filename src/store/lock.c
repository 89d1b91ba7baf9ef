/* store/lock.c -- one job in a run directory.
 *
 * The lock is a small JSON file that names its holder; the time of its last
 * change is the holder's sign of life, renewed every few seconds by a thread.
 * It is stale when its process was on this host and is gone (the number may
 * have gone to another process since: its start time tells), when it was this
 * very job before the scheduler restarted it, or when a holder on another host
 * has given no sign of life for a while.  That one may only have been asleep:
 * so a holder looks whether the lock is still his before he publishes anything
 * (store_run_mine), and the thread looks for him meanwhile.
 *
 * Whoever replaces a stale lock holds the directory's flock meanwhile, so that
 * two cannot replace it at once.
 */
#define _GNU_SOURCE
#include "store/file_impl.h"
#include "store/record_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct holder {
  char host[256], job[64];
  int64_t pid, start, restart;
  char token[96]; /* of this lock alone */
  bool known;     /* the file could be read */
};

struct store_lock {
  char *path, *dir;
  struct holder self;
  int fd; /* of the file, for signs of life */
  pthread_t thread;
  bool running;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  bool closing;     /* under mutex */
  atomic_bool lost; /* another has it */
};

static double beat_s = 5, watch_s = 30;

void
store_lock_times (double beat, double watch)
{
  beat_s = beat;
  watch_s = watch;
}

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
    return -1; /* dead, but nobody has asked how it ended */
  for (int field = 2; p && field < 22; field++)
    p = strchr (p + 1, ' ');
  return p ? strtoll (p, NULL, 10) : 0;
}

static void
holder_self (struct holder *h)
{
  const char *job = getenv ("SLURM_JOB_ID");
  const char *restart = getenv ("SLURM_RESTART_COUNT");
  static int turn;
  *h = (struct holder){.known = true, .pid = getpid ()};
  gethostname (h->host, sizeof h->host - 1);
  snprintf (h->job, sizeof h->job, "%s", job ? job : "");
  if (!restart || !text_to_long (restart, &h->restart))
    h->restart = 0;
  h->start = process_start (h->pid);
  snprintf (h->token, sizeof h->token, "%.40s:%lld:%.6f:%d", h->host,
            (long long)h->pid, clock_wall_s (), turn++);
}

static void
holder_read (const char *path, struct holder *h)
{
  *h = (struct holder){0};
  json_t *j = json_load_file (path, 0, NULL);
  const char *host = json_string_value (json_object_get (j, "host"));
  const char *job = json_string_value (json_object_get (j, "job"));
  const char *token = json_string_value (json_object_get (j, "token"));
  if (host) {
    h->known = true;
    snprintf (h->host, sizeof h->host, "%s", host);
    snprintf (h->job, sizeof h->job, "%s", job ? job : "");
    snprintf (h->token, sizeof h->token, "%s", token ? token : "");
    h->pid = json_integer_value (json_object_get (j, "pid"));
    h->start = json_integer_value (json_object_get (j, "start"));
    h->restart = json_integer_value (json_object_get (j, "restart"));
  }
  json_decref (j);
}

/* "process 17 on host n1, job 4711, restart 2"; the buffer is the function's.
 */
static const char *
holder_text (const struct holder *h)
{
  static char words[512];
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

enum life { ALIVE, GONE, SILENT /* nobody here can tell but by waiting */ };

bool
store_process_lives (int64_t pid, int64_t start)
{
  if (pid <= 0 || (kill ((pid_t)pid, 0) != 0 && errno == ESRCH))
    return false;
  int64_t now = process_start (pid);
  return start == 0 || now == 0 || start == now;
}

static enum life
holder_life (const struct holder *h, const struct holder *self)
{
  if (!h->known)
    return ALIVE;
  bool same_job = self->job[0] && strcmp (h->job, self->job) == 0;
  if (same_job && h->restart != self->restart)
    return h->restart < self->restart ? GONE : ALIVE;
  if (strcmp (h->host, self->host) != 0 || h->pid <= 0)
    return SILENT;
  return store_process_lives (h->pid, h->start) ? ALIVE : GONE;
}

/* Time of the last change of a file by the file system's own clock, s; opened
 * anew, so that a network file system asks its server. */
static double
changed_s (const char *path)
{
  struct stat st;
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  double s = -1;
  if (fd >= 0 && fstat (fd, &st) == 0)
    s = (double)st.st_mtim.tv_sec + 1e-9 * (double)st.st_mtim.tv_nsec;
  if (fd >= 0)
    close (fd);
  return s;
}

/* What that clock says now: a file made for the purpose. */
static double
file_clock_s (const char *dir)
{
  char path[1200];
  snprintf (path, sizeof path, "%s/clock.%ld.part", dir, (long)getpid ());
  int fd = open (path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0)
    return -1;
  close (fd);
  double s = changed_s (path);
  unlink (path);
  return s;
}

/* Watch the lock of a holder elsewhere until it changes, or has not for long
 * enough. */
static enum life
watch (const char *dir, const char *path, const struct holder *h)
{
  double last = changed_s (path), now = file_clock_s (dir);
  if (last < 0)
    return GONE; /* released meanwhile */
  double left = watch_s;
  if (now > 0 && now > last)
    left -= now - last;
  if (left <= 0)
    return GONE;
  say (LOG_INFO,
       "%s: held by %s; waiting up to %.0f s for a sign of life of it", dir,
       holder_text (h), left);
  double end = clock_now_s () + left;
  while (clock_now_s () < end) {
    usleep (100000);
    double at = changed_s (path);
    if (at < 0)
      return GONE;
    if (at != last)
      return ALIVE;
  }
  return GONE;
}

/* -- taking ---------------------------------------------------------------- */

static int
write_holder (int fd, const struct holder *h)
{
  json_t *j = json_pack ("{s:s, s:I, s:s, s:I, s:I, s:f, s:s}", "host", h->host,
                         "pid", (json_int_t)h->pid, "job", h->job, "restart",
                         (json_int_t)h->restart, "start", (json_int_t)h->start,
                         "time", clock_wall_s (), "token", h->token);
  errno = 0;
  int error = 0;
  if (!j || json_dumpfd (j, fd, JSON_INDENT (2)) != 0)
    error = errno ? errno : EIO;
  json_decref (j);
  return error;
}

/* 0 when written, else errno.  Written beside and linked, so that a lock is
 * never half there; where links are missing it is made in place. */
static int
lock_write (const char *path, const struct holder *h)
{
  struct text part;
  text_init (&part);
  text_add (&part, "%s.%.40s.%lld.part", path, h->host, (long long)h->pid);
  int error = 0;
  int fd = open (part.data, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
  if (fd < 0 || (error = write_holder (fd, h)) != 0)
    error = error ? error : errno;
  if (fd >= 0 && close (fd) != 0 && error == 0)
    error = errno;
  if (error == 0 && link (part.data, path) != 0)
    error = errno;
  if (fd >= 0)
    unlink (part.data);
  text_clear (&part);
  if (error != EPERM && error != EOPNOTSUPP && error != ENOSYS)
    return error;
  fd = open (path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  if (fd < 0)
    return errno;
  error = write_holder (fd, h);
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
               "%s: in use by %s; when that one is gone, remove the lock: "
               "rm %s",
               dir, holder_text (h), path);
}

/* The lock is written by self, or *other has it. */
static enum status
lock_try (const char *dir, const char *path, const struct holder *self,
          bool waited, struct holder *other, enum life *life)
{
  int error = lock_write (path, self);
  *life = GONE;
  if (error == EEXIST) {
    struct holder before = *other;
    holder_read (path, other);
    *life = holder_life (other, self);
    if (*life == SILENT && waited && !strcmp (before.token, other->token))
      *life = GONE;
    if (*life != GONE)
      return OK;
    tell (LOG_INFO, "%s: replaced the lock of %s, which is gone", dir,
          holder_text (other));
    unlink (path);
    error = lock_write (path, self);
  }
  if (error != 0)
    return fail (E_IO, "%s: not written: %s", path, strerror (error));
  return OK;
}

static enum status
lock_locked (const char *dir, const char *path, const struct holder *self,
             bool waited, struct holder *other, enum life *life)
{
  int fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* Where flock is missing, O_EXCL alone still keeps two starts apart. */
  if (fd >= 0)
    (void)flock (fd, LOCK_EX);
  enum status s = lock_try (dir, path, self, waited, other, life);
  if (fd >= 0)
    close (fd);
  return s;
}

static enum status
take (const char *dir, const char *path, const struct holder *self)
{
  struct holder other = {0};
  enum life life;
  TRY (lock_locked (dir, path, self, false, &other, &life));
  if (life == SILENT) {
    if (watch (dir, path, &other) == ALIVE)
      return lock_refused (dir, path, &other);
    TRY (lock_locked (dir, path, self, true, &other, &life));
  }
  return life == GONE ? OK : lock_refused (dir, path, &other);
}

/* -- holding --------------------------------------------------------------- */

/* Read again a few times: a network file system may be slow to answer. */
static enum status
who_has_it (const struct store_lock *l, struct holder *now, bool *there)
{
  *there = true;
  for (int i = 0; i < 3; i++) {
    holder_read (l->path, now);
    if (now->known)
      return OK;
    if (access (l->path, F_OK) != 0 && errno == ENOENT) {
      *there = false;
      return OK;
    }
    usleep (100000);
  }
  return fail (E_IO, "%s: cannot be read any more: %s", l->path,
               strerror (errno));
}

enum status
store_lock_mine (const struct store_lock *l)
{
  struct holder now;
  bool there;
  TRY (who_has_it (l, &now, &there));
  if (!there)
    return fail (E_USAGE,
                 "%s: our lock is gone: another start took this directory "
                 "over, or somebody removed %s; nothing more is published here",
                 l->dir, l->path);
  if (strcmp (now.token, l->self.token) != 0)
    return fail (E_USAGE,
                 "%s: taken over by %s, because this start seemed to be gone; "
                 "nothing more is published by this one",
                 l->dir, holder_text (&now));
  return OK;
}

bool
store_lock_lost (const struct store_lock *l)
{
  return atomic_load (&l->lost);
}

/* Signs of life until closing; and whether the lock is still ours. */
static void *
beat (void *context)
{
  struct store_lock *l = context;
  pthread_mutex_lock (&l->mutex);
  while (!l->closing) {
    struct timespec until;
    clock_gettime (CLOCK_REALTIME, &until);
    double at = (double)until.tv_sec + 1e-9 * (double)until.tv_nsec + beat_s;
    until.tv_sec = (time_t)at;
    until.tv_nsec = (long)(1e9 * (at - (double)until.tv_sec));
    pthread_cond_timedwait (&l->wake, &l->mutex, &until);
    if (l->closing)
      break;
    pthread_mutex_unlock (&l->mutex);
    (void)futimens (l->fd, NULL);
    if (store_lock_mine (l) == E_USAGE)
      atomic_store (&l->lost, true);
    fail_clear ();
    pthread_mutex_lock (&l->mutex);
  }
  pthread_mutex_unlock (&l->mutex);
  return NULL;
}

/* Signals are for the other threads. */
static enum status
start_beating (struct store_lock *l)
{
  sigset_t all, before;
  pthread_mutex_init (&l->mutex, NULL);
  pthread_cond_init (&l->wake, NULL);
  l->fd = open (l->path, O_RDWR | O_CLOEXEC);
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  int error = pthread_create (&l->thread, NULL, beat, l);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  l->running = error == 0;
  if (error != 0)
    return fail (E_MEMORY, "%s: no thread for the lock: %s", l->dir,
                 strerror (error));
  return OK;
}

enum status
store_lock_take (const char *dir, struct store_lock **out)
{
  struct store_lock *l = NULL;
  struct text path;
  TRY (MEM_NEW (1, &l, "lock"));
  l->fd = -1;
  holder_self (&l->self);
  text_init (&path);
  text_add (&path, "%s/lock", dir);
  enum status s = mem_text (path.data, &l->path);
  text_clear (&path);
  if (s == OK)
    s = mem_text (dir, &l->dir);
  if (s == OK)
    s = take (dir, l->path, &l->self);
  if (s != OK) {
    mem_free (&l->path);
    mem_free (&l->dir);
    mem_free (&l);
    return s;
  }
  s = start_beating (l);
  if (s != OK)
    store_lock_release (&l);
  else
    *out = l;
  return s;
}

void
store_lock_release (struct store_lock **out)
{
  struct store_lock *l = *out;
  if (!l)
    return;
  if (l->running) {
    pthread_mutex_lock (&l->mutex);
    l->closing = true;
    pthread_cond_signal (&l->wake);
    pthread_mutex_unlock (&l->mutex);
    pthread_join (l->thread, NULL);
  }
  pthread_cond_destroy (&l->wake);
  pthread_mutex_destroy (&l->mutex);
  if (store_lock_mine (l) == OK)
    unlink (l->path);
  else
    fail_clear ();
  if (l->fd >= 0)
    close (l->fd);
  mem_free (&l->path);
  mem_free (&l->dir);
  mem_free (out);
}
