/* plan/simulate.c -- how long a timetable takes.
 *
 * Each rank has a clock and runs its list in order.  A message is complete
 * `transfer` ticks after it was both sent and posted.  A receive waits for
 * that, and so does an operation that writes a buffer from which an earlier
 * message is still being sent.
 *
 * Replicas do the same at the same times, so their sums wait for nobody: those
 * of a rank go through its link one after the other.  The sum of a body's
 * gradients begins with the last WEIGHTS of the stage, whose layers give them
 * evenly, and is there when both that and the link are done; UPDATE and NORM
 * wait for it.
 *
 * A rank is run until it needs a message whose time is not known yet; it is
 * queued again when that becomes known.  The result does not depend on the
 * order in which ranks are run, since times follow from the lists alone.
 */
#include "base/memory.h"
#include "plan/plan_impl.h"
#include <math.h>
#include <string.h>

#define HASH_PRIME 1099511628211u /* FNV's, of 64 bits */

int64_t
plan_verb_ticks (const struct plan *p, enum plan_verb v, int stage)
{
  const struct plan_cost *c = &p->cost[stage];

  switch (v) {
  case PLAN_FORWARD:
    return plan_ticks (c->forward);
  case PLAN_HEAD:
    return plan_ticks (c->head);
  case PLAN_PASS:
    return plan_ticks (c->data);
  case PLAN_WEIGHTS:
    return plan_ticks (c->weights);
  case PLAN_HEAD_WEIGHTS:
    return plan_ticks (c->head_weights);
  case PLAN_UPDATE:
    return plan_learns (p, stage) ? plan_ticks (c->update) : 0;
  default:
    return 0;
  }
}

int64_t
plan_op_ticks (const struct plan *p, const struct plan_op *op)
{
  const struct plan_cost *c = &p->cost[op->stage];

  /* The arithmetic of a joined pair happens in the pass, but its time stays
   * where it was, less what joining saves. */
  if (op->verb == PLAN_WEIGHTS && op->joined)
    return plan_ticks (fmax (0, c->weights - c->saved));
  if (op->verb == PLAN_PASS && op->stream < 0)
    return plan_ticks (c->data - c->input);
  if (op->verb == PLAN_GATHER || op->verb == PLAN_NORM ||
      op->verb == PLAN_SPREAD)
    return plan_joint_ticks (p, op->verb, p->rank_of[op->stage]);
  return plan_verb_ticks (p, op->verb, op->stage);
}

int64_t
plan_message_ticks (const struct plan *p, int border)
{
  double s = p->latency_s;

  if (p->bytes_per_s > 0)
    s += p->cost[border - 1].output_bytes / p->bytes_per_s;
  return plan_ticks (s);
}

/* The part of a plan_op that a simulation needs.  Long pipes have millions of
 * them and go through them many times, so they should be small. */
struct step_op {
  int64_t ticks;
  int stage, tag, peer;
  int wait_tag;            /* the send that must be complete before; -1: none */
  unsigned char wait_back; /* ... of this step (0) or the one before (1) */
  unsigned char verb, ahead;
  bool last; /* of its micro-batches: gradients are complete behind it */
};

/* A message may be posted for the next step while that of this one is on its
 * way: two places, index tag * 2 + step % 2. */
struct mail {
  int64_t sent_step, post_step; /* -1: never */
  int64_t sent, post;           /* ticks */
};

/* The norm of a window: how many ranks have begun with it, and when the last of
 * them did. */
struct sum {
  int step, n;
  int64_t begun;
};

struct machine {
  const struct plan *p;
  int n_steps, tail;
  const struct plan_note *note;
  int64_t *end, *idle;
  uint64_t *trace;       /* n_pipe x n_steps, as end; NULL: not wanted */
  uint64_t *hash;        /* n_pipe: of the step under way */
  int64_t *begun_at;     /* n_pipe: when the rank began it */
  struct step_op **list; /* n_pipe */
  struct mail *mail;
  int64_t *transfer; /* by tag */
  int64_t *clock;    /* n_pipe */
  int *step, *at;    /* n_pipe: where the rank is */
  int *last;         /* by buffer: index of its last send; see set_waits */
  int *offset;       /* K + 1: first buffer of a stage */
  int *queue;        /* n_pipe: ranks to be taken on, a ring */
  bool *queued;      /* n_pipe */
  int first, n_queued;
  struct mail *relay[2]; /* n_pipe: the shared matrix as the rank hands it on,
                            up and down, with its receive by the next one */
  int *next[2];          /* n_pipe: the rank it goes to; -1: none */
  struct sum *sum;       /* 2 K: norm of window h, step % 2 */
  int *last_head;        /* n_pipe: of the windows the rank is in */
  bool *begun;           /* n_pipe: with the norms of this step */
  int64_t *link;         /* n_pipe: when sums over replicas have left it */
  int64_t *summed;       /* K: when those of the stage are there */
};
enum { UP, DOWN };

