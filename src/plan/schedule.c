/* plan/schedule.c -- in which order a rank does the work of one step.
 *
 * List scheduling: a clock is run over one step; whenever a rank is free it
 * takes the best of the jobs that could start now.  Only the order is kept; how
 * long the real step takes is not known yet.
 *
 * Two rules make it safe to repeat that order in every step.
 *
 * 1. The micro-batches of one kind of job of a stage keep their order.  So sums
 *    over micro-batches are formed in one order, whatever the folding, and the
 *    bits are the same.
 * 2. A slot is given to a new micro-batch only when all jobs that need the old
 *    one have been decided before: its own, and those of the next stage that
 *    read its output (on another rank only the forward, by which the message
 * has been taken).  So nobody ever waits for a job that is decided later, and
 *    ranks cannot wait for each other in a ring.
 */
#include "base/memory.h"
#include "plan/plan_impl.h"
#include <string.h>

enum { FORWARD, HEAD, WEIGHTS, HEAD_WEIGHTS, PASS }; /* PASS + index */

struct schedule {
  const struct plan *p;
  struct plan_jobs *jobs;
  int *base;        /* K + 1: a stage's kinds are base[k] .. base[k + 1] - 1 */
  int *next;        /* base[K]: next micro-batch of the kind */
  int64_t *finish;  /* base[K] x n_micro; NEVER: not decided */
  int64_t *reduce;  /* K; NEVER: not decided */
  bool *updated;    /* K */
  bool *learns;     /* K: the stage is not frozen */
  int *limit;       /* K: forwards in flight */
  int *reach;       /* base[K]: for passes, nearest head - stage */
  int *first_stage; /* n_pipe + 1 */
  int64_t *free_at; /* n_pipe */
  int *low, *high;  /* K: stages that share a window with the stage */
  int *unreduced;   /* K: of those, how many have not started their sum */
  int64_t now;
  int sweep;           /* of the ranks, at this time */
  struct look *heap;   /* when ranks are to be looked at, the next first */
  int n_looks, room;   /* in use; there */
  struct look *looked; /* n_pipe: the last one */
};

/* At each moment all ranks are asked in their order, then again (a sweep),
 * until none can start anything; then time goes on.  A heap keeps whom to ask
 * next, so that only ranks are asked for which something may have changed. */
struct look {
  int64_t time;
  int sweep, rank;
};

/* By what two jobs are compared, in this order.  Those of BY_TURN and BY_NEXT
 * are the reach of a pass and the micro-batch, which of them first depends on
 * the order of the plan. */
enum { BY_CLASS, BY_TURN, BY_NEXT, BY_SERVICE, BY_STAGE, BY_KIND, N_BY };

/* What could be done, and how good that would be: smaller is better, the first
 * difference decides. */
struct choice {
  int kind, stage, micro; /* kind: one of those above, or one of these */
  int by[N_BY];
};
enum { REDUCE = -1, UPDATE = -2, NONE = -3 };

