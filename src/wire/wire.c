/* wire/wire.c -- opening, the grid of communicators, closing.
 *
 * One error handler is set on the world and inherited by everything made from
 * it, so that no call of MPI is followed by a check: an error of MPI itself
 * names its reason and ends the job.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/place.h"
#include "wire/wire_impl.h"
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* -- opening --------------------------------------------------------------- */

/* The signature is MPI's. */
static void
mpi_failed (MPI_Comm *comm, int *code, ...)
{
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  (void)comm;
  MPI_Error_string (*code, text, &length);
  fail_clear ();
  wire_abort (fail (E_FAULT, "MPI failed: %s", text));
}

static void
handler_set (void)
{
  MPI_Errhandler handler;
  MPI_Comm_create_errhandler (mpi_failed, &handler);
  MPI_Comm_set_errhandler (MPI_COMM_WORLD, handler);
  MPI_Comm_set_errhandler (MPI_COMM_SELF, handler);
  MPI_Errhandler_free (&handler);
}

static enum status
wire_new (struct wire **out)
{
  struct wire *w;
  TRY (MEM_NEW (1, &w, "the wire"));
  w->world = w->votes = w->pipe = w->twins = w->rounds = MPI_COMM_NULL;
  w->node = w->moves.comm = MPI_COMM_NULL;
  w->moves.mpi = MPI_REQUEST_NULL;
  for (int i = 0; i < WIRE_WAYS; i++)
    w->way[i] = MPI_COMM_NULL;
  w->tag_most = INT_MAX;
  w->round = MPI_REQUEST_NULL;
  w->line = MPI_DATATYPE_NULL;
  w->size = w->pipe_size = w->n_replicas = w->node_size = 1;
  if (gethostname (w->host, sizeof w->host - 1) != 0)
    snprintf (w->host, sizeof w->host, "unknown");
  wire_describe_mpi (w->description, sizeof w->description);
  *out = w;
  return OK;
}

/* Each kind of collective traffic has its own copy of the world: MPI matches
 * collective calls by their order on a communicator, and ballots, rounds and
 * fences come in no fixed order to each other. */
static enum status
world_open (struct wire *w)
{
  MPI_Comm_dup (MPI_COMM_WORLD, &w->world);
  MPI_Comm_dup (MPI_COMM_WORLD, &w->votes);
  MPI_Comm_dup (MPI_COMM_WORLD, &w->rounds);
  MPI_Comm_rank (w->world, &w->rank);
  MPI_Comm_size (w->world, &w->size);
  MPI_Comm_split_type (w->world, MPI_COMM_TYPE_SHARED, w->rank, MPI_INFO_NULL,
                       &w->node);
  MPI_Comm_rank (w->node, &w->node_rank);
  MPI_Comm_size (w->node, &w->node_size);
  MPI_Allreduce (&w->rank, &w->node_first, 1, MPI_INT, MPI_MIN, w->node);
  MPI_Type_contiguous (TENSOR_HEADER, MPI_BYTE, &w->line);
  MPI_Type_commit (&w->line);
  w->pipe_rank = w->rank;
  w->pipe_size = w->size;
  TRY (wire_watch_meet (w));
  wire_moves_open (w);
  TRY (wire_message_open (w));
  return wire_ballot_open (w);
}

static void
comm_free (MPI_Comm *comm)
{
  if (*comm != MPI_COMM_NULL)
    MPI_Comm_free (comm);
}

static void
windows_free (struct wire *w)
{
  for (int i = 0; i < w->n_windows; i++)
    comm_free (&w->window[i].comm);
  mem_free (&w->window);
  w->n_windows = 0;
}

static void
grid_free (struct wire *w)
{
  windows_free (w);
  wire_reduce_close (w);
  for (int i = 0; i < WIRE_WAYS; i++)
    comm_free (&w->way[i]);
  comm_free (&w->pipe);
  comm_free (&w->twins);
}

/* All but MPI itself. */
static void
wire_free (struct wire **at)
{
  struct wire *w = *at;
  if (w == NULL)
    return;
  wire_moves_close (w);
  grid_free (w);
  wire_message_close (w);
  wire_ballot_close (w);
  if (w->line != MPI_DATATYPE_NULL)
    MPI_Type_free (&w->line);
  /* MPI forbids to free a communicator with a collective call under way; a run
   * that failed may have left one. */
  if (w->n_balloting == 0)
    comm_free (&w->votes);
  if (!w->round_open)
    comm_free (&w->rounds);
  comm_free (&w->node);
  comm_free (&w->world);
  mem_free (at);
}