static void
machine_clear (struct machine *x)
{
  for (int r = 0; x->list && r < x->p->n_pipe; r++)
    mem_free (&x->list[r]);
  mem_free (&x->list);
  mem_free (&x->mail);
  mem_free (&x->transfer);
  mem_free (&x->clock);
  mem_free (&x->step);
  mem_free (&x->at);
  mem_free (&x->last);
  mem_free (&x->offset);
  mem_free (&x->queue);
  mem_free (&x->queued);
  mem_free (&x->relay[UP]);
  mem_free (&x->relay[DOWN]);
  mem_free (&x->next[UP]);
  mem_free (&x->next[DOWN]);
  mem_free (&x->sum);
  mem_free (&x->last_head);
  mem_free (&x->begun);
  mem_free (&x->link);
  mem_free (&x->summed);
  mem_free (&x->hash);
  mem_free (&x->begun_at);
}

/* Number of the buffer that op sends from or writes for sending; -1: none. */
static int
outgoing (const struct machine *x, const struct plan_op *op)
{
  const struct plan *p = x->p;
  int k = op->stage, index;

  if (op->verb == PLAN_SEND_ACT ||
      (op->verb == PLAN_FORWARD && plan_crosses (p, k)))
    index = 0;
  else if (op->verb == PLAN_SEND_GRAD ||
           (op->verb == PLAN_PASS && op->stream >= 0 &&
            plan_crosses (p, k - 1)))
    index = 1 + op->stream;
  else
    return -1;
  return x->offset[k] + index * p->n_slots[k] + op->slot;
}

/* For each operation that writes an outgoing buffer, the send from it that came
 * last.  Going twice through the list finds those of the step before, too. */
static void
set_waits (struct machine *x, int r)
{
  const struct plan_rank *rank = &x->p->rank[r];
  struct step_op *list = x->list[r];

  for (int i = 0; i < 2 * rank->n_ops; i++) {
    struct step_op *o = &list[i % rank->n_ops];
    int b = outgoing (x, &rank->op[i % rank->n_ops]);
    bool sends = o->verb == PLAN_SEND_ACT || o->verb == PLAN_SEND_GRAD;
    if (b < 0)
      continue;
    if (sends) {
      x->last[b] = i;
    } else if (i >= rank->n_ops && x->last[b] >= 0) {
      o->wait_tag = list[x->last[b] % rank->n_ops].tag;
      o->wait_back = x->last[b] < rank->n_ops;
    }
  }
}

static enum status
joint_init (struct machine *x)
{
  const struct plan *p = x->p;
  size_t R = (size_t)p->n_pipe;

  for (int way = UP; way <= DOWN; way++) {
    int before = -1;
    TRY (MEM_NEW (R, &x->relay[way], "simulation"));
    TRY (MEM_NEW (R, &x->next[way], "simulation"));
    for (int i = 0; i < p->n_pipe; i++) {
      int r = way == UP ? p->n_pipe - 1 - i : i;
      x->relay[way][r].sent_step = x->relay[way][r].post_step = -1;
      x->next[way][r] = before;
      if (plan_rank_shares (p, r) > 0)
        before = r;
    }
  }
  TRY (MEM_NEW (2 * (size_t)p->K, &x->sum, "simulation"));
  TRY (MEM_NEW (R, &x->last_head, "simulation"));
  TRY (MEM_NEW (R, &x->begun, "simulation"));
  TRY (MEM_NEW (R, &x->link, "simulation"));
  TRY (MEM_NEW ((size_t)p->K, &x->summed, "simulation"));
  for (int i = 0; i < 2 * p->K; i++)
    x->sum[i].step = -1;
  for (int h = 0; p->norms && h < p->K; h++)
    for (int k = p->window_first[h]; k >= 0 && k <= h; k++)
      x->last_head[p->rank_of[k]] = h;
  return OK;
}

