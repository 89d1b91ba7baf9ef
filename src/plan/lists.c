/* plan/lists.c -- from the order of work to the lists that ranks walk.
 *
 * Jobs are arithmetic; here messages, slots and buffers are added to them.
 *
 *   receive  directly before the operation that needs the data
 *   send     directly behind the operation that made it
 *   post     a receive is posted as early as its buffer is free: directly
 *            behind the last reader of what the buffer held before, so that MPI
 *            can write the message in place when it comes
 *
 * The first post of a buffer in a step belongs behind its last reader of the
 * step before (ahead).
 */
#include "base/memory.h"
#include "plan/plan_impl.h"
#include <limits.h>
#include <string.h>

struct list {
  struct plan_op *op;
  int n, room;
};

struct maker {
  const struct plan *p;
  const struct plan_jobs *jobs;
  bool *got;    /* by tag: the receive is in the list */
  int *pair;    /* K x n_micro: pair in use; -1: none */
  int *n_pairs; /* K */
};

static enum status
append (struct list *l, const struct plan_op *op)
{
  if (l->n == l->room) {
    int room = l->room ? 2 * l->room : 64;
    TRY (mem_grow (&l->op, (size_t)l->room, (size_t)room, sizeof *l->op,
                   "timetable"));
    l->room = room;
  }
  l->op[l->n++] = *op;
  return OK;
}

static struct plan_op
blank (const struct maker *mk, enum plan_verb verb, int stage, int micro)
{
  return (struct plan_op){
      .verb = verb,
      .stage = stage,
      .micro = micro,
      .slot = micro < 0 ? -1 : mk->jobs->slot[stage * mk->p->n_micro + micro],
      .source = -1,
      .pair = -1,
      .pass = -1,
      .stream = -1,
      .slot_to = -1,
      .peer = -1,
      .window = -1,
      .tag = -1,
  };
}

/* A message between stage and the stage `other` beside it.  A border has the
 * number of the stage above it. */
static struct plan_op
message (const struct maker *mk, enum plan_verb verb, int stage, int other,
         int stream, int micro)
{
  const struct plan *p = mk->p;
  struct plan_op op = blank (mk, verb, stage, micro);
  int border = stage > other ? stage : other;

  op.stream = stream;
  op.peer = p->rank_of[other];
  op.window = stream < 0 ? -1 : p->stream[border][stream].window;
  op.tag = plan_tag (p, stream >= 0, border, stream, micro);
  return op;
}

/* The input of a stage is a batch, a message, or the output of the stage before
 * on this same rank, which is read where it lies. */
static enum status
add_forward (struct maker *mk, const struct plan_job *j, struct list *l)
{
  const struct plan *p = mk->p;
  int k = j->stage;
  struct plan_op op = blank (mk, PLAN_FORWARD, k, j->micro), io;

  if (k == 0) {
    io = blank (mk, PLAN_TAKE, k, j->micro);
    TRY (append (l, &io));
  } else if (plan_crosses (p, k - 1)) {
    io = message (mk, PLAN_RECV_ACT, k, k - 1, -1, j->micro);
    TRY (append (l, &io));
  } else {
    op.source = mk->jobs->slot[(k - 1) * p->n_micro + j->micro];
  }
  TRY (append (l, &op));
  if (!plan_crosses (p, k))
    return OK;
  io = message (mk, PLAN_SEND_ACT, k, k + 1, -1, j->micro);
  return append (l, &io);
}

/* The lowest number of a pair that is free.  A pair is the room in which a pass
 * that learns leaves what WEIGHTS needs: the more WEIGHTS are put off, the more
 * pairs a stage has to have. */
static int
take_pair (struct maker *mk, int k, int m)
{
  int n = mk->p->n_micro, *pair = mk->pair + k * n;

  for (int i = 0;; i++) {
    bool taken = false;
    for (int j = 0; j < n; j++)
      taken = taken || pair[j] == i;
    if (taken)
      continue;
    pair[m] = i;
    if (i >= mk->n_pairs[k])
      mk->n_pairs[k] = i + 1;
    return i;
  }
}

