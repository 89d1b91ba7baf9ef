/* base/status.c -- kept messages, places, checks and planted faults.
 *
 * The kept message belongs to a thread; rank, size, place and the planted fault
 * belong to the process.  Nothing here prints except a failed check that finds
 * no abort hook.
 */
#include "base/status.h"
#include "base/log.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BYTES 2048
#define WHERE_BYTES 160

static const struct {
  int exit_code;
  const char *text;
} status_table[STATUS_COUNT] = {
#define X(name, code, text) {code, text},
    STATUS_LIST (X)
#undef X
};

const char *
status_text (enum status s)
{
  if ((int)s < 0 || s >= STATUS_COUNT)
    return "unknown status";
  return status_table[s].text;
}

int
status_exit (enum status s)
{
  if ((int)s < 0 || s >= STATUS_COUNT)
    return status_table[E_FAULT].exit_code;
  return status_table[s].exit_code;
}

/* -- the kept message ------------------------------------------------------ */

static _Thread_local char kept_message[MESSAGE_BYTES];
static _Thread_local char kept_where[WHERE_BYTES];

/* The last two parts of a path: the room and the file.  What comes before
 * depends on where the tree was built. */
static const char *
short_path (const char *path)
{
  int slashes = 0;
  for (const char *p = path + strlen (path); p > path; p--)
    if (p[-1] == '/' && ++slashes == 2)
      return p;
  return path;
}

enum status
status_fail (enum status s, const char *file, int line, const char *fmt, ...)
{
  if (kept_message[0] != '\0')
    return s;
  va_list args;
  va_start (args, fmt);
  vsnprintf (kept_message, sizeof kept_message, fmt, args);
  va_end (args);
  snprintf (kept_where, sizeof kept_where, "%s:%d", short_path (file), line);
  return s;
}

const char *
fail_message (void)
{
  return kept_message;
}

const char *
fail_where (void)
{
  return kept_where;
}

void
fail_clear (void)
{
  kept_message[0] = '\0';
  kept_where[0] = '\0';
}

void
fail_adopt (const char *message, const char *where)
{
  /* The arguments may be the kept texts themselves. */
  if (message != kept_message)
    snprintf (kept_message, sizeof kept_message, "%s", message);
  if (where != kept_where)
    snprintf (kept_where, sizeof kept_where, "%s", where);
}

/* -- checks ---------------------------------------------------------------- */

static void (*abort_hook) (enum status s);

void
status_abort_hook (void (*hook) (enum status s))
{
  abort_hook = hook;
}

void
status_check_failed (const char *cond, const char *file, int line,
                     const char *fmt, ...)
{
  char text[MESSAGE_BYTES / 2], message[MESSAGE_BYTES], where[WHERE_BYTES];
  va_list args;
  va_start (args, fmt);
  vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  snprintf (message, sizeof message, "check failed: %s [%s]", text, cond);
  snprintf (where, sizeof where, "%s:%d", short_path (file), line);
  fail_adopt (message, where);
  if (abort_hook != NULL)
    abort_hook (E_FAULT);
  tell (LOG_ERROR, "%s (%s)", message, where);
  abort ();
}

void
status_end (enum status s)
{
  if (abort_hook != NULL)
    abort_hook (s);
  tell (LOG_ERROR, "%s (%s)", fail_message (), fail_where ());
  abort ();
}

/* -- places ---------------------------------------------------------------- */

/* Written by the engine's thread, read by any. */
static _Atomic long place_step = -1;
static _Atomic int place_stage = -1;
static _Atomic (const char *) place_op;
static _Atomic int the_rank;
static _Atomic int the_size = 1;
static _Atomic unsigned long the_moves;
static _Atomic long the_lasting_s;
static _Thread_local void (*move_hook) (void *context);
static _Thread_local void *move_context;

void
place_move (void)
{
  atomic_fetch_add_explicit (&the_moves, 1, memory_order_relaxed);
  if (move_hook != NULL)
    move_hook (move_context);
}

unsigned long
place_moves (void)
{
  return atomic_load_explicit (&the_moves, memory_order_relaxed);
}