static enum status
machine_init (struct machine *x)
{
  const struct plan *p = x->p;
  size_t R = (size_t)p->n_pipe, n_tags = (size_t)plan_tags (p);

  TRY (joint_init (x));
  TRY (MEM_NEW (R, &x->list, "simulation"));
  TRY (MEM_NEW (2 * n_tags, &x->mail, "simulation"));
  TRY (MEM_NEW (n_tags, &x->transfer, "simulation"));
  TRY (MEM_NEW (R, &x->clock, "simulation"));
  TRY (MEM_NEW (R, &x->step, "simulation"));
  TRY (MEM_NEW (R, &x->at, "simulation"));
  TRY (MEM_NEW ((size_t)p->K + 1, &x->offset, "simulation"));
  TRY (MEM_NEW (R, &x->queue, "simulation"));
  TRY (MEM_NEW (R, &x->queued, "simulation"));
  TRY (MEM_NEW (R, &x->hash, "simulation"));
  TRY (MEM_NEW (R, &x->begun_at, "simulation"));
  for (int k = 0; k < p->K; k++)
    x->offset[k + 1] = x->offset[k] + (1 + p->n_streams[k]) * p->n_slots[k];
  TRY (MEM_NEW ((size_t)x->offset[p->K], &x->last, "simulation"));
  for (int i = 0; i < x->offset[p->K]; i++)
    x->last[i] = -1;
  for (size_t i = 0; i < 2 * n_tags; i++)
    x->mail[i] = (struct mail){.sent_step = -1, .post_step = -1};
  for (int r = 0; r < p->n_pipe; r++) {
    const struct plan_rank *rank = &p->rank[r];
    TRY (MEM_NEW ((size_t)rank->n_ops, &x->list[r], "simulation"));
    for (int i = 0; i < rank->n_ops; i++) {
      const struct plan_op *op = &rank->op[i];
      x->list[r][i] = (struct step_op){
          .ticks = plan_op_ticks (p, op),
          .stage = op->stage,
          .tag = op->tag,
          .peer = op->peer,
          .wait_tag = -1,
          .verb = (unsigned char)op->verb,
          .ahead = op->ahead,
          .last = op->micro == p->n_micro - 1,
      };
      if (op->verb == PLAN_SEND_ACT)
        x->transfer[op->tag] = plan_message_ticks (p, op->stage + 1);
      else if (op->verb == PLAN_SEND_GRAD)
        x->transfer[op->tag] = plan_message_ticks (p, op->stage);
      if (op->ahead) /* done once before the first step */
        x->mail[2 * op->tag].post_step = 0;
    }
    set_waits (x, r);
  }
  return OK;
}

/* When the message is complete; NEVER: not known yet. */
static int64_t
arrival (const struct machine *x, int tag, int step)
{
  const struct mail *m = &x->mail[2 * tag + (step & 1)];

  if (m->sent_step != step || m->post_step != step)
    return PLAN_NEVER;
  return (m->sent > m->post ? m->sent : m->post) + x->transfer[tag];
}

static void
wake (struct machine *x, int r)
{
  if (x->queued[r])
    return;
  x->queued[r] = true;
  x->queue[(x->first + x->n_queued++) % x->p->n_pipe] = r;
}

/* The rank cannot go on before t: false when that is not known yet. */
static bool
wait_until (struct machine *x, int r, int stage, int64_t t)
{
  if (t == PLAN_NEVER)
    return false;
  if (t > x->clock[r]) {
    if (x->step[r] >= x->n_steps - x->tail)
      x->idle[stage] += t - x->clock[r];
    x->clock[r] = t;
  }
  return true;
}

static bool
work (struct machine *x, int r, const struct step_op *o)
{
  if (x->note)
    x->note->call (x->note->context, r, x->step[r], &x->p->rank[r].op[x->at[r]],
                   x->clock[r], x->clock[r] + o->ticks);
  x->clock[r] += o->ticks;
  return true;
}

/* One more time of the step that rank r is in, since it began with it. */
static void
note_time (struct machine *x, int r, int64_t t)
{
  x->hash[r] = (x->hash[r] ^ (uint64_t)(t - x->begun_at[r])) * HASH_PRIME;
}

