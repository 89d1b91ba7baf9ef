/* wire/watch.c -- notices a rank that makes no progress, and ends the job.
 *
 * A thread of each rank looks several times per patience whether its rank has
 * moved (base/status.h: a new place, a message that came, a piece of long
 * work) or has heard that another rank has (moves.c).  It calls no MPI and asks
 * nobody, so it works whatever the rank is stuck in.
 *
 * After one patience without either it prints for whom its rank waits, once.
 * After two it ends its process, and the launcher ends the others.  All ranks
 * that wait have counted about the same seconds, and the first to leave lingers
 * for a moment: so the last lines of all of them are printed, and together they
 * tell who waited for whom.
 *
 * Only time in which ranks can run counts.  A look that comes late adds two
 * ticks at most, not the hours for which a job was suspended or a laptop slept,
 * and nothing is added while a rank of this node is stopped by a signal or a
 * debugger.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/place.h"
#include "wire/wire_impl.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOKS 16     /* in one patience */
#define MOST_S 1.0   /* between two looks */
#define ROUNDS 8     /* of moves.c in one patience */
#define LAST_S 1.0   /* for the words of the others, at most */
#define CLOSING_S 60 /* for MPI's own end, at least */
#define FOREVER_S 1e9

struct peer {
  char host[56];
  int32_t pid;
};

static struct {
  bool on;
  pthread_t thread;
  pthread_mutex_t lock; /* of all below but the atomics */
  pthread_cond_t wake;
  bool leave;
  struct wire_awaited awaited;
  int size;
  struct peer *peer;           /* size; NULL: not known yet */
  _Atomic int64_t patience_us; /* 0: for ever */
  _Atomic unsigned heard;      /* times that another rank was heard of */
  _Atomic bool due;
} the = {.lock = PTHREAD_MUTEX_INITIALIZER,
         .patience_us = WIRE_PATIENCE_S * INT64_C (1000000)};

/* -- what the rank tells its thread ---------------------------------------- */

void
wire_await (const struct wire_awaited *a)
{
  pthread_mutex_lock (&the.lock);
  the.awaited = *a;
  pthread_mutex_unlock (&the.lock);
}

void
wire_await_end (void)
{
  wire_await (&(struct wire_awaited){.kind = WIRE_AWAIT_NONE});
}

void
wire_patience (struct wire *w, double seconds)
{
  (void)w;
  if (seconds > FOREVER_S)
    seconds = 0;
  atomic_store (&the.patience_us, (int64_t)(seconds * 1e6));
}

void
wire_watch_closing (void)
{
  int64_t us = atomic_load (&the.patience_us);
  const int64_t least = CLOSING_S * INT64_C (1000000);
  if (us > 0 && us < least)
    atomic_store (&the.patience_us, least);
}

bool
wire_watch_due (void)
{
  return atomic_load_explicit (&the.due, memory_order_relaxed);
}

void
wire_watch_begun (void)
{
  atomic_store_explicit (&the.due, false, memory_order_relaxed);
}

void
wire_watch_heard (void)
{
  atomic_fetch_add_explicit (&the.heard, 1, memory_order_relaxed);
}

enum status
wire_watch_meet (struct wire *w)
{
  struct peer mine = {.pid = (int32_t)getpid ()}, *all = NULL;
  snprintf (mine.host, sizeof mine.host, "%.*s", (int)sizeof mine.host - 1,
            w->host);
  TRY (wire_worst (w, MEM_NEW ((size_t)w->size, &all, "hosts of all ranks")));
  MPI_Request request;
  MPI_Iallgather (&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE,
                  w->world, &request);
  wire_complete (w, &request);
  pthread_mutex_lock (&the.lock);
  the.size = w->size;
  the.peer = all;
  pthread_mutex_unlock (&the.lock);
  return OK;
}

/* -- words ----------------------------------------------------------------- */

static const char *
host_of (int rank)
{
  return the.peer && rank >= 0 && rank < the.size ? the.peer[rank].host : "?";
}

static void
add_message (const struct wire_awaited *a, char *out, size_t room)
{
  const char *what = a->sends ? "to take a message" : "for a message";
  int n = snprintf (out, room, "rank %d on %s %s (tag %d, %zu bytes)", a->rank,
                    host_of (a->rank), what, a->tag, a->bytes);
  if (a->sends || !a->named)
    return;
  char micro[48] = "";
  if (a->id.micro >= 0)
    snprintf (micro, sizeof micro, ", micro-batch %d", a->id.micro);
  snprintf (out + n, room - (size_t)n,
            ": %s of step %" PRId64 "%s at border %d",
            a->id.stream < 0 ? "the activations" : "a gradient", a->id.step,
            micro, a->id.border);
}

/* For whom the rank waits, as it has noted before waiting (wire_await). */
static void
awaited_text (const struct wire_awaited *a, char *out, size_t room)
{
  switch (a->kind) {
  case WIRE_AWAIT_MESSAGE:
    add_message (a, out, room);
    break;
  case WIRE_AWAIT_ALL:
    snprintf (out, room, "all ranks to come to the same place");
    break;
  case WIRE_AWAIT_RANKS:
    snprintf (out, room, "a sum over ranks %d to %d", a->rank, a->last);
    break;
  case WIRE_AWAIT_TWIN:
    snprintf (out, room, "rank %d on %s in a sum over replicas", a->rank,
              host_of (a->rank));
    break;
  case WIRE_AWAIT_NONE:
    break; /* tell_wait has words for it */
  }
}

