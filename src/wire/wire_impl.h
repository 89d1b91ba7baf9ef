/* wire/wire_impl.h -- what the files of wire share; nobody else includes it.
 *
 * A wire that is alone has no communicator at all: every function answers
 * before it comes to MPI.
 */
#ifndef WIRE_WIRE_IMPL_H
#define WIRE_WIRE_IMPL_H

#include "wire/raw.h"
#include "wire/wire.h"
#include <mpi.h>

/* One request of the message table. */
struct wire_request {
  enum { REQUEST_FREE, REQUEST_SEND, REQUEST_POST } kind;
  bool done;     /* MPI has completed it */
  int place;     /* index in wire.open while not done */
  int peer, tag; /* as the caller named them */
  char *start;   /* header, then data; borrowed */
  size_t bytes;  /* of the data */
  struct tensor_form form;
  MPI_Request mpi; /* MPI_REQUEST_NULL once done */
};

/* The communicator of adjacent pipe ranks; MPI_COMM_NULL where this rank is not
 * inside or the window has one rank. */
struct wire_window {
  MPI_Comm comm;
  int first, last; /* pipe ranks */
};

/* A leg takes one piece of a block through its sum; see reduce.c. */
#define WIRE_LEGS WIRE_SUMS
struct wire_leg {
  enum { LEG_FREE, LEG_SCATTER, LEG_GATHER } state;
  unsigned turn;        /* number of the piece since wire_grid */
  int reduction;        /* whose piece it is */
  float *block;         /* the piece; borrowed, n floats */
  size_t n, from, each; /* from where to where shares begin */
  int n_share;          /* floats of a share, the last ones may have less */
  float *room;          /* owned: the own share of all other replicas */
  int n_in, n_waits;    /* receives, which come first; transfers in all */
  MPI_Request *waits;   /* owned: 2 for each replica ... */
  int *whom;            /* ... and with which replica each is; owned */
};

struct wire_reduction {
  bool active;
  enum { REDUCE_ALL, REDUCE_SCATTER, REDUCE_GATHER } kind;
  float *block; /* borrowed, n floats */
  size_t n, n_pieces;
  size_t share;           /* floats of a replica's; 0 of REDUCE_ALL */
  size_t n_begun, n_done; /* pieces that have or had a leg; that are summed */
};

struct wire_ballot {
  bool active;
  int n, scope; /* scope -1: the world */
  MPI_Request mpi;
  double *in, *out; /* WIRE_BALLOT_MOST each, inside wire.ballot_room */
};

/* See moves.c. */
struct wire_moves {
  MPI_Comm comm; /* MPI_COMM_NULL: nobody else to hear of */
  MPI_Request mpi;
  int mine, any;      /* moved since the round before */
  unsigned long last; /* moves at that time */
  int n_begun;
  bool closing;
};

struct wire {
  bool alone;
  MPI_Comm world, votes;   /* votes: ballots of the world */
  MPI_Comm rounds;         /* see round.c */
  MPI_Comm node;           /* ranks that share memory with this one */
  MPI_Comm pipe, twins;    /* MPI_COMM_NULL before wire_grid */
  MPI_Comm way[WIRE_WAYS]; /* the pipe again, one per traffic: -1 is way[0] */
  int tag_most;            /* MPI_TAG_UB */
  int rank, size;
  int pipe_rank, pipe_size, replica, n_replicas;
  int node_rank, node_size, node_first;
  char host[256], description[256];
  MPI_Datatype line;                     /* 64 bytes */
  double cores, cores_least, cores_most; /* see cores.c; 0: not asked for yet */
  double clock_offset_s; /* own clock + this = clock of world rank 0 */

  int n_windows;
  struct wire_window *window; /* n_windows */

  int n_requests;               /* room of the three arrays */
  struct wire_request *request; /* n_requests */
  int n_spare, *spare;          /* free entries of request, a stack */
  int n_open, *open;            /* entries that are not done */
  double sent_bytes;
  int64_t sent_messages;

  size_t reduce_most; /* floats a block may have */
  int n_reductions, n_reducing;
  unsigned reduce_turn;             /* counts pieces; the same on all twins */
  struct wire_reduction *reduction; /* n_reductions */
  int *queue; /* n_reductions: those with pieces that have had no leg, a ring */
  int queue_first, n_queued;
  int n_legs;
  struct wire_leg *leg; /* n_legs */
  float **term;         /* n_replicas: what is added up */
  MPI_Status *unread;   /* 2 for each replica */

  int n_balloting;
  struct wire_ballot *ballot; /* WIRE_BALLOTS */
  double *ballot_room;