/* A replica sends and receives all that it does not own, twice. */
static int64_t
sum_ticks (const struct plan *p, double bytes)
{
  double moved = 2 * bytes * (p->n_replicas - 1) / p->n_replicas;
  return p->bytes_per_s > 0 ? plan_ticks (moved / p->bytes_per_s) : 0;
}

/* Gradients of the stage that came from time `from` on are complete now. */
static void
begin_sum (struct machine *x, int r, int k, double bytes, int64_t from)
{
  const struct plan *p = x->p;

  if (p->n_replicas == 1 || bytes == 0)
    return;
  int64_t start = x->link[r] > from ? x->link[r] : from;
  int64_t end = start + sum_ticks (p, bytes);
  x->link[r] = end > x->clock[r] ? end : x->clock[r];
  x->summed[k] = x->link[r] + 2 * plan_ticks (p->latency_s);
  note_time (x, r, x->summed[k]);
}

/* Those of stage k, or of all stages of the rank from k on. */
static void
await_sums (struct machine *x, int r, int k, bool all)
{
  for (int j = k; j < x->p->K && x->p->rank_of[j] == r; j++) {
    wait_until (x, r, j, x->summed[j]);
    if (!all)
      return;
  }
}

/* The matrix of the last stage's head is complete when all have added their
 * parts. */
static bool
sums_late (const struct plan *p, int k)
{
  return p->shares && k == p->K - 1;
}

/* The shared matrix moves one rank on: it comes from the rank before and goes
 * to the next one.  The rank does not wait until its own message has left. */
static bool
do_relay (struct machine *x, int r, const struct step_op *o, int way)
{
  int step = x->step[r], from = x->next[1 - way][r], to = x->next[way][r];
  struct mail *mine = &x->relay[way][r];

  if (from >= 0) {
    struct mail *m = &x->relay[way][from];
    if (m->post_step != step) {
      m->post_step = step;
      m->post = x->clock[r];
    }
    if (m->sent_step != step)
      return false;
    int64_t t = m->sent > m->post ? m->sent : m->post;
    wait_until (x, r, o->stage, t + plan_share_ticks (x->p));
  }
  work (x, r, o);
  if (way == UP && x->p->rank_of[x->p->K - 1] == r)
    begin_sum (x, r, x->p->K - 1, x->p->cost[x->p->K - 1].head_bytes,
               x->clock[r]);
  mine->sent_step = step;
  mine->sent = x->clock[r];
  if (to >= 0)
    wake (x, to);
  return true;
}

static bool
in_window (const struct plan *p, int r, int h)
{
  int first = p->window_first[h];

  return first >= 0 && p->rank_of[first] <= r && r <= p->rank_of[h];
}

static void
begin_norm (struct machine *x, int r, int h)
{
  const struct plan *p = x->p;
  int step = x->step[r], low = p->rank_of[p->window_first[h]];
  int high = p->rank_of[h];
  struct sum *s = &x->sum[2 * h + (step & 1)];

  if (s->step != step)
    *s = (struct sum){.step = step};
  s->n++;
  s->begun = x->clock[r] > s->begun ? x->clock[r] : s->begun;
  for (int q = low; s->n == high - low + 1 && q <= high; q++)
    if (q != r)
      wake (x, q);
}

/* Norms of all windows are begun together; each is there when all its ranks
 * have begun. */
static bool
do_norm (struct machine *x, int r, const struct step_op *o)
{
  const struct plan *p = x->p;
  int64_t there = x->clock[r];
  int first = o->stage, step = x->step[r];

  if (!x->begun[r]) {
    await_sums (x, r, o->stage, true);
    work (x, r, o);
    x->begun[r] = true;
    for (int h = first; h <= x->last_head[r]; h++)
      if (in_window (p, r, h))
        begin_norm (x, r, h);
  }
  for (int h = first; h <= x->last_head[r]; h++) {
    const struct sum *s = &x->sum[2 * h + (step & 1)];
    if (!in_window (p, r, h))
      continue;
    int n = p->rank_of[h] - p->rank_of[p->window_first[h]] + 1;
    if (s->n < n)
      return false;
    int64_t t = s->begun + plan_norm_ticks (p, n);
    there = t > there ? t : there;
  }
  x->begun[r] = false;
  return wait_until (x, r, o->stage, there);
}

