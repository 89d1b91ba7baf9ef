/* wire/wire.h -- how tensors and verdicts travel between ranks.
 *
 * The world is a grid: pipe joins the ranks of one replica in order of depth,
 * twins joins the ranks that hold the same stages in all replicas.  World rank
 * = replica x n_pipe + pipe rank.  A window is a communicator over adjacent
 * pipe ranks.  Nothing here knows what a stage does.  Every function says
 * Local, or Collective on pipe, twins, window or world.  Waiting polls with
 * back-off, so that more ranks than cores still work.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/status.h"
#include "base/tensor.h"
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

struct wire; /* opaque; owned by main, one per rank */

/* MPI_Init_thread (FUNNELED), error handler, abort hook, rank for messages;
 * collective on world.  Explains a world of another size than INTERLOCK_RANKS,
 * the launcher or, under srun, SLURM_NTASKS say (E_USAGE), and a threading
 * level that is too low: then *out is NULL, and MPI stays up until wire_close.
 * Print the message before that call: a launcher may kill all ranks as soon as
 * the first one has left with an error. */
enum status
wire_open (int *argc, char ***argv, struct wire **out);
/* A wire of one rank without MPI (login nodes, serial tests): all calls work.
 */
enum status
wire_open_alone (struct wire **out);
/* Collective on world; frees all communicators and MPI itself. */
void
wire_close (struct wire **w);
/* Split the world, with a communicator for each traffic; E_CONFIG when replicas
 * does not divide the size.  Collective on world. */
enum status
wire_grid (struct wire *w, int n_replicas);
/* One communicator per window: window i joins pipe ranks first[i]..last[i]
 * (first[i] == last[i]: none made).  Replaces earlier windows.  Collective on
 * world. */
enum status
wire_windows (struct wire *w, int n, const int *first, const int *last);

/* A rank that has made no move (base/status.h) for so many seconds, and has not
 * heard of another rank that made one, prints for whom it waits.  After twice
 * as many seconds the job ends with E_QUIET.  0: never.  WIRE_PATIENCE_S until
 * it is called.  Local; the same on all ranks. */
#define WIRE_PATIENCE_S 600
void
wire_patience (struct wire *w, double seconds);

int
wire_rank (const struct wire *w); /* in the world */
int
wire_size (const struct wire *w);
int
wire_pipe_rank (const struct wire *w);
int
wire_pipe_size (const struct wire *w);
int
wire_replica (const struct wire *w);
int
wire_replicas (const struct wire *w);
/* Ranks of the world on this rank's node, and this rank's number among them. */
int
wire_node_size (const struct wire *w);
int
wire_node_rank (const struct wire *w);
/* The lowest rank of the world on this node. */
int
wire_node_first (const struct wire *w);
/* Cores (hardware threads) that a rank may run on, each divided by the ranks of
 * its node that may as well: the fewest and the most that a rank has.
 * Collective on world. */
void
wire_cores (struct wire *w, double *least, double *most);
/* Those of this rank.  After wire_cores.  Local. */
double
wire_cores_mine (const struct wire *w);
const char *
wire_host (const struct wire *w);
/* "Open MPI 4.1.4, MPI 3.1". */
const char *
wire_describe (const struct wire *w);

/* -- agreement ------------------------------------------------------------- */

/* The worst status of all ranks; its owner (lowest such rank) speaks: its kept
 * message is printed once by root, stamped with rank and place when it is not
 * the same on all ranks.  Every rank returns the same, and no message is kept
 * any more: what fail_message () gives afterwards has not been printed.
 * Collective on world: a fence. */
enum status
wire_agree (struct wire *w, enum status mine);
/* The worst status of all ranks, and its owner's message kept on all of them,
 * with rank and place when it is not the same on all; nobody speaks: for calls
 * that fail on all ranks alike.  Collective on world. */
enum status
wire_worst (struct wire *w, enum status mine);
/* Print rank, place and kept text, and end all ranks with the status's exit
 * code.  Local; does not return. */
void
wire_abort (enum status s) __attribute__ ((noreturn));
/* What this rank does in wire_abort before the job ends, for its records; it
 * may not wait for anybody.  NULL: nothing.  Local. */
void
wire_abort_record (void (*record) (enum status s, void *context),
                   void *context);
/* Same bytes everywhere, from root.  Collective on world. */
enum status
wire_broadcast (struct wire *w, void *data, size_t bytes, int root);
/* A text of any length from root; *text (NUL-terminated) is owned by the caller
 * on all ranks (on root: what it passed in). */