static int64_t
later (int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static int64_t *
finish_of (const struct schedule *s, int k, int kind, int m)
{
  return &s->finish[(s->base[k] + kind) * s->p->n_micro + m];
}

static bool
exists (const struct schedule *s, int k, int kind)
{
  if (kind == WEIGHTS)
    return s->learns[k];
  return (kind != HEAD && kind != HEAD_WEIGHTS) || s->p->head[k] != PLAN_SILENT;
}

/* Whether anything of the stage learns. */
static bool
updates (const struct schedule *s, int k)
{
  return s->learns[k] || exists (s, k, HEAD);
}

static enum plan_verb
verb_of (int kind)
{
  static const enum plan_verb verb[] = {PLAN_FORWARD, PLAN_HEAD, PLAN_WEIGHTS,
                                        PLAN_HEAD_WEIGHTS, PLAN_PASS};
  return kind == REDUCE   ? PLAN_REDUCE
         : kind == UPDATE ? PLAN_UPDATE
                          : verb[kind < PASS ? kind : PASS];
}

/* a, or a + the time of the message when border b lies between two ranks. */
static int64_t
across (const struct schedule *s, int64_t a, int b)
{
  if (a == PLAN_NEVER || !plan_crosses (s->p, b - 1))
    return a;
  return a + plan_message_ticks (s->p, b);
}

/* When nobody needs slot and output of stage k for micro-batch m any more: all
 * its own jobs are done, and the next stage has the output. */
static int64_t
retired (const struct schedule *s, int k, int m)
{
  int64_t t = 0;

  for (int kind = 0; kind < s->base[k + 1] - s->base[k]; kind++)
    if (exists (s, k, kind)) {
      t = later (t, *finish_of (s, k, kind, m));
      if (t == PLAN_NEVER)
        return t;
    }
  if (k + 1 == s->p->K)
    return t;
  if (!plan_crosses (s->p, k))
    return later (t, retired (s, k + 1, m));
  /* Another rank: its receive is over when its forward begins, at the latest.
   */
  int64_t begun = *finish_of (s, k + 1, FORWARD, m);
  if (begun == PLAN_NEVER)
    return PLAN_NEVER;
  return later (t, begun - plan_verb_ticks (s->p, PLAN_FORWARD, k + 1));
}

static int64_t
pass_ready (const struct schedule *s, int k, int i, int m)
{
  const struct plan_pass *pass = &s->p->pass[k][i];
  int64_t t = *finish_of (s, k, FORWARD, m);

  for (int j = 0; j < pass->n_in; j++) {
    int64_t in;
    if (pass->in[j] == PLAN_OWN) {
      in = *finish_of (s, k, HEAD, m);
    } else {
      int by = plan_producer (s->p, k + 1, pass->in[j]);
      in = across (s, *finish_of (s, k + 1, PASS + by, m), k + 1);
    }
    t = later (t, in);
  }
  if (s->p->order == PLAN_FILLDRAIN)
    t = later (t, *finish_of (s, k, FORWARD, s->p->n_micro - 1));
  return t;
}

/* The earliest start of a job; NEVER while something it needs is undecided.  A
 * forward also waits until no more than `limit` of the stage are in flight. */
static int64_t
ready (const struct schedule *s, int k, int kind, int m)
{
  int64_t t = 0;

  switch (kind) {
  case FORWARD:
    if (m >= s->limit[k])
      t = retired (s, k, m - s->limit[k]);
    if (k > 0 && t != PLAN_NEVER)
      t = later (t, across (s, *finish_of (s, k - 1, FORWARD, m), k));
    return t;
  case HEAD:
    return *finish_of (s, k, FORWARD, m);
  case WEIGHTS:
    return *finish_of (s, k, PASS + plan_learner (s->p, k), m);
  case HEAD_WEIGHTS:
    return *finish_of (s, k, HEAD, m);
  default:
    return pass_ready (s, k, kind - PASS, m);
  }
}

static int64_t
reduce_ready (const struct schedule *s, int k)
{
  int64_t t = 0;

  for (int kind = 0; kind < s->base[k + 1] - s->base[k]; kind++)
    if (exists (s, k, kind))
      t = later (t, *finish_of (s, k, kind, s->p->n_micro - 1));
  return t;
}

/* An update may have to wait for the norms of its windows, which are sums over
 * all their stages: it comes only when each of these has begun its REDUCE. */
static int64_t
update_ready (const struct schedule *s, int k)
{
  return s->unreduced[k] > 0 ? PLAN_NEVER : s->reduce[k];
}

/* How much a kind of job presses: the first class goes first.  Eager hands on
 * at once what another stage waits for, in the direction of the gradients
 * first. */
enum eager_class {
  EAGER_REDUCE,  /* costs nothing, and the sum runs while others work */
  EAGER_HAND_ON, /* a pass whose gradient goes on to the stage before */
  EAGER_HEAD,    /* ... and the loss that such a pass waits for */
  EAGER_FORWARD,
  EAGER_LEARN, /* from here on nobody waits: a pass that ends here */
  EAGER_HEAD_WEIGHTS,
  EAGER_WEIGHTS,
  EAGER_UPDATE,
  EAGER_WITNESS, /* a head that nobody learns from fills what time is left */
  EAGER_UPDATE_REPLICAS /* the sum over replicas may still be under way */
};

static int
class_eager (const struct schedule *s, int k, int kind)
{
  bool witness = s->p->head[k] == PLAN_WITNESS;

  switch (kind) {
  case REDUCE:
    return EAGER_REDUCE;
  case UPDATE:
    return s->p->n_replicas > 1 ? EAGER_UPDATE_REPLICAS : EAGER_UPDATE;
  case FORWARD:
    return EAGER_FORWARD;
  case HEAD:
    return witness ? EAGER_WITNESS : EAGER_HEAD;
  case HEAD_WEIGHTS:
    return witness ? EAGER_WITNESS : EAGER_HEAD_WEIGHTS;
  case WEIGHTS:
    return EAGER_WEIGHTS;
  default:
    return s->p->pass[k][kind - PASS].out >= 0 ? EAGER_HAND_ON : EAGER_LEARN;
  }
}

/* Forwards first as long as they are admitted: the limit (1f1b), or the rule
 * that passes wait for the last forward (filldrain), makes the difference. */
enum phased_class {
  PHASED_REDUCE,
  PHASED_HEAD,
  PHASED_FORWARD,
  PHASED_PASS,
  PHASED_WEIGHTS,
  PHASED_HEAD_WEIGHTS,
  PHASED_UPDATE,
  PHASED_WITNESS,
  PHASED_UPDATE_REPLICAS
};

static int
class_phased (const struct schedule *s, int k, int kind)
{
  bool witness = s->p->head[k] == PLAN_WITNESS;

  switch (kind) {
  case REDUCE:
    return PHASED_REDUCE;
  case UPDATE:
    return s->p->n_replicas > 1 ? PHASED_UPDATE_REPLICAS : PHASED_UPDATE;
  case FORWARD:
    return PHASED_FORWARD;
  case HEAD:
    return witness ? PHASED_WITNESS : PHASED_HEAD;
  case HEAD_WEIGHTS:
    return witness ? PHASED_WITNESS : PHASED_HEAD_WEIGHTS;
  case WEIGHTS:
    return PHASED_WEIGHTS;
  default:
    return PHASED_PASS;
  }
}

static void
judge (const struct schedule *s, struct choice *c)
{
  bool eager = s->p->order == PLAN_EAGER, pass = c->kind >= PASS;
  int k = c->stage, reach = pass ? s->reach[s->base[k] + c->kind] : 0;
  /* Older micro-batches first, but for eager: they free slots. */
  bool older = pass && !eager;

  c->by[BY_CLASS] = (eager ? class_eager : class_phased) (s, k, c->kind);
  c->by[BY_TURN] = older ? c->micro : reach;
  c->by[BY_NEXT] = older ? reach : c->micro;
  /* What another rank waits for: a gradient, or a place for its activation. */
  bool serves = (pass || c->kind == WEIGHTS) && plan_crosses (s->p, k - 1);
  c->by[BY_SERVICE] = serves ? 0 : 1;
  c->by[BY_STAGE] = -k;
  c->by[BY_KIND] = c->kind;
}

static bool
better (const struct choice *a, const struct choice *b)
{
  if (b->kind == NONE)
    return true;
  for (int i = 0; i < N_BY; i++)
    if (a->by[i] != b->by[i])
      return a->by[i] < b->by[i];
  return false;
}

/* Offers a candidate that can start at t.  If that is now, *best keeps the
 * better one; if later, *wake keeps the earliest such time, when the rank is to
 * be asked again. */
static void
offer (const struct schedule *s, int64_t t, struct choice c,
       struct choice *best, int64_t *wake)
{
  if (t > s->now) {
    if (t < *wake)
      *wake = t;
    return;
  }
  judge (s, &c);
  if (better (&c, best))
    *best = c;
}

static struct choice
choose (const struct schedule *s, int r, int64_t *wake)
{
  struct choice best = {.kind = NONE};

  for (int k = s->first_stage[r]; k < s->first_stage[r + 1]; k++) {
    for (int kind = 0; kind < s->base[k + 1] - s->base[k]; kind++) {
      int m = s->next[s->base[k] + kind];
      if (m == s->p->n_micro || !exists (s, k, kind))
        continue;
      offer (s, ready (s, k, kind, m),
             (struct choice){.kind = kind, .stage = k, .micro = m}, &best,
             wake);
    }
    struct choice c = {.kind = REDUCE, .stage = k, .micro = -1};
    if (!updates (s, k))
      continue;
    if (s->reduce[k] == PLAN_NEVER) {
      offer (s, reduce_ready (s, k), c, &best, wake);
    } else if (!s->updated[k]) {
      c.kind = UPDATE;
      offer (s, update_ready (s, k), c, &best, wake);
    }
  }
  return best;
}

/* The lowest slot that is free: few slots, little memory. */
static int
free_slot (const struct schedule *s, int k, int m)
{
  const int *slot = s->jobs->slot + k * s->p->n_micro;

  for (int i = 0;; i++) {
    bool taken = false;
    for (int j = 0; j < m && !taken; j++)
      taken = slot[j] == i && retired (s, k, j) > s->now;
    if (!taken)
      return i;
  }
}

/* -- the clock ---------------------------------------------------------------
 */

static bool
before (const struct look *a, const struct look *b)
{
  if (a->time != b->time)
    return a->time < b->time;
  if (a->sweep != b->sweep)
    return a->sweep < b->sweep;
  return a->rank < b->rank;
}

static void
swap (struct look *a, struct look *b)
{
  struct look c = *a;
  *a = *b;
  *b = c;
}

static enum status
push (struct schedule *s, int64_t time, int sweep, int rank)
{
  int i = s->n_looks;

  if (i == s->room) {
    int room = s->room ? 2 * s->room : 256;
    TRY (mem_grow (&s->heap, (size_t)s->room, (size_t)room, sizeof *s->heap,
                   "schedule"));
    s->room = room;
  }
  s->heap[s->n_looks++] = (struct look){time, sweep, rank};
  for (; i > 0 && before (&s->heap[i], &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
    swap (&s->heap[i], &s->heap[(i - 1) / 2]);
  return OK;
}

static struct look
pop (struct schedule *s)
{
  struct look top = s->heap[0];

  s->heap[0] = s->heap[--s->n_looks];
  for (int i = 0;;) {
    int least = i;
    for (int j = 2 * i + 1; j <= 2 * i + 2 && j < s->n_looks; j++)
      if (before (&s->heap[j], &s->heap[least]))
        least = j;
    if (least == i)
      return top;
    swap (&s->heap[i], &s->heap[least]);
    i = least;
  }
}

/* Something has changed for rank r.  If its turn in this sweep is still to come
 * it is asked then, otherwise in the next sweep. */
static enum status
touch (struct schedule *s, int by, int r)
{
  if (r < 0 || r >= s->p->n_pipe || s->free_at[r] > s->now)
    return OK; /* asked when it is free */
  return push (s, s->now, r > by ? s->sweep : s->sweep + 1, r);
}

static enum status
reduced (struct schedule *s, int r, int k, int64_t end)
{
  s->reduce[k] = end;
  for (int j = s->low[k]; j <= s->high[k]; j++)
    if (--s->unreduced[j] == 0)
      TRY (touch (s, r, s->p->rank_of[j]));
  return OK;
}

static enum status
start (struct schedule *s, int r, const struct choice *c)
{
  struct plan_jobs *jobs = s->jobs;
  enum plan_verb verb = verb_of (c->kind);
  int64_t end = s->now + plan_verb_ticks (s->p, verb, c->stage);

  /* add_joint (lists.c) puts these updates at the end of the list. */
  if (verb == PLAN_UPDATE && plan_is_joint (s->p))
    end = s->now;

  jobs->job[jobs->first[r] + jobs->n[r]++] = (struct plan_job){
      .verb = verb,
      .stage = c->stage,
      .micro = c->micro,
      .pass = c->kind >= PASS ? c->kind - PASS : -1,
  };
  s->free_at[r] = end;
  if (c->kind == REDUCE) {
    TRY (reduced (s, r, c->stage, end));
  } else if (c->kind == UPDATE) {
    s->updated[c->stage] = true;
  } else {
    if (c->kind == FORWARD)
      jobs->slot[c->stage * s->p->n_micro + c->micro] =
          free_slot (s, c->stage, c->micro);
    *finish_of (s, c->stage, c->kind, c->micro) = end;
    s->next[s->base[c->stage] + c->kind]++;
  }
  TRY (touch (s, r, r - 1));
  TRY (touch (s, r, r + 1));
  return push (s, end, end > s->now ? 0 : s->sweep + 1, r);
}

static enum status
run (struct schedule *s)
{
  int left = s->jobs->first[s->p->n_pipe];

  for (int r = 0; r < s->p->n_pipe; r++)
    TRY (push (s, s->free_at[r], 0, r));
  while (left > 0) {
    CHECK (s->n_looks > 0, "%d jobs can never start", left);
    struct look l = pop (s), *last = &s->looked[l.rank];
    s->now = l.time;
    s->sweep = l.sweep;
    if (s->free_at[l.rank] > s->now ||
        (last->time == l.time && last->sweep == l.sweep))
      continue;
    *last = l;
    int64_t wake = PLAN_NEVER;
    struct choice c = choose (s, l.rank, &wake);
    if (c.kind == NONE) {
      if (wake != PLAN_NEVER)
        TRY (push (s, wake, 0, l.rank));
      continue;
    }
    TRY (start (s, l.rank, &c));
    left--;
  }
  return OK;
}

/* -- making ------------------------------------------------------------------
 */

static int
kinds (const struct plan *p, int k)
{
  return PASS + p->n_passes[k];
}

/* How many stages ahead the nearest head is whose loss the pass carries. */
static int
nearest (const struct plan *p, const struct plan_pass *pass)
{
  int near = p->K;

  for (int i = 0; i < pass->n_in; i++) {
    int h = pass->in[i] == PLAN_OWN
                ? pass->stage
                : p->stream[pass->stage + 1][pass->in[i]].window;
    near = h < near ? h : near;
  }
  return near - pass->stage;
}

/* The stages that share a window with stage k are low[k] .. high[k]: windows
 * are intervals that contain k, so their union is one.  A stage that learns is
 * in one.  Those of which nothing learns have no sum to wait for. */
static void
set_windows (struct schedule *s)
{
  const struct plan *p = s->p;

  for (int k = 0; k < p->K; k++) {
    s->low[k] = s->high[k] = k;
    s->unreduced[k] = 0;
  }
  for (int h = 0; h < p->K; h++)
    for (int k = h;
         k >= 0 && p->window_first[h] >= 0 && p->window_first[h] <= k; k--) {
      s->high[k] = h;
      if (p->window_first[h] < s->low[k])
        s->low[k] = p->window_first[h];
    }
  for (int k = 0; k < p->K; k++)
    for (int j = s->low[k]; j <= s->high[k]; j++)
      s->unreduced[k] += updates (s, j);
}

/* How many micro-batches of a stage may be in flight.  A gradient from `reach`
 * stages ahead needs reach + 1 to come back without a gap (1f1b); eager takes
 * one more, so that a stage need not wait for it. */
static int
limit_of (const struct plan *p, int reach)
{
  int n = p->n_micro;

  if (p->order == PLAN_EAGER)
    n = reach + 2;
  else if (p->order == PLAN_1F1B)
    n = reach + 1;
  return n < p->n_micro ? n : p->n_micro;
}

static void
schedule_clear (struct schedule *s)
{
  mem_free (&s->base);
  mem_free (&s->next);
  mem_free (&s->finish);
  mem_free (&s->reduce);
  mem_free (&s->updated);
  mem_free (&s->learns);
  mem_free (&s->limit);
  mem_free (&s->reach);
  mem_free (&s->first_stage);
  mem_free (&s->free_at);
  mem_free (&s->low);
  mem_free (&s->high);
  mem_free (&s->unreduced);
  mem_free (&s->heap);
  mem_free (&s->looked);
}

static void
schedule_set (struct schedule *s, const int64_t *start_at)
{
  const struct plan *p = s->p;

  for (int r = 0; r < p->n_pipe; r++) {
    s->free_at[r] = start_at[r];
    s->looked[r].time = -1;
  }
  for (int k = 0; k < p->K; k++)
    s->learns[k] = plan_learns (p, k);
  set_windows (s);
  for (int i = 0; i < s->base[p->K] * p->n_micro; i++)
    s->finish[i] = PLAN_NEVER;
  for (int k = 0; k < p->K; k++) {
    s->first_stage[p->rank_of[k] + 1] = k + 1;
    s->reduce[k] = PLAN_NEVER;
    /* The furthest head whose gradient comes through the stage. */
    s->limit[k] = limit_of (p, s->high[k] - k);
    for (int i = 0; i < p->n_passes[k]; i++)
      s->reach[s->base[k] + PASS + i] = nearest (p, &p->pass[k][i]);
  }
}

static enum status
schedule_init (struct schedule *s, const int64_t *start_at)
{
  const struct plan *p = s->p;
  size_t K = (size_t)p->K, R = (size_t)p->n_pipe;

  TRY (MEM_NEW (K + 1, &s->base, "schedule"));
  for (int k = 0; k < p->K; k++)
    s->base[k + 1] = s->base[k] + kinds (p, k);
  size_t n = (size_t)s->base[K];
  TRY (MEM_NEW (n, &s->next, "schedule"));
  TRY (MEM_NEW (n, &s->reach, "schedule"));
  TRY (MEM_NEW (n * (size_t)p->n_micro, &s->finish, "schedule"));
  TRY (MEM_NEW (K, &s->reduce, "schedule"));
  TRY (MEM_NEW (K, &s->updated, "schedule"));
  TRY (MEM_NEW (K, &s->learns, "schedule"));
  TRY (MEM_NEW (K, &s->limit, "schedule"));
  TRY (MEM_NEW (R + 1, &s->first_stage, "schedule"));
  TRY (MEM_NEW (R, &s->free_at, "schedule"));
  TRY (MEM_NEW (R, &s->looked, "schedule"));
  TRY (MEM_NEW (K, &s->low, "schedule"));
  TRY (MEM_NEW (K, &s->high, "schedule"));
  TRY (MEM_NEW (K, &s->unreduced, "schedule"));
  schedule_set (s, start_at);
  return OK;
}

enum status
plan_schedule (const struct plan *p, const int64_t *start_at,
               struct plan_jobs *jobs)
{
  struct schedule s = {.p = p, .jobs = jobs};

  memset (jobs->n, 0, (size_t)p->n_pipe * sizeof (int));
  for (int i = 0; i < p->K * p->n_micro; i++)
    jobs->slot[i] = -1;
  enum status status = schedule_init (&s, start_at);
  if (status == OK)
    status = run (&s);
  schedule_clear (&s);
  return status;
}

enum status
plan_jobs_init (const struct plan *p, struct plan_jobs *jobs)
{
  size_t R = (size_t)p->n_pipe;

  memset (jobs, 0, sizeof *jobs);
  TRY (MEM_NEW (R + 1, &jobs->first, "jobs"));
  TRY (MEM_NEW (R, &jobs->n, "jobs"));
  for (int k = 0; k < p->K; k++) {
    int weights = plan_learns (p, k), heads = p->head[k] == PLAN_SILENT ? 0 : 2;
    jobs->first[p->rank_of[k] + 1] +=
        (1 + weights + p->n_passes[k] + heads) * p->n_micro +
        (plan_updates (p, k) ? 2 : 0);
  }
  for (int r = 0; r < p->n_pipe; r++)
    jobs->first[r + 1] += jobs->first[r];
  TRY (MEM_NEW ((size_t)jobs->first[R], &jobs->job, "jobs"));
  return MEM_NEW ((size_t)p->K * (size_t)p->n_micro, &jobs->slot, "slots");
}

void
plan_jobs_clear (struct plan_jobs *jobs)
{
  mem_free (&jobs->first);
  mem_free (&jobs->n);
  mem_free (&jobs->job);
  mem_free (&jobs->slot);
}