/* A stream that two passes read is received once, before the first of them. */
static enum status
add_pass (struct maker *mk, const struct plan_job *j, struct list *l)
{
  const struct plan *p = mk->p;
  int k = j->stage;
  const struct plan_pass *pass = &p->pass[k][j->pass];
  struct plan_op op = blank (mk, PLAN_PASS, k, j->micro), io;

  for (int i = 0; i < pass->n_in; i++) {
    if (pass->in[i] == PLAN_OWN || !plan_crosses (p, k))
      continue;
    io = message (mk, PLAN_RECV_GRAD, k, k + 1, pass->in[i], j->micro);
    if (mk->got[io.tag])
      continue;
    mk->got[io.tag] = true;
    TRY (append (l, &io));
  }
  op.pass = j->pass;
  op.stream = pass->out;
  if (pass->learn)
    op.pair = take_pair (mk, k, j->micro);
  if (pass->out >= 0 && !plan_crosses (p, k - 1))
    op.slot_to = mk->jobs->slot[(k - 1) * p->n_micro + j->micro];
  TRY (append (l, &op));
  if (pass->out < 0 || !plan_crosses (p, k - 1))
    return OK;
  io = message (mk, PLAN_SEND_GRAD, k, k - 1, pass->out, j->micro);
  return append (l, &io);
}

static enum status
add_job (struct maker *mk, const struct plan_job *j, struct list *l)
{
  struct plan_op op;

  if (j->verb == PLAN_FORWARD)
    return add_forward (mk, j, l);
  if (j->verb == PLAN_PASS)
    return add_pass (mk, j, l);
  op = blank (mk, j->verb, j->stage, j->micro);
  if (j->verb == PLAN_WEIGHTS) {
    int *pair = &mk->pair[j->stage * mk->p->n_micro + j->micro];
    op.pair = *pair;
    *pair = -1;
  }
  return append (l, &op);
}

/* -- posts -------------------------------------------------------------------
 */

static bool
is_receive (const struct plan_op *op)
{
  return op->verb == PLAN_RECV_ACT || op->verb == PLAN_RECV_GRAD;
}

/* op reads what the receive brought for the micro-batch `micro`. */
static bool
reads (const struct plan *p, const struct plan_op *op,
       const struct plan_op *receive, int micro)
{
  const struct plan_pass *pass;
  bool head = op->verb == PLAN_HEAD || op->verb == PLAN_HEAD_WEIGHTS;

  if (op->stage != receive->stage || op->micro != micro)
    return false;
  if (receive->verb == PLAN_RECV_ACT) {
    /* The last stage may have an empty body: its head then reads its input. */
    return op->verb == PLAN_FORWARD || op->verb == PLAN_PASS ||
           op->verb == PLAN_WEIGHTS || (head && op->stage == p->K - 1);
  }
  if (op->verb == PLAN_PASS)
    pass = &p->pass[op->stage][op->pass];
  else if (op->verb == PLAN_WEIGHTS) /* cotangents are kept until then */
    pass = &p->pass[op->stage][plan_learner (p, op->stage)];
  else
    return false;
  for (int i = 0; i < pass->n_in; i++)
    if (pass->in[i] == receive->stream)
      return true;
  return false;
}

/* The post of receive number i: *after is the index behind which it goes.
 * `before` is the receive that used the same buffer last: going back from i,
 * and round the end of the list, which is the step before. */
static struct plan_op
post_of (const struct plan *p, const struct list *l, int i, int *after)
{
  const struct plan_op *receive = &l->op[i];
  struct plan_op post = *receive;
  int before = i;

  do {
    before = before > 0 ? before - 1 : l->n - 1;
  } while (l->op[before].verb != receive->verb ||
           l->op[before].stage != receive->stage ||
           l->op[before].stream != receive->stream ||
           l->op[before].slot != receive->slot);
  post.verb = receive->verb == PLAN_RECV_ACT ? PLAN_POST_ACT : PLAN_POST_GRAD;
  post.ahead = before >= i;
  *after = -1;
  for (int j = 0; j < l->n; j++)
    if (reads (p, &l->op[j], receive, l->op[before].micro))
      *after = j;
  CHECK (*after >= 0, "nobody reads a receive of stage %d", receive->stage);
  return post;
}

static enum status
add_posts (const struct plan *p, const struct list *in, struct list *out)
{
  struct post {
    struct plan_op op;
    int after;
  } * post;
  int n = 0;
  enum status s = OK;

  TRY (MEM_NEW ((size_t)in->n, &post, "posts"));
  for (int i = 0; i < in->n; i++)
    if (is_receive (&in->op[i])) {
      post[n].op = post_of (p, in, i, &post[n].after);
      n++;
    }
  for (int i = 0; s == OK && i < in->n; i++) {
    s = append (out, &in->op[i]);
    for (int j = 0; s == OK && j < n; j++)
      if (post[j].after == i)
        s = append (out, &post[j].op);
  }
  mem_free (&post);
  return s;
}

/* -- weights on the way ------------------------------------------------------
 */

/* Another rank may wait for what comes after op. */
static bool
is_outside (const struct plan *p, const struct plan_op *op)
{
  return op->verb == PLAN_SEND_ACT || op->verb == PLAN_SEND_GRAD ||
         (op->verb == PLAN_REDUCE && p->n_replicas > 1);
}

