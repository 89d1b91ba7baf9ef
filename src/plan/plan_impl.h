/* plan/plan_impl.h -- what the files of this room share.
 *
 * The making of a plan goes: streams (which gradients travel), schedule (in
 * which order each rank works: jobs), lists (jobs become operations with slots,
 * messages and posts), simulate (what that costs).  walk relies on none of it.
 */
#ifndef PLAN_PLAN_IMPL_H
#define PLAN_PLAN_IMPL_H

#include "plan/plan.h"

#define PLAN_NEVER INT64_MAX

/* ask.c.  Time is counted in whole nanoseconds, so that all ranks agree
 * exactly. */
int64_t
plan_ticks (double seconds);
double
plan_seconds (int64_t ticks);
/* True when stages k and k + 1 exist and are on different ranks. */
bool
plan_crosses (const struct plan *p, int k);
/* The number of a message: of an activation, or of a stream of gradients. */
int
plan_tag (const struct plan *p, bool gradient, int border, int stream,
          int micro);

/* Heads, windows, streams and passes from K and route; p owns them. */
enum status
plan_streams (struct plan *p);
/* Index of the pass of stage `border` that makes its outgoing stream. */
int
plan_producer (const struct plan *p, int border, int stream);
/* Index of the one pass of the stage that learns; -1: it is frozen. */
int
plan_learner (const struct plan *p, int stage);
/* streams_below from n_streams. */
void
plan_number_streams (struct plan *p);

/* Which heads are active, silent or witnesses, from window_first. */
void
plan_set_heads (struct plan *p, bool all);
/* The arrays of p, whose K and n_pipe are set; whether there is a route. */
enum status
plan_allocate (struct plan *p, bool route);
enum status
plan_check_cost (const struct plan_cost *c, int k);
/* Order of work, lists, times, from the streams. */
enum status
plan_make_timetable (struct plan *p);

/* Duration of a verb of the stage by itself; of an operation as it stands in a
 * list, which may be joined or hand nothing on; of a message over the border.
 */
int64_t
plan_verb_ticks (const struct plan *p, enum plan_verb v, int stage);
int64_t
plan_op_ticks (const struct plan *p, const struct plan_op *op);
int64_t
plan_message_ticks (const struct plan *p, int border);

/* joint.c.  Whether updates wait for other stages. */
bool
plan_is_joint (const struct plan *p);
/* Stages of the rank that use the shared matrix. */
int
plan_rank_shares (const struct plan *p, int rank);
/* A sum of a few numbers over n ranks; the matrix from rank to rank; the rank's
 * own part of GATHER, NORM or SPREAD. */
int64_t
plan_norm_ticks (const struct plan *p, int n_ranks);
int64_t
plan_share_ticks (const struct plan *p);
int64_t
plan_joint_ticks (const struct plan *p, enum plan_verb v, int rank);
/* The joint of a new plan, from what was asked. */
enum status
plan_set_joint (struct plan *p, const struct plan_joint *j);

struct plan_job {
  enum plan_verb verb;
  int stage, micro, pass; /* micro, pass: -1 where none */
};
/* Order of work of one step: the jobs of rank r are job[first[r]] up to
 * job[first[r + 1] - 1]. */
struct plan_jobs {
  int *first; /* n_pipe + 1 */
  int *n;     /* n_pipe: jobs there so far */
  struct plan_job *job;
  int *slot; /* K x n_micro: slot of stage k for micro-batch m */
};
/* start: n_pipe ticks at which the ranks are free.  jobs is cleared first. */
enum status
plan_schedule (const struct plan *p, const int64_t *start,
               struct plan_jobs *jobs);
enum status
plan_jobs_init (const struct plan *p, struct plan_jobs *jobs);
void
plan_jobs_clear (struct plan_jobs *jobs);

/* Lists, slots and pairs of p from jobs; earlier ones are freed. */
enum status
plan_lists (struct plan *p, const struct plan_jobs *jobs);
void
plan_lists_clear (struct plan *p);

/* Called for each operation that takes a rank's time. */
struct plan_note {
  void (*call) (void *context, int rank, int64_t step, const struct plan_op *op,
                int64_t start, int64_t end);
  void *context;
};
/* Runs the lists in order for n_steps from an empty pipe; note may be NULL.
 * end: n_pipe x n_steps ticks at which rank r has finished step i (index
 * r * n_steps + i); idle: K ticks waited in the last `tail` steps; trace: like
 * end, a hash of the times of all that the rank does in the step, since it
 * began with it (or NULL). */
enum status
plan_simulate (const struct plan *p, int n_steps, int tail,
               const struct plan_note *note, int64_t *end, int64_t *idle,
               uint64_t *trace);

#endif