void
place_lasts (double seconds)
{
  const double most = 1e9;
  seconds = seconds < most ? seconds : most;
  atomic_store_explicit (&the_lasting_s, (long)seconds, memory_order_relaxed);
}

double
place_lasting (void)
{
  return (double)atomic_load_explicit (&the_lasting_s, memory_order_relaxed);
}

void
place_hook (void (*hook) (void *context), void *context)
{
  move_hook = hook;
  move_context = context;
}

void
place_set (long step, int stage, const char *op)
{
  atomic_store_explicit (&place_step, step, memory_order_relaxed);
  atomic_store_explicit (&place_stage, stage, memory_order_relaxed);
  atomic_store_explicit (&place_op, op, memory_order_relaxed);
  place_lasts (0);
  place_move ();
}

void
place_get (long *step, int *stage, const char **op)
{
  *step = atomic_load_explicit (&place_step, memory_order_relaxed);
  *stage = atomic_load_explicit (&place_stage, memory_order_relaxed);
  *op = atomic_load_explicit (&place_op, memory_order_relaxed);
}

const char *
place_text (void)
{
  static _Thread_local char text[128];
  long step;
  int stage;
  const char *op;
  place_get (&step, &stage, &op);
  int n = snprintf (text, sizeof text, "rank %d", place_rank ());
  if (step >= 0)
    n += snprintf (text + n, sizeof text - (size_t)n, ", step %ld", step);
  if (stage >= 0)
    n += snprintf (text + n, sizeof text - (size_t)n, ", stage %d", stage);
  if (op != NULL && op[0] != '\0')
    snprintf (text + n, sizeof text - (size_t)n, ", %s", op);
  return text;
}

void
place_rank_set (int rank, int size)
{
  atomic_store (&the_rank, rank);
  atomic_store (&the_size, size);
}

int
place_rank (void)
{
  return atomic_load_explicit (&the_rank, memory_order_relaxed);
}

int
place_size (void)
{
  return atomic_load_explicit (&the_size, memory_order_relaxed);
}

/* -- planted faults -------------------------------------------------------- */

enum { FAULT_UNREAD, FAULT_NONE, FAULT_PLANTED };

static struct {
  _Atomic int state;
  char place[32];
  long nth;  /* first call is 1 */
  long rank; /* -1: every rank */
  _Atomic long calls;
} fault;

/* "kernel", "kernel:3", "kernel@1", "kernel:3@1".  The text is written by hand
 * for a test, and a test that plants nothing would pass for the wrong reason:
 * what cannot be read is a failed check. */
void
fault_plant (const char *spec)
{
  if (spec == NULL || spec[0] == '\0') {
    atomic_store (&fault.state, FAULT_NONE);
    return;
  }
  size_t n = strcspn (spec, ":@");
  CHECK (n > 0 && n < sizeof fault.place, "INTERLOCK_FAIL=%s: no place", spec);
  memcpy (fault.place, spec, n);
  fault.place[n] = '\0';
  fault.nth = 1;
  fault.rank = -1;
  char *rest = (char *)(uintptr_t)(spec + n);
  if (*rest == ':')
    fault.nth = strtol (rest + 1, &rest, 10);
  if (*rest == '@')
    fault.rank = strtol (rest + 1, &rest, 10);
  CHECK (*rest == '\0' && fault.nth >= 1 && fault.rank >= -1,
         "INTERLOCK_FAIL=%s: expected PLACE:NTH@RANK", spec);
  atomic_store (&fault.calls, 0);
  atomic_store (&fault.state, FAULT_PLANTED);
}

bool
fault_here (const char *place)
{
  int state = atomic_load_explicit (&fault.state, memory_order_acquire);
  if (state == FAULT_NONE)
    return false;
  if (state == FAULT_UNREAD) {
    fault_plant (getenv ("INTERLOCK_FAIL"));
    return fault_here (place);
  }
  if (strcmp (place, fault.place) != 0)
    return false;
  if (fault.rank >= 0 && fault.rank != place_rank ())
    return false;
  return atomic_fetch_add (&fault.calls, 1) + 1 == fault.nth;
}

void
fault_hang (const char *place)
{
  if (fault_here (place))
    for (;;)
      pause ();
}