void
wire_close (struct wire **at)
{
  bool alone = *at != NULL && (*at)->alone;
  int on = 0, off = 0;
  if (!alone) {
    place_set (-1, -1, "closing MPI");
    wire_watch_closing ();
  }
  wire_free (at);
  if (alone)
    return;
  MPI_Initialized (&on);
  MPI_Finalized (&off);
  if (on && !off)
    MPI_Finalize ();
  wire_watch_close ();
}

enum status
wire_open (int *argc, char ***argv, struct wire **out)
{
  struct wire *w = NULL;
  int level = MPI_THREAD_SINGLE, rank = 0, size = 1;
  struct wire_start start;
  wire_start_look (&start);
  wire_idle_open ();
  place_set (-1, -1, "opening MPI");
  wire_watch_open ();
  MPI_Init_thread (argc, argv, MPI_THREAD_FUNNELED, &level);
  handler_set ();
  MPI_Comm_rank (MPI_COMM_WORLD, &rank);
  MPI_Comm_size (MPI_COMM_WORLD, &size);
  place_rank_set (rank, size);
  place_set (-1, -1, NULL);
  status_abort_hook (wire_abort);
#ifdef PR_SET_TIMERSLACK
  /* Naps of a microsecond would last fifty otherwise. */
  (void)prctl (PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
#endif

  enum status s = OK;
  TRY_GOTO (wire_start_whole (&start, size), failed);
  if (level < MPI_THREAD_FUNNELED)
    TRY_GOTO (fail (E_UNSUPPORTED,
                    "this MPI offers no threads (level %d, MPI_THREAD_FUNNELED "
                    "is needed)",
                    level),
              failed);
  s = wire_new (&w);
  if (s != OK)
    wire_abort (s); /* there is nothing yet by which ranks could agree */
  TRY_GOTO (wire_agree (w, world_open (w)), failed);
  *out = w;
  return OK;

failed:
  wire_free (&w);
  *out = NULL;
  return s;
}

enum status
wire_open_alone (struct wire **out)
{
  struct wire *w;
  TRY (wire_new (&w));
  w->alone = true;
  place_rank_set (0, 1);
  status_abort_hook (wire_abort);
  enum status s = wire_ballot_open (w);
  if (s == OK)
    *out = w;
  else
    wire_close (&w);
  return s;
}

/* -- the grid -------------------------------------------------------------- */

#define PINGS 8

/* World rank 0 learns how much its clock differs from rank r's, and tells that
 * rank.  Of a few round trips the fastest was delayed least: half way through
 * it rank r read its clock. */
static void
clock_lead (struct wire *w, int r)
{
  double best = INFINITY, offset = 0, theirs;
  for (int i = 0; i < PINGS; i++) {
    double sent = clock_now_s ();
    MPI_Send (&sent, 1, MPI_DOUBLE, r, WIRE_TAG_CLOCK, w->world);
    MPI_Recv (&theirs, 1, MPI_DOUBLE, r, WIRE_TAG_CLOCK, w->world,
              MPI_STATUS_IGNORE);
    double back = clock_now_s ();
    if (back - sent < best) {
      best = back - sent;
      offset = 0.5 * (sent + back) - theirs;
    }
  }
  /* Below what can be measured: most likely one clock. */
  if (fabs (offset) < best)
    offset = 0;
  MPI_Send (&offset, 1, MPI_DOUBLE, r, WIRE_TAG_CLOCK, w->world);
}

static void
clock_follow (struct wire *w)
{
  double theirs;
  MPI_Request request;
  MPI_Irecv (&theirs, 1, MPI_DOUBLE, 0, WIRE_TAG_CLOCK, w->world, &request);
  wire_complete (w, &request); /* others may come first */
  for (int i = 0; i < PINGS; i++) {
    double now = clock_now_s ();
    MPI_Send (&now, 1, MPI_DOUBLE, 0, WIRE_TAG_CLOCK, w->world);
    MPI_Recv (&theirs, 1, MPI_DOUBLE, 0, WIRE_TAG_CLOCK, w->world,
              MPI_STATUS_IGNORE);
  }
  w->clock_offset_s = theirs; /* the last one is the offset */
}

static void
tag_most_ask (struct wire *w)
{
  int *most = NULL, given = 0;
  MPI_Comm_get_attr (MPI_COMM_WORLD, MPI_TAG_UB, &most, &given);
  w->tag_most = given ? *most : 32767; /* what the standard promises */
}

enum status
wire_grid (struct wire *w, int n_replicas)
{
  if (n_replicas < 1 || w->size % n_replicas != 0)
    return fail (E_CONFIG, "%d replicas cannot share %d ranks evenly",
                 n_replicas, w->size);
  CHECK (w->n_open == 0 && w->n_reducing == 0 && w->n_balloting == 0,
         "wire_grid while messages are under way");
  grid_free (w);
  w->n_replicas = n_replicas;
  w->pipe_size = w->size / n_replicas;
  w->replica = w->rank / w->pipe_size;
  w->pipe_rank = w->rank % w->pipe_size;
  w->sent_bytes = 0;
  w->sent_messages = 0;
  w->reduce_turn = 0; /* new twins have counted differently */
  if (w->alone)
    return OK;
  tag_most_ask (w);
  MPI_Comm_split (w->world, w->replica, w->pipe_rank, &w->pipe);
  MPI_Comm_split (w->world, w->pipe_rank, w->replica, &w->twins);
  for (int i = 0; i < WIRE_WAYS; i++)
    MPI_Comm_dup (w->pipe, &w->way[i]);
  for (int r = 1; r < w->size && w->rank == 0; r++)
    clock_lead (w, r);
  if (w->rank > 0)
    clock_follow (w);
  return OK;
}

enum status
wire_windows (struct wire *w, int n, const int *first, const int *last)
{
  struct wire_window *window = NULL;
  for (int i = 0; i < n; i++)
    CHECK (0 <= first[i] && first[i] <= last[i] && last[i] < w->pipe_size,
           "window %d joins pipe ranks %d to %d of %d", i, first[i], last[i],
           w->pipe_size);
  enum status s = MEM_NEW ((size_t)n, &window, "windows");
  s = wire_worst (w, s);
  if (s != OK) {
    mem_free (&window);
    return s;
  }
  windows_free (w);
  w->window = window;
  w->n_windows = n;
  for (int i = 0; i < n; i++) {
    window[i] = (struct wire_window){MPI_COMM_NULL, first[i], last[i]};
    if (first[i] == last[i])
      continue;
    CHECK (w->pipe != MPI_COMM_NULL, "wire_windows before wire_grid");
    bool inside = first[i] <= w->pipe_rank && w->pipe_rank <= last[i];
    MPI_Comm_split (w->pipe, inside ? 0 : MPI_UNDEFINED, w->pipe_rank,
                    &window[i].comm);
  }
  return OK;
}

/* -- waiting --------------------------------------------------------------- */

void
wire_poll (void *wire)
{
  struct wire *w = wire;
  wire_moves_step (w);
  if (w->n_open > 0)
    wire_message_move (w);
  if (w->n_reducing > 0)
    wire_reduce_move (w);
  if (w->n_balloting > 0)
    wire_ballot_move (w);
}

/* -- questions ------------------------------------------------------------- */

int
wire_rank (const struct wire *w)
{
  return w->rank;
}

int
wire_size (const struct wire *w)
{
  return w->size;
}

int
wire_pipe_rank (const struct wire *w)
{
  return w->pipe_rank;
}

int
wire_pipe_size (const struct wire *w)
{
  return w->pipe_size;
}

int
wire_replica (const struct wire *w)
{
  return w->replica;
}

int
wire_replicas (const struct wire *w)
{
  return w->n_replicas;
}

int
wire_node_size (const struct wire *w)
{
  return w->node_size;
}

int
wire_node_first (const struct wire *w)
{
  return w->node_first;
}

int
wire_node_rank (const struct wire *w)
{
  return w->node_rank;
}

const char *
wire_host (const struct wire *w)
{
  return w->host;
}

const char *
wire_describe (const struct wire *w)
{
  return w->description;
}

int
wire_tag_most (const struct wire *w)
{
  return w->tag_most;
}

enum status
wire_tags (const struct wire *w, int64_t n, const char *what)
{
  if (n - 1 <= w->tag_most)
    return OK;
  return fail (E_LIMIT,
               "%s needs message tags up to %" PRId64
               ", and this MPI (%s) has them up to %d",
               what, n - 1, w->description, w->tag_most);
}

MPI_Comm
wire_raw_world (const struct wire *w)
{
  return w->world;
}

MPI_Comm
wire_raw_node (const struct wire *w)
{
  return w->node;
}

MPI_Comm
wire_raw_pipe (const struct wire *w)
{
  return w->pipe;
}
