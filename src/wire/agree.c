/* wire/agree.c -- fences, texts for everybody, and the one abort.
 *
 * Collective calls are started without blocking and polled (wire_complete), so
 * that waiting leaves the core to others.  Where memory may be missing on one
 * rank, all ranks agree on that (wire_worst) before the next collective call:
 * otherwise some would wait in it for ever.
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/place.h"
#include "wire/wire_impl.h"
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* -- the end of all ranks -------------------------------------------------- */

static void (*abort_record) (enum status s, void *context);
static void *abort_context;

void
wire_abort_record (void (*record) (enum status s, void *context), void *context)
{
  abort_record = record;
  abort_context = context;
}

__attribute__ ((noreturn)) static void
end_job (enum status s)
{
  int on = 0, off = 0;
  MPI_Initialized (&on);
  MPI_Finalized (&off);
  if (on && !off) {
    /* The launcher reads our words through a pipe, and MPI_Abort may overtake
     * them: Open MPI 5 was seen to lose the last line. */
    nanosleep (&(struct timespec){.tv_nsec = 100000000}, NULL);
    MPI_Abort (MPI_COMM_WORLD, status_exit (s));
  }
  _Exit (status_exit (s));
}

void
wire_abort (enum status s)
{
  static atomic_flag entered = ATOMIC_FLAG_INIT;
  static _Thread_local bool inside;
  static enum status first;
  if (inside) /* the record has failed: end without one */
    end_job (first);
  inside = true;
  while (atomic_flag_test_and_set (&entered))
    pause (); /* another thread is ending the process */
  first = s;
  const char *text = fail_message ();
  const char *where = fail_where ();
  bool placed = where[0] != '\0';
  log_live_done ();
  tell (LOG_ERROR, "%s%s%s%s", text[0] != '\0' ? text : status_text (s),
        placed ? " (" : "", where, placed ? ")" : "");
  fflush (NULL);
  if (abort_record)
    abort_record (s, abort_context);
  end_job (s);
}

/* When a rank just exits, MPICH's mpiexec mixes its exit code with the signal
 * by which it kills the other ranks.  MPI_Abort avoids that with a line to
 * mpiexec, but this thread may not call MPI: it writes the line itself. */
static void
tell_launcher (int code)
{
#ifdef MPICH_VERSION
  const char *fd = getenv ("PMI_FD");
  char line[64];
  int n = snprintf (line, sizeof line, "cmd=abort exitcode=%d\n", code);
  if (fd == NULL || getenv ("HYDI_CONTROL_FD") == NULL)
    return;
  if (write (atoi (fd), line, (size_t)n) == n)
    nanosleep (&(struct timespec){.tv_sec = 1}, NULL);
#else
  (void)code;
#endif
}

static volatile sig_atomic_t leave_code;

static void
leave_at_once (int number)
{
  (void)number;
  _exit (leave_code);
}

void
wire_leave (enum status s, double grace_s)
{
  /* Writing the record may hang in the same file system as the stuck thread:
   * an alarm ends the process in any case. */
  const unsigned most_s = 5;
  struct sigaction a;
  sigset_t those;
  memset (&a, 0, sizeof a);
  a.sa_handler = leave_at_once;
  leave_code = status_exit (s);
  sigaction (SIGALRM, &a, NULL);
  sigemptyset (&those);
  sigaddset (&those, SIGALRM);
  pthread_sigmask (SIG_UNBLOCK, &those, NULL);
  alarm (most_s + (unsigned)grace_s);
  if (abort_record)
    abort_record (s, abort_context);
  struct timespec grace = {.tv_sec = (time_t)grace_s};
  grace.tv_nsec = (long)((grace_s - (double)grace.tv_sec) * 1e9);
  nanosleep (&grace, NULL);
  tell_launcher (status_exit (s));
  _exit (status_exit (s));
}

/* -- agreement ------------------------------------------------------------- */