/* Weight gradients, and the sums that follow. */
static bool
do_weights (struct machine *x, int r, const struct step_op *o)
{
  const struct plan_cost *c = &x->p->cost[o->stage];
  int64_t from = x->clock[r];

  work (x, r, o);
  if (o->last && o->verb == PLAN_WEIGHTS)
    begin_sum (x, r, o->stage, c->sum_bytes, from);
  else if (o->last && !sums_late (x->p, o->stage))
    begin_sum (x, r, o->stage, c->head_bytes, x->clock[r]);
  return true;
}

/* One operation of rank r; false when it has to wait for a time that is not
 * known yet.  Posts and sends take no time of their own, and may wake the other
 * side. */
static bool
do_op (struct machine *x, int r, const struct step_op *o)
{
  int step = x->step[r], tag = o->tag;
  struct mail *m;

  switch ((enum plan_verb)o->verb) {
  case PLAN_POST_ACT:
  case PLAN_POST_GRAD:
    step += o->ahead;
    m = &x->mail[2 * tag + (step & 1)];
    m->post_step = step;
    m->post = x->clock[r];
    wake (x, o->peer);
    return true;
  case PLAN_SEND_ACT:
  case PLAN_SEND_GRAD:
    m = &x->mail[2 * tag + (step & 1)];
    m->sent_step = step;
    m->sent = x->clock[r];
    wake (x, o->peer);
    return true;
  case PLAN_RECV_ACT:
  case PLAN_RECV_GRAD:
    return wait_until (x, r, o->stage, arrival (x, tag, step));
  case PLAN_GATHER:
    return do_relay (x, r, o, UP);
  case PLAN_SPREAD:
    return do_relay (x, r, o, DOWN);
  case PLAN_NORM:
    return do_norm (x, r, o);
  case PLAN_WEIGHTS:
  case PLAN_HEAD_WEIGHTS:
    return do_weights (x, r, o);
  case PLAN_UPDATE:
    await_sums (x, r, o->stage, false);
    return work (x, r, o);
  default:
    break;
  }
  step -= o->wait_back;
  if (o->wait_tag >= 0 && step >= 0 &&
      !wait_until (x, r, o->stage, arrival (x, o->wait_tag, step)))
    return false;
  return work (x, r, o);
}

static void
end_step (struct machine *x, int r)
{
  const int64_t at = (int64_t)r * x->n_steps + x->step[r];

  x->at[r] = 0;
  x->step[r]++;
  x->end[at] = x->clock[r];
  if (x->trace)
    x->trace[at] = x->hash[r];
  x->hash[r] = 0;
  x->begun_at[r] = x->clock[r];
}

/* As far as it goes. */
static void
advance (struct machine *x, int r)
{
  while (x->step[r] < x->n_steps) {
    if (!do_op (x, r, &x->list[r][x->at[r]]))
      return;
    note_time (x, r, x->clock[r]);
    if (++x->at[r] == x->p->rank[r].n_ops)
      end_step (x, r);
  }
}

static enum status
run (struct machine *x)
{
  const struct plan *p = x->p;

  for (int r = 0; r < p->n_pipe; r++)
    wake (x, r);
  while (x->n_queued > 0) {
    int r = x->queue[x->first];
    x->first = (x->first + 1) % p->n_pipe;
    x->n_queued--;
    x->queued[r] = false;
    advance (x, r);
  }
  for (int r = 0; r < p->n_pipe; r++)
    if (x->step[r] < x->n_steps) {
      const struct plan_op *op = &p->rank[r].op[x->at[r]];
      return fail (E_FAULT,
                   "timetable stands still: rank %d, step %d, op %d "
                   "(%s of stage %d, micro-batch %d)",
                   r, x->step[r], x->at[r], plan_verb_name (op->verb),
                   op->stage, op->micro);
    }
  return OK;
}

enum status
plan_simulate (const struct plan *p, int n_steps, int tail,
               const struct plan_note *note, int64_t *end, int64_t *idle,
               uint64_t *trace)
{
  struct machine x = {.p = p,
                      .n_steps = n_steps,
                      .tail = tail,
                      .note = note,
                      .end = end,
                      .idle = idle,
                      .trace = trace};
  enum status s;

  memset (idle, 0, (size_t)p->K * sizeof *idle);
  TRY_GOTO (machine_init (&x), out);
  s = run (&x);
out:
  machine_clear (&x);
  return s;
}
