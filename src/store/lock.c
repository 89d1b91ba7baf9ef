/* store/lock.c -- one job in a run directory.
 *
 * The lock is a small JSON file that names its holder.  A thread of the holder
 * touches it every few seconds, to show that the holder is alive.  It is stale
 *   - when its process is gone (holder.c says how that is known),
 *   - when it belongs to this very job, before the scheduler restarted it,
 *   - when a holder on another machine has not touched it for a while.
 * That last one may only have slept.  So a holder checks that the lock is still
 * its own before it publishes anything (store_run_mine), and its thread checks
 * every time.
 *
 * A process that replaces a stale lock holds the directory's flock meanwhile,
 * so that two cannot replace it at once.
 */
#define _GNU_SOURCE
#include "store/lock_impl.h"
#include "store/record_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
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

struct store_lock {
  char *path, *dir;
  struct holder self;
  int fd; /* of the file: for signs of life, and flocked by it */
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

/* -- signs of life of one elsewhere ---------------------------------------- */

/* When a file was last changed, in seconds by the clock of its file system. The
 * file is opened for it, since a network file system asks its server then. */
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

/* What that clock says now: that of a file just made. */
static double
file_clock_s (const char *dir)
{
  char path[1200];
  snprintf (path, sizeof path, "%s/clock.%ld.part", dir, (long)getpid ());
  unlink (path); /* of a process of that number, long ago */
  int fd = open (path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
  if (fd < 0)
    return -1;
  close (fd);
  double s = changed_s (path);
  unlink (path);
  return s;
}

/* Watches the lock of a holder on another machine: if it changes the holder is
 * alive; if not for long enough it counts as gone. */
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
  say (LOG_INFO, "%s: held by %s; waiting up to %.0f s to see whether it lives",
       dir, holder_text (h), left);
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
  json_t *j =
      json_pack ("{s:s, s:I, s:s, s:I, s:I, s:s, s:I, s:b, s:f, s:s}", "host",
                 h->host, "pid", (json_int_t)h->pid, "job", h->job, "restart",
                 (json_int_t)h->restart, "start", (json_int_t)h->start, "boot",
                 h->boot, "space", (json_int_t)h->space, "flock", h->flock,
                 "time", clock_wall_s (), "token", h->token);
  char words[2048];
  size_t n = j ? json_dumpb (j, words, sizeof words, JSON_INDENT (2)) : 0;
  json_decref (j);
  if (n == 0 || n > sizeof words)
    return ENOMEM;
  /* In one piece: Jansson would write every word by itself. */
  for (size_t done = 0; done < n;) {
    ssize_t some = write (fd, words + done, n - done);
    if (some < 0 && errno != EINTR)
      return errno;
    done += some > 0 ? (size_t)some : 0;
  }
  return 0;
}

/* A new file with h in it, flocked where that is possible: *fd keeps it so.  0,
 * or errno and no file. */
static int
make_lock (const char *path, struct holder *h, int *fd)
{
  *fd = open (path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
  if (*fd < 0)
    return errno;
  h->flock = flock (*fd, LOCK_EX | LOCK_NB) == 0;
  int error = write_holder (*fd, h);
  if (error == 0)
    return 0;
  close (*fd);
  *fd = -1;
  unlink (path);
  return error;
}

/* 0 when written, else errno.  Written beside and linked, so that a lock is
 * never half there; where links are missing it is made in place. */
static int
lock_write (const char *path, struct holder *h, int *fd)
{
  struct text part;
  text_init (&part);
  text_add (&part, "%s.%.40s-%.8s-%llx.%lld.part", path, h->host, h->boot,
            (unsigned long long)h->space, (long long)h->pid);
  unlink (part.data); /* of a process of that number, long ago */
  int error = make_lock (part.data, h, fd);
  if (error == 0) {
    if (link (part.data, path) != 0)
      error = errno;
    unlink (part.data);
  }
  text_clear (&part);
  if (error != 0 && *fd >= 0) {
    close (*fd);
    *fd = -1;
  }
  return error == EPERM || error == EOPNOTSUPP || error == ENOSYS
             ? make_lock (path, h, fd)
             : error;
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
lock_try (const char *dir, const char *path, struct holder *self, int *fd,
          bool waited, struct holder *other, enum life *life)
{
  int error = lock_write (path, self, fd);
  *life = GONE;
  if (error == EEXIST) {
    struct holder before = *other;
    TRY (holder_read (path, other));
    *life = holder_life (path, other, self);
    if (*life == SILENT && waited && !strcmp (before.token, other->token))
      *life = GONE;
    if (*life != GONE)
      return OK;
    tell (LOG_INFO, "%s: replaced the lock of %s, which is gone", dir,
          holder_text (other));
    unlink (path);
    error = lock_write (path, self, fd);
  }
  if (error != 0)
    return fail (E_IO, "%s: not written: %s", path, strerror (error));
  return OK;
}

static enum status
lock_locked (struct store_lock *l, bool waited, struct holder *other,
             enum life *life)
{
  int fd = open (l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* Where flock is missing, O_EXCL alone still keeps two starts apart. */
  if (fd >= 0)
    (void)flock (fd, LOCK_EX);
  enum status s =
      lock_try (l->dir, l->path, &l->self, &l->fd, waited, other, life);
  if (fd >= 0)
    close (fd);
  return s;
}

/* Watching a silent holder takes half a minute, so not under the directory's
 * flock: what was found before is looked at again after it. */
static enum status
take (struct store_lock *l)
{
  struct holder other = {0};
  enum life life;
  TRY (lock_locked (l, false, &other, &life));
  if (life == SILENT) {
    if (watch (l->dir, l->path, &other) == ALIVE)
      return lock_refused (l->dir, l->path, &other);
    TRY (lock_locked (l, true, &other, &life));
  }
  return life == GONE ? OK : lock_refused (l->dir, l->path, &other);
}

/* -- holding --------------------------------------------------------------- */

/* Read again a few times: a network file system may be slow to answer. */
static enum status
who_has_it (const struct store_lock *l, struct holder *now, bool *there)
{
  *there = true;
  for (int i = 0; i < 3; i++) {
    TRY (holder_read (l->path, now));
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

/* The thread: touches the lock until closing, and looks whether it is still
 * ours.
 */
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

/* With all signals blocked, so that they go to the other threads. */
static enum status
start_beating (struct store_lock *l)
{
  sigset_t all, before;
  pthread_mutex_init (&l->mutex, NULL);
  pthread_cond_init (&l->wake, NULL);
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
    s = take (l);
  if (s != OK) {
    if (l->fd >= 0)
      close (l->fd);
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