static void
all_reduce (struct wire *w, const void *in, void *out, int n, MPI_Datatype type,
            MPI_Op op)
{
  MPI_Request request;
  MPI_Iallreduce (in, out, n, type, op, w->world, &request);
  wire_complete (w, &request);
}

static void
broadcast (struct wire *w, void *data, size_t bytes, int root)
{
  const size_t most = (size_t)1 << 30; /* MPI counts in int */
  for (size_t at = 0; at < bytes; at += most) {
    size_t n = bytes - at < most ? bytes - at : most;
    MPI_Request request;
    MPI_Ibcast ((char *)data + at, (int)n, MPI_BYTE, root, w->world, &request);
    wire_complete (w, &request);
  }
}

struct speech {
  char place[128];
  char message[2048];
  char where[160];
};

static void
speech_make (struct speech *sp, enum status s)
{
  const char *text = fail_message ();
  snprintf (sp->place, sizeof sp->place, "%s", place_text ());
  snprintf (sp->message, sizeof sp->message, "%s",
            text[0] != '\0' ? text : status_text (s));
  snprintf (sp->where, sizeof sp->where, "%s", fail_where ());
}

static void
speech_print (const struct speech *sp, enum status s, bool everywhere)
{
  /* Having stopped early is what was asked for. */
  enum log_level level = s == E_STOPPED ? LOG_INFO : LOG_ERROR;
  log_live_done ();
  if (everywhere)
    say (level, "%s", sp->message);
  else
    say (level, "%s: %s", sp->place, sp->message);
  if (sp->where[0] != '\0')
    say (LOG_DEBUG, "raised at %s", sp->where);
}

/* The worst status of all ranks, the message of its owner, and whether all
 * ranks have that same message: then it is printed without a rank. */
static enum status
settle (struct wire *w, enum status mine, struct speech *sp, bool *everywhere)
{
  /* MAXLOC gives the lowest of the ranks that have the maximum. */
  struct {
    int status, rank;
  } in = {(int)mine, w->rank}, worst = {0, 0};
  all_reduce (w, &in, &worst, 1, MPI_2INT, MPI_MAXLOC);
  enum status s = (enum status)worst.status;
  *everywhere = true;
  if (s == OK)
    return OK;
  speech_make (sp, mine);
  uint64_t own = hash_text (sp->message, (uint64_t)mine);
  broadcast (w, sp, sizeof *sp, worst.rank);
  int same = own == hash_text (sp->message, (uint64_t)s), all_same = 0;
  all_reduce (w, &same, &all_same, 1, MPI_INT, MPI_MIN);
  *everywhere = all_same != 0;
  return s;
}

enum status
wire_agree (struct wire *w, enum status mine)
{
  struct speech sp = {.place = ""};
  if (w->alone) {
    if (mine != OK) {
      speech_make (&sp, mine);
      speech_print (&sp, mine, true);
    }
    fail_clear ();
    return mine;
  }
  bool everywhere;
  enum status s = settle (w, mine, &sp, &everywhere);
  if (s != OK)
    speech_print (&sp, s, everywhere);
  fail_clear ();
  return s;
}

enum status
wire_worst (struct wire *w, enum status mine)
{
  struct speech sp;
  bool everywhere;
  if (w->alone)
    return mine;
  enum status s = settle (w, mine, &sp, &everywhere);
  if (s == OK || everywhere)
    return s;
  char text[sizeof sp.place + sizeof sp.message + 2];
  snprintf (text, sizeof text, "%s: %s", sp.place, sp.message);
  fail_adopt (text, sp.where);
  return s;
}

enum status
wire_broadcast (struct wire *w, void *data, size_t bytes, int root)
{
  if (!w->alone)
    broadcast (w, data, bytes, root);
  return OK;
}