/* A pass that learns and its WEIGHTS are faster as one call, which finds the
 * gradients still in the cache.  They are joined only where no other rank has
 * to wait longer for it: no message leaves between the two.  And only where the
 * next WEIGHTS of the stage is that of the same micro-batch, so that the sums
 * over micro-batches keep their order. */
static void
join_weights (const struct plan *p, struct plan_op *op, int n)
{
  for (int i = 0; i < n; i++) {
    if (op[i].verb != PLAN_PASS || op[i].pair < 0)
      continue;
    for (int j = i + 1; j < n && !is_outside (p, &op[j]); j++) {
      if (op[j].verb != PLAN_WEIGHTS || op[j].stage != op[i].stage ||
          op[j].joined)
        continue;
      op[i].joined = op[j].joined = op[j].micro == op[i].micro;
      break;
    }
  }
}

/* -- the whole ---------------------------------------------------------------
 */

/* What the rank does when all its gradients are there, where stages have to
 * agree first (norms for clipping, a shared matrix). */
static enum status
add_joint (const struct maker *mk, int r, struct list *l)
{
  const struct plan *p = mk->p;
  const bool shares = plan_rank_shares (p, r) > 0;
  int first = 0;
  bool norms = false;

  while (p->rank_of[first] != r)
    first++;
  for (int k = first; k < p->K && p->rank_of[k] == r; k++)
    norms = norms || p->n_passes[k] > 0 || plan_updates (p, k);
  struct plan_op op = blank (mk, PLAN_GATHER, first, -1);
  if (shares)
    TRY (append (l, &op));
  op.verb = PLAN_NORM;
  if (p->norms && norms) /* else it is in no window */
    TRY (append (l, &op));
  for (int k = first; k < p->K && p->rank_of[k] == r; k++) {
    struct plan_op update = blank (mk, PLAN_UPDATE, k, -1);
    if (plan_updates (p, k))
      TRY (append (l, &update));
  }
  op.verb = PLAN_SPREAD;
  return shares ? append (l, &op) : OK;
}

static enum status
make_rank (struct maker *mk, struct plan *p, int r)
{
  struct list plain = {0}, whole = {0};
  const struct plan_jobs *jobs = mk->jobs;
  enum status s = OK;

  for (int i = jobs->first[r]; s == OK && i < jobs->first[r + 1]; i++)
    if (!plan_is_joint (p) || jobs->job[i].verb != PLAN_UPDATE)
      s = add_job (mk, &jobs->job[i], &plain);
  if (s == OK)
    s = add_posts (p, &plain, &whole);
  if (s == OK && plan_is_joint (p))
    s = add_joint (mk, r, &whole);
  mem_free (&plain.op);
  join_weights (p, whole.op, whole.n);
  p->rank[r].op = whole.op;
  p->rank[r].n_ops = whole.n;
  p->rank[r].first_stage = p->K;
  for (int k = p->K - 1; k >= 0; k--)
    if (p->rank_of[k] == r) {
      p->rank[r].first_stage = k;
      if (p->rank[r].end_stage == 0)
        p->rank[r].end_stage = k + 1;
    }
  return s;
}

void
plan_lists_clear (struct plan *p)
{
  for (int r = 0; p->rank && r < p->n_pipe; r++) {
    mem_free (&p->rank[r].op);
    p->rank[r].n_ops = 0;
  }
}

enum status
plan_lists (struct plan *p, const struct plan_jobs *jobs)
{
  struct maker mk = {.p = p, .jobs = jobs, .n_pairs = p->n_pairs};
  int n = p->K * p->n_micro;
  enum status s;

  plan_lists_clear (p);
  if (plan_tags (p) > INT_MAX)
    TRY_GOTO (fail (E_LIMIT,
                    "%d stages x %d micro-batches: more messages in a step "
                    "than can be numbered",
                    p->K, p->n_micro),
              out);
  TRY_GOTO (MEM_NEW ((size_t)plan_tags (p), &mk.got, "tags"), out);
  TRY_GOTO (MEM_NEW ((size_t)n, &mk.pair, "pairs"), out);
  for (int i = 0; i < n; i++)
    mk.pair[i] = -1;
  for (int k = 0; k < p->K; k++) {
    p->n_pairs[k] = plan_learns (p, k) ? 1 : 0;
    p->n_slots[k] = 1;
    for (int m = 0; m < p->n_micro; m++)
      if (jobs->slot[k * p->n_micro + m] >= p->n_slots[k])
        p->n_slots[k] = jobs->slot[k * p->n_micro + m] + 1;
  }
  for (int r = 0; s == OK && r < p->n_pipe; r++)
    s = make_rank (&mk, p, r);
out:
  mem_free (&mk.got);
  mem_free (&mk.pair);
  return s;
}
