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

/* What is known of a rank's list before the posts are put in.  A lane is what
 * one border brings a stage: lane of a stage: 0 activations, 1 + i stream i.
 * Tables begin at `base` of the stage. */
struct lanes {
  const struct plan *p;
  int first, end;   /* stages of the rank */
  int *base;        /* end - first + 1: lanes of the stages before */
  int *last_reader; /* lane x n_micro: index of the last operation that reads
                       what came for the micro-batch; -1: none */
  int *last;        /* lane x slots: index of the last receive into the buffer,
                       n_micro places each, since there are no more slots */
};

static int *
lane_of (const struct lanes *x, int *table, int stage, int lane, int place)
{
  return table + (x->base[stage - x->first] + lane) * x->p->n_micro + place;
}

static enum status
lanes_init (struct lanes *x, const struct plan *p, int first, int end)
{
  *x = (struct lanes){.p = p, .first = first, .end = end};
  TRY (MEM_NEW ((size_t)(end - first) + 1, &x->base, "posts"));
  for (int k = first; k < end; k++)
    x->base[k - first + 1] =
        x->base[k - first] + 1 + (k + 1 < p->K ? p->n_streams[k + 1] : 0);
  const size_t n = (size_t)x->base[end - first] * (size_t)p->n_micro;
  TRY (MEM_NEW (n, &x->last_reader, "posts"));
  TRY (MEM_NEW (n, &x->last, "posts"));
  for (size_t i = 0; i < n; i++)
    x->last_reader[i] = x->last[i] = -1;
  return OK;
}

static void
lanes_clear (struct lanes *x)
{
  mem_free (&x->base);
  mem_free (&x->last_reader);
  mem_free (&x->last);
}

/* The lanes that operation i reads. */
static void
note_reader (const struct lanes *x, const struct plan_op *op, int i)
{
  const struct plan *p = x->p;
  const struct plan_pass *pass = NULL;
  const int k = op->stage;
  const bool head = op->verb == PLAN_HEAD || op->verb == PLAN_HEAD_WEIGHTS;

  if (op->verb == PLAN_PASS)
    pass = &p->pass[k][op->pass];
  else if (op->verb == PLAN_WEIGHTS) /* cotangents are kept until then */
    pass = &p->pass[k][plan_learner (p, k)];
  /* The last stage may have an empty body: its head then reads its input. */
  if (pass || op->verb == PLAN_FORWARD || (head && k == p->K - 1))
    *lane_of (x, x->last_reader, k, 0, op->micro) = i;
  for (int j = 0; pass && j < pass->n_in; j++)
    if (pass->in[j] != PLAN_OWN)
      *lane_of (x, x->last_reader, k, 1 + pass->in[j], op->micro) = i;
}

static int *
last_receive (const struct lanes *x, const struct plan_op *op)
{
  const int lane = op->verb == PLAN_RECV_ACT ? 0 : 1 + op->stream;

  return lane_of (x, x->last, op->stage, lane, op->slot);
}

/* The post of receive number i, behind operation *after: `before` is the
 * receive that used the same buffer last, in this step or (ahead) in the one
 * before. */
static struct plan_op
post_of (const struct lanes *x, const struct list *l, int i, int *after)
{
  const struct plan_op *receive = &l->op[i];
  const int lane = receive->verb == PLAN_RECV_ACT ? 0 : 1 + receive->stream;
  int *last = last_receive (x, receive), before = *last;
  struct plan_op post = *receive;

  *last = i;
  post.verb = receive->verb == PLAN_RECV_ACT ? PLAN_POST_ACT : PLAN_POST_GRAD;
  post.ahead = before >= i;
  *after =
      *lane_of (x, x->last_reader, receive->stage, lane, l->op[before].micro);
  CHECK (*after >= 0, "nobody reads a receive of stage %d", receive->stage);
  return post;
}

/* A post and the next one that goes behind the same operation. */
struct post {
  struct plan_op op;
  int next;
};

/* Puts those of `in` behind their operations; behind[i]: the last post of
 * operation i, whose next is the first one; -1: none. */
static void
make_posts (const struct lanes *x, const struct list *in, struct post *post,
            int *behind)
{
  int n = 0, after;

  for (int i = 0; i < in->n; i++) {
    behind[i] = -1;
    note_reader (x, &in->op[i], i);
    if (is_receive (&in->op[i])) /* of the step before, as seen from this one */
      *last_receive (x, &in->op[i]) = i;
  }
  for (int i = 0; i < in->n; i++) {
    if (!is_receive (&in->op[i]))
      continue;
    post[n].op = post_of (x, in, i, &after);
    post[n].next = behind[after] < 0 ? n : post[behind[after]].next;
    if (behind[after] >= 0)
      post[behind[after]].next = n;
    behind[after] = n++;
  }
}

static enum status
add_posts (const struct lanes *x, const struct list *in, struct list *out)
{
  struct post *post = NULL;
  int *behind = NULL;
  enum status s;

  TRY_GOTO (MEM_NEW ((size_t)in->n, &post, "posts"), out);
  TRY_GOTO (MEM_NEW ((size_t)in->n, &behind, "posts"), out);
  make_posts (x, in, post, behind);
  for (int i = 0; s == OK && i < in->n; i++) {
    s = append (out, &in->op[i]);
    for (int j = behind[i]; s == OK && j >= 0;) {
      j = post[j].next;
      s = append (out, &post[j].op);
      j = j == behind[i] ? -1 : j;
    }
  }
out:
  mem_free (&post);
  mem_free (&behind);
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
  struct lanes lanes = {0};
  const struct plan_jobs *jobs = mk->jobs;
  int first = 0, end;
  enum status s = OK;

  while (p->rank_of[first] != r)
    first++;
  for (end = first; end < p->K && p->rank_of[end] == r;)
    end++;
  for (int i = jobs->first[r]; s == OK && i < jobs->first[r + 1]; i++)
    if (!plan_is_joint (p) || jobs->job[i].verb != PLAN_UPDATE)
      s = add_job (mk, &jobs->job[i], &plain);
  if (s == OK)
    s = lanes_init (&lanes, p, first, end);
  if (s == OK)
    s = add_posts (&lanes, &plain, &whole);
  if (s == OK && plan_is_joint (p))
    s = add_joint (mk, r, &whole);
  lanes_clear (&lanes);
  mem_free (&plain.op);
  join_weights (p, whole.op, whole.n);
  p->rank[r] = (struct plan_rank){first, end, whole.n, whole.op};
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