  struct wire_moves moves;

  MPI_Request *alarm; /* size: what this rank has told; NULL: nothing; owned */
  bool round_open;    /* started, and nobody was told that it is done */
  MPI_Request round;  /* MPI_REQUEST_NULL when none is under way */
};

/* Waiting that leaves the core to other ranks: it yields at first, then sleeps
 * a small part of the time waited so far. */
struct wire_pause {
  double start_s;
};
void
wire_pause_begin (struct wire_pause *p);
void
wire_pause_step (struct wire_pause *p);

/* Wait for one request of MPI; everything else under way moves meanwhile. */
void
wire_complete (struct wire *w, MPI_Request *request);
struct wire_awaited;
void
wire_complete_with (struct wire *w, MPI_Request *request,
                    const struct wire_awaited *whom);

/* -- the thread that watches (watch.c) ------------------------------------- */

/* For whom this rank waits. */
struct wire_awaited {
  enum {
    WIRE_AWAIT_NONE,
    WIRE_AWAIT_MESSAGE, /* from or to rank */
    WIRE_AWAIT_ALL,
    WIRE_AWAIT_RANKS, /* rank .. last */
    WIRE_AWAIT_TWIN   /* rank */
  } kind;
  int rank, last; /* in the world */
  int tag;
  size_t bytes;
  bool sends, named; /* named: id is known */
  struct wire_id id;
};
/* Told before waiting and after it.  Local; for the thread that speaks MPI. */
void
wire_await (const struct wire_awaited *a);
void
wire_await_end (void);

/* Start and end the thread; before MPI_Init and after MPI_Finalize. */
void
wire_watch_open (void);
void
wire_watch_close (void);
/* MPI_Finalize comes next.  It may be slow, and nothing can be lost any more:
 * patience becomes a minute at least. */
void
wire_watch_closing (void);
/* Who is where.  Collective on world. */
enum status
wire_watch_meet (struct wire *w);
/* A round of moves.c is due; it has begun; another rank was heard of.  Local.
 */
bool
wire_watch_due (void);
void
wire_watch_begun (void);
void
wire_watch_heard (void);

/* -- who moves anywhere (moves.c) ------------------------------------------ */

/* Collective on world, but for step, which is Local and suits place_hook. */
void
wire_moves_open (struct wire *w);
void
wire_moves_close (struct wire *w);
void
wire_moves_step (void *wire);

/* -- coming and going (start.c, agree.c, idle.c) --------------------------- */

/* As wire_abort, for a thread that may not call MPI while the one that may is
 * stuck: writes the record, waits grace_s for the last words of other ranks,
 * and leaves.  The launcher then ends the other ranks.
 */
void
wire_leave (enum status s, double grace_s) __attribute__ ((noreturn));

/* What the environment said before MPI was opened. */
struct wire_start {
  const char *name; /* of the variable that says it; NULL: nothing does */
  int expected;     /* 0: not known */
  int task;         /* which of them this process is; -1: not known */
  bool launched;    /* by an mpirun or mpiexec, not by srun */
};
/* Local, before MPI_Init, which may set variables of its own. */
void
wire_start_look (struct wire_start *out);
/* E_USAGE, with the cure, where another number than expected has come up. */
enum status
wire_start_whole (const struct wire_start *start, int size);
/* "Open MPI 4.1.4, MPI 3.1". */
void
wire_describe_mpi (char *out, size_t room);

/* Does nothing but make the linker take idle.c, which replaces a function of
 * MPI's network library. */
void
wire_idle_open (void);

/* -- what is under way (exchange.c, message.c, reduce.c, ballot.c) --------- */

/* Tags of the messages on the world, which are few and beside training. */
enum { WIRE_TAG_CLOCK, WIRE_TAG_SWAP };

/* n_send bytes to a rank of the world, while n_receive come from one; any
 * number of them.  Both ends have to come here. */
struct wire_swap {
  const void *send;
  size_t n_send;
  int to;
  void *receive;
  size_t n_receive;
  int from;
};
void
wire_swap (struct wire *w, const struct wire_swap *s);

/* Set up and take down what message.c, reduce.c and ballot.c keep. */
enum status
wire_message_open (struct wire *w);
void
wire_message_close (struct wire *w);
void
wire_reduce_close (struct wire *w);
enum status
wire_ballot_open (struct wire *w);
void
wire_ballot_close (struct wire *w);

/* One round of what is under way. */
void
wire_message_move (struct wire *w);
void
wire_reduce_move (struct wire *w);
void
wire_ballot_move (struct wire *w);

#endif