enum status
wire_broadcast_text (struct wire *w, char **text, int root);
/* All texts to root, in rank order: texts[size] on root (each owned by the
 * caller, as is the array), NULL elsewhere.  Collective on world. */
enum status
wire_gather_text (struct wire *w, const char *mine, char ***texts);
/* Every rank's n doubles on every rank: out[size * n].  Collective on world. */
enum status
wire_all_gather (struct wire *w, const double *mine, int n, double *out);
/* n_send[r] floats to each rank r, n_receive[r] from each, both one behind the
 * other in the order of ranks, any number of them.  Only outside training.
 * Collective on world. */
enum status
wire_exchange (struct wire *w, const float *send, const size_t *n_send,
               float *receive, const size_t *n_receive);
/* v[0..n-1] summed over all ranks, in place on every rank.  Only outside
 * training.  Collective on world. */
enum status
wire_sum (struct wire *w, double *v, size_t n);
/* All ranks have the same value, else E_PROTOCOL naming what and who.
 * Collective on world. */
enum status
wire_same (struct wire *w, uint64_t value, const char *what);
void
wire_barrier (struct wire *w); /* world; only outside training */

/* Who has what, on all ranks: "ranks 0-3 on a, b: avx2; rank 4 on c: sse41"
 * added to out, *n values; nothing where all have the same one.  Values are
 * single lines.  Collective on world. */
enum status
wire_groups (struct wire *w, const char *mine, int *n, struct text *out);
/* What has to be the same on all ranks, as this rank has it. */
struct wire_fact {
  const char *name;   /* "instruction set" */
  const char *value;  /* a single line */
  const char *cure;   /* what to do where it differs; "": nothing to say */
  enum status status; /* what it is then */
};
/* Fails with the status of the first of n facts that differs, naming all that
 * do, a line each, with values, ranks and hosts: the same on all ranks.  The
 * same facts on all ranks.  Collective on world. */
enum status
wire_alike (struct wire *w, int n, const struct wire_fact *fact);

/* -- tensor messages ------------------------------------------------------- */

/* What a message is; travels in the TENSOR_HEADER in front of the data and is
 * compared on arrival. */
struct wire_id {
  int64_t step;
  int32_t micro, border, stream; /* stream -1: activation */
};

/* Traffics that go along the pipe whatever the windows.  Each has a
 * communicator of its own and counts its tags from 0, as each window does: no
 * two of them can take each other's messages, and no tag is larger than what
 * one traffic alone needs (MPI promises 32767; UCX has 8388607). */
enum wire_way {
  WIRE_STEPS = -1,      /* of training, outside its windows */
  WIRE_EVALUATION = -2, /* of a split */
  WIRE_SHARED = -3,     /* one matrix that several stages use */
  WIRE_TEXT = -4,       /* generated text */
  WIRE_COMPARE = -5,    /* comparing gradients: the strategy's */
  WIRE_WHOLE = -6,      /* and the end-to-end one */
  WIRE_LINK = -7,       /* wire_calibrate */
  WIRE_WAYS = 7
};
/* The largest tag that a message can have, asked for by wire_grid.  Local. */
int
wire_tag_most (const struct wire *w);
/* E_LIMIT, with both numbers, when n tags (0 .. n - 1) of `what` are more than
 * this MPI has.  Local. */
enum status
wire_tags (const struct wire *w, int64_t n, const char *what);

/* A request is a small integer; WIRE_NONE when nothing is under way. */
#define WIRE_NONE (-1)
/* Start sending t to pipe rank peer of the own replica, under tag, on a way: a
 * window, or one of enum wire_way.  Local.  Borrows header and data until
 * waited for.  Fails with E_LIMIT when t has more than 2^31 lines of 64 bytes,
 * as which MPI counts it, and for a tag that this MPI does not have. fault_here
 * ("message"). */
enum status
wire_send (struct wire *w, int way, const struct tensor *t, int peer, int tag,
           struct wire_id id, int *request);
/* Post a receive into t ahead of time.  Local. */
enum status
wire_post (struct wire *w, int way, const struct tensor *t, int peer, int tag,
           int *request);
/* Wait; *request becomes WIRE_NONE.  For a receive `id` is compared
 * (E_PROTOCOL); id NULL for a send.  *late_s (may be NULL): the part of the
 * wait that lies after the message was sent (transfer), by clocks aligned at
 * wire_grid.  WIRE_NONE returns at once. */
enum status
wire_wait (struct wire *w, int *request, const struct wire_id *id,
           double *late_s);