static void
tell_wait (enum log_level level, double patience, int times)
{
  char whom[512] = "", host[64];
  const char *since = text_seconds (times * patience);
  pthread_mutex_lock (&the.lock);
  const struct wire_awaited a = the.awaited;
  awaited_text (&a, whom, sizeof whom);
  snprintf (host, sizeof host, "%s", host_of (place_rank ()));
  pthread_mutex_unlock (&the.lock);
  const char *more =
      times > 1 ? "; ends the job (run.patience says after how long)" : "";
  if (a.kind != WIRE_AWAIT_NONE)
    tell (level, "on %s, has waited %s for %s%s", host, since, whom, more);
  else
    tell (
        level,
        "on %s, has not moved for %s and waits for no message: a kernel, MPI, "
        "HDF5 or a file system does not come back%s",
        host, since, more);
}

/* -- looking --------------------------------------------------------------- */

/* Whether somebody has stopped a process: T, or t under a debugger. */
static bool
is_stopped (int pid)
{
  char path[64], line[512];
  snprintf (path, sizeof path, "/proc/%d/stat", pid);
  FILE *f = fopen (path, "r");
  size_t n = f ? fread (line, 1, sizeof line - 1, f) : 0;
  if (f)
    fclose (f);
  line[n] = '\0';
  const char *state = strrchr (line, ')'); /* behind a name of any letters */
  return state && (state[2] == 'T' || state[2] == 't');
}

static bool
neighbour_stopped (void)
{
  bool found = false;
  pthread_mutex_lock (&the.lock);
  const char *here = host_of (place_rank ());
  for (int r = 0; the.peer && r < the.size && !found; r++)
    found =
        strcmp (the.peer[r].host, here) == 0 && is_stopped (the.peer[r].pid);
  pthread_mutex_unlock (&the.lock);
  return found;
}

struct look {
  unsigned long moves;
  unsigned heard;
  double last_s, quiet_s; /* the last look; how long no move until then */
  double round_s;         /* since a round of moves.c was due */
  bool told;
};

/* Never returns. */
static void
give_up (double patience)
{
  tell_wait (LOG_ERROR, patience, 2);
  fail_clear ();
  (void)fail (E_QUIET, "%s", status_text (E_QUIET));
  wire_leave (E_QUIET, patience / 2 < LAST_S ? patience / 2 : LAST_S);
}

static void
look_once (struct look *l, double patience, double tick)
{
  const double now = clock_now_s ();
  const unsigned long moves = place_moves ();
  const unsigned heard = atomic_load (&the.heard);
  double passed = now - l->last_s;
  passed = passed < 2 * tick ? passed : 2 * tick;
  l->last_s = now;
  l->round_s += passed;
  if (patience > 0 && l->round_s >= patience / ROUNDS) {
    l->round_s = 0;
    atomic_store (&the.due, true);
  }
  if (patience <= 0 || moves != l->moves || heard != l->heard) {
    l->moves = moves;
    l->heard = heard;
    l->quiet_s = 0;
    l->told = false;
    return;
  }
  /* Asking /proc costs, so not before it could matter. */
  if (l->quiet_s + passed >= patience / 2 && neighbour_stopped ())
    return;
  l->quiet_s += passed;
  /* A call that was announced as long (place_lasts) gets its time on top. */
  const double lasting = place_lasting ();
  if (l->quiet_s >= 2 * patience + lasting)
    give_up (patience);
  if (l->quiet_s < patience + lasting || l->told)
    return;
  l->told = true;
  tell_wait (LOG_WARN, patience, 1);
}

/* Sleeps, but wakes at once when the thread has to end: false then. */
static bool
nap (double seconds)
{
  struct timespec end;
  clock_gettime (CLOCK_MONOTONIC, &end);
  int64_t ns = end.tv_nsec + (int64_t)(seconds * 1e9);
  end.tv_sec += ns / 1000000000;
  end.tv_nsec = ns % 1000000000;
  pthread_mutex_lock (&the.lock);
  int e = 0;
  while (!the.leave && e == 0)
    e = pthread_cond_timedwait (&the.wake, &the.lock, &end);
  bool stay = !the.leave;
  pthread_mutex_unlock (&the.lock);
  return stay;
}

static void *
watch (void *unused)
{
  struct look l = {.last_s = clock_now_s ()};
  double tick;
  do {
    double patience = (double)atomic_load (&the.patience_us) * 1e-6;
    tick =
        patience > 0 && patience < MOST_S * LOOKS ? patience / LOOKS : MOST_S;
    look_once (&l, patience, tick);
  } while (nap (tick));
  return unused;
}

void
wire_watch_open (void)
{
  pthread_condattr_t how;
  if (the.on)
    return;
  pthread_condattr_init (&how);
  pthread_condattr_setclock (&how, CLOCK_MONOTONIC);
  pthread_cond_init (&the.wake, &how);
  pthread_condattr_destroy (&how);
  the.leave = false;
  the.on = pthread_create (&the.thread, NULL, watch, NULL) == 0;
  if (!the.on)
    tell (LOG_WARN, "there is no thread that would tell if ranks wait for each "
                    "other in vain (run.patience)");
}

void
wire_watch_close (void)
{
  if (the.on) {
    pthread_mutex_lock (&the.lock);
    the.leave = true;
    pthread_cond_signal (&the.wake);
    pthread_mutex_unlock (&the.lock);
    pthread_join (the.thread, NULL);
    pthread_cond_destroy (&the.wake);
  }
  the.on = false;
  mem_free (&the.peer);
  the.size = 0;
}
