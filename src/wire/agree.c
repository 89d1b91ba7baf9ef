/* wire/agree.c -- fences, texts for everybody, and the one abort.
 *
 * Collective calls wait politely, as all waiting here.  Where a call may fail
 * on one rank it ends its round first and then tells all ranks (wire_worst), so
 * that nobody is left inside a collective call.
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "wire/wire_impl.h"
#include <inttypes.h>
#include <limits.h>
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

void
wire_abort (enum status s)
{
  static atomic_flag entered = ATOMIC_FLAG_INIT;
  static _Thread_local bool inside;
  if (inside)
    abort (); /* the way out has failed itself */
  inside = true;
  while (atomic_flag_test_and_set (&entered))
    pause (); /* another thread is ending the process */
  const char *text = fail_message ();
  const char *where = fail_where ();
  bool placed = where[0] != '\0';
  log_live_done ();
  tell (LOG_ERROR, "%s%s%s%s", text[0] != '\0' ? text : status_text (s),
        placed ? " (" : "", where, placed ? ")" : "");
  fflush (NULL);
  if (abort_record)
    abort_record (s, abort_context);
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

/* The worst status of all ranks, what its owner has to say, and whether all
 * ranks say the same. */
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

struct gather {
  int *n, *at;   /* bytes of each text with its NUL, and where it begins */
  char *data;    /* all of them in a row */
  char **texts;  /* size */
  int64_t total; /* bytes */
};

static void
gather_free (struct gather *g, int size)
{
  for (int r = 0; g->texts != NULL && r < size; r++)
    mem_free (&g->texts[r]);
  mem_free (&g->texts);
  mem_free (&g->n);
  mem_free (&g->at);
  mem_free (&g->data);
}

static enum status
gather_places (struct gather *g, int size)
{
  g->total = 0;
  for (int r = 0; r < size; r++) {
    if (g->total > INT_MAX - g->n[r])
      return fail (E_LIMIT, "texts of all ranks: more than 2 GiB");
    g->at[r] = (int)g->total;
    g->total += g->n[r];
  }
  return MEM_NEW ((size_t)g->total, &g->data, "texts of all ranks");
}

static enum status
gather_cut (struct gather *g, int size)
{
  for (int r = 0; r < size; r++)
    TRY (mem_text (g->data + g->at[r], &g->texts[r]));
  return OK;
}

static enum status
gather_rooms (struct gather *g, int size)
{
  TRY (MEM_NEW ((size_t)size, &g->texts, "texts of all ranks"));
  TRY (MEM_NEW ((size_t)size, &g->n, "texts of all ranks"));
  return MEM_NEW ((size_t)size, &g->at, "texts of all ranks");
}

static enum status
gather_alone (const char *mine, char ***texts)
{
  struct gather g = {0};
  enum status s;
  TRY_GOTO (MEM_NEW (1, &g.texts, "a text"), failed);
  TRY_GOTO (mem_text (mine, &g.texts[0]), failed);
  *texts = g.texts;
  return OK;

failed:
  gather_free (&g, 1);
  return s;
}

enum status
wire_gather_text (struct wire *w, const char *mine, char ***texts)
{
  if (w->alone)
    return gather_alone (mine, texts);
  struct gather g = {0};
  bool root = w->rank == 0;
  size_t bytes = strlen (mine) + 1;
  int n = bytes <= INT_MAX ? (int)bytes : 0;
  MPI_Request request;
  enum status s = n > 0 ? OK : fail (E_LIMIT, "a text of more than 2 GiB");
  if (s == OK && root)
    s = gather_rooms (&g, w->size);
  TRY_GOTO (wire_worst (w, s), done);
  MPI_Igather (&n, 1, MPI_INT, g.n, 1, MPI_INT, 0, w->world, &request);
  wire_complete (w, &request);
  TRY_GOTO (wire_worst (w, root ? gather_places (&g, w->size) : OK), done);
  MPI_Igatherv (mine, n, MPI_CHAR, g.data, g.n, g.at, MPI_CHAR, 0, w->world,
                &request);
  wire_complete (w, &request);
  TRY_GOTO (wire_worst (w, root ? gather_cut (&g, w->size) : OK), done);
  *texts = g.texts;
  g.texts = NULL;

done:
  gather_free (&g, w->size);
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
  /* The rank that differs first from root, and its value; INT_MAX: none. */
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