/* Withdraw a posted receive that nobody will send to. */
void
wire_cancel (struct wire *w, int *request);
/* Let messages move.  Local; cheap. Suited to pulse_hook. */
void
wire_poll (void *wire);
/* Messages, sums and ballots that nobody has waited for yet.  Local. */
int
wire_under_way (const struct wire *w);
/* Bytes sent since wire_grid, and messages. */
void
wire_traffic (const struct wire *w, double *bytes, int64_t *messages);

/* What a message from stage to stage takes: latency_s + bytes / rate. */
struct wire_link {
  double latency_s;
  double bytes_per_s;      /* while nothing comes the other way */
  double both_bytes_per_s; /* while as much does */
};
/* Measured between all neighbours on the pipe (wire_grid is made), the worst of
 * them, in a second or two.  E_USAGE where there is one rank.  Collective on
 * world. */
enum status
wire_calibrate (struct wire *w, struct wire_link *out);

/* -- sums ------------------------------------------------------------------ */

/* Sum over the replicas along a fixed binary tree (the same bits for the same
 * number of replicas), in place, without blocking: start, then wire_poll moves
 * it, then wait.  With one replica nothing happens.  Room for what the others
 * have, wire_reduce_bytes of it, is made by reserve (before the first step):
 * for n_under_way sums of n floats at most.  Collective on twins, started in
 * the same order on all.  fault_here ("sum"), fault_hang ("hang-sum"). */
#define WIRE_SUMS 8 /* under way: more need no more room */
size_t
wire_reduce_bytes (int n_replicas, size_t n, int n_under_way);
enum status
wire_reduce_reserve (struct wire *w, size_t n, int n_under_way);
enum status
wire_reduce_start (struct wire *w, float *block, size_t n, int *request);
/* Half of it each: replica r owns floats r x share .. (r + 1) x share - 1 of
 * the block, as far as there are so many.  scatter: the sum arrives where it is
 * owned, and what others own is of no use afterwards.  gather: what every
 * replica owns arrives at all.  Otherwise as wire_reduce_start, in the same
 * queue; waited for by wire_reduce_wait.  gather: fault_here ("gather"),
 * fault_hang ("hang-gather"). */
enum status
wire_scatter_start (struct wire *w, float *block, size_t n, size_t share,
                    int *request);
enum status
wire_gather_start (struct wire *w, float *block, size_t n, size_t share,
                   int *request);
enum status
wire_reduce_wait (struct wire *w, int *request);

/* Ballots: element-wise sums of small vectors of doubles that do not block.
 * Every element has one rank that contributes a non-zero, or is a count, so the
 * sum is exact in any order.  scope -1: world, else a window.  start copies
 * `in`; wait copies into `out`.  Up to `WIRE_BALLOTS` under way.  Collective on
 * the scope, in the same order on all its ranks. */
#define WIRE_BALLOTS 128      /* 64 of steps and 64 of windows */
#define WIRE_BALLOT_MOST 5632 /* doubles in one ballot */
enum status
wire_ballot_start (struct wire *w, int scope, const double *in, int n,
                   int *request);
enum status
wire_ballot_wait (struct wire *w, int *request, double *out);

/* -- alarms ----------------------------------------------------------------
 */

/* Tell all other ranks that this one leaves its work and goes to the next
 * fence; once is enough.  Local. */
void
wire_alarm (struct wire *w);
/* Whether another rank has told so.  Local; cheap. */
bool
wire_alarmed (struct wire *w);
/* After the fence: receives what other ranks have told, so that no message is
 * left over.  Collective on world. */
enum status
wire_alarm_end (struct wire *w);

/* -- rounds ---------------------------------------------------------------- */

/* Small exchanges beside the steps, which a rank joins whenever it gets there:
 * independent of ballots and messages.  One at a time, the same ones in the
 * same order on all ranks.  Every call is Local and returns at once; the round
 * is over when wire_round_done says so.  Buffers are borrowed until then.
 * gather: every rank's bytes in rank order, all[size x bytes]; bytes is the
 * same on all ranks.  spread: root's bytes to all. */
void
wire_round_gather (struct wire *w, const void *mine, size_t bytes, void *all);
void
wire_round_spread (struct wire *w, void *data, size_t bytes, int root);
bool
wire_round_done (struct wire *w);
/* For loops that ask wire_round_done again and again: yields the core or sleeps
 * a little, more the longer it has waited since start_s (clock_now_s).  Local.
 */
void
wire_rest (double start_s);

#endif