enum status
wire_broadcast_text (struct wire *w, char **text, int root)
{
  if (w->alone)
    return OK;
  bool mine = w->rank == root;
  uint64_t n = mine ? strlen (*text) + 1 : 0;
  broadcast (w, &n, sizeof n, root);
  char *copy = NULL;
  enum status s = mine ? OK : MEM_NEW (n, &copy, "a text");
  s = wire_worst (w, s);
  if (s == OK)
    broadcast (w, mine ? *text : copy, n, root);
  else
    mem_free (&copy);
  if (s == OK && !mine)
    *text = copy;
  return s;
}

/* -- texts to root --------------------------------------------------------- */

static void
texts_free (char ***texts, int size)
{
  for (int r = 0; *texts != NULL && r < size; r++)
    mem_free (&(*texts)[r]);
  mem_free (texts);
}

/* Room for a text of n[r] bytes of every rank. */
static enum status
texts_new (const uint64_t *n, int size, char ***texts)
{
  TRY (MEM_NEW ((size_t)size, texts, "texts of all ranks"));
  for (int r = 0; r < size; r++)
    TRY (MEM_NEW (n[r], &(*texts)[r], "texts of all ranks"));
  return OK;
}

/* Every rank's text of n[rank] bytes to root, one after the other. */
static void
texts_collect (struct wire *w, const char *mine, const uint64_t *n,
               char **texts)
{
  struct wire_swap swap = {.send = mine, .n_send = n[w->rank]};
  if (w->rank > 0) {
    wire_swap (w, &swap);
    return;
  }
  memcpy (texts[0], mine, n[0]);
  for (int r = 1; r < w->size; r++) {
    swap =
        (struct wire_swap){.receive = texts[r], .n_receive = n[r], .from = r};
    wire_swap (w, &swap);
  }
}

enum status
wire_gather_text (struct wire *w, const char *mine, char ***out)
{
  uint64_t bytes = strlen (mine) + 1, *n = NULL;
  char **texts = NULL;
  MPI_Request request;
  enum status s = MEM_NEW ((size_t)w->size, &n, "texts of all ranks");
  TRY_GOTO (wire_worst (w, s), done);
  n[w->rank] = bytes;
  if (!w->alone) {
    MPI_Iallgather (&bytes, 1, MPI_UINT64_T, n, 1, MPI_UINT64_T, w->world,
                    &request);
    wire_complete (w, &request);
  }
  s = w->rank == 0 ? texts_new (n, w->size, &texts) : OK;
  TRY_GOTO (wire_worst (w, s), done);
  texts_collect (w, mine, n, texts);
  *out = texts;
  texts = NULL;

done:
  texts_free (&texts, w->size);
  mem_free (&n);
  return s;
}

/* -- numbers --------------------------------------------------------------- */

enum status
wire_all_gather (struct wire *w, const double *mine, int n, double *out)
{
  if (w->alone) {
    if (n > 0)
      memcpy (out, mine, (size_t)n * sizeof *mine);
    return OK;
  }
  MPI_Request request;
  MPI_Iallgather (mine, n, MPI_DOUBLE, out, n, MPI_DOUBLE, w->world, &request);
  wire_complete (w, &request);
  return OK;
}

enum status
wire_same (struct wire *w, uint64_t value, const char *what)
{
  if (w->alone)
    return OK;
  /* The lowest rank that differs from root, and its value; INT_MAX: none. */
  uint64_t roots = value, odd = value;
  broadcast (w, &roots, sizeof roots, 0);
  int mine = value == roots ? INT_MAX : w->rank, first = 0;
  all_reduce (w, &mine, &first, 1, MPI_INT, MPI_MIN);
  if (first == INT_MAX)
    return OK;
  broadcast (w, &odd, sizeof odd, first);
  return fail (E_PROTOCOL,
               "%s is not the same on all ranks: %016" PRIx64
               " on rank 0, %016" PRIx64 " on rank %d",
               what, roots, odd, first);
}

void
wire_barrier (struct wire *w)
{
  if (w->alone)
    return;
  MPI_Request request;
  MPI_Ibarrier (w->world, &request);
  wire_complete (w, &request);
}
