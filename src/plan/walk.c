/* plan/walk.c -- a slow, obvious checker of timetables.
 *
 * Every rank is a machine that does its list in order, several steps long.
 * Every buffer is a cell that knows which step and micro-batch it holds and,
 * for gradients, which sum of losses.  A message moves when it is both sent and
 * posted; until then the sender's cell may not be written (the rank waits) and
 * the receiver's cell may not be read (a fault).  Whatever reads a cell looks
 * for the owner it expects.  Nothing here is shared with the files that make
 * timetables, on purpose.
 */
#include "base/memory.h"
#include "plan/plan.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum state { EMPTY, POSTED, LANDED, FULL };
enum kind { INPUT, OUTPUT, HEAD, COTANGENT, OUTGOING, PAIR };

struct cell {
  enum state state;
  int step, micro;
  int sends;   /* under way from here */
  int source;  /* of OUTPUT: slot of the stage before; -1: own input */
  int slot;    /* of PAIR: whose cotangents and activations it needs */
  double *sum; /* K, over heads; gradients only */
};

struct letter {
  int from, to, window, tag;
  int stage;  /* border */
  int stream; /* -1: activation */
  bool sent, posted;
  int step, micro; /* as sent */
  struct cell *src, *dst;
};

struct stage_state {
  int version; /* updates done */
  int reduced; /* reductions started */
  struct cell *cell;
  int first[PAIR + 2]; /* first cell of a kind */
  int *count;          /* done in this step: see enum counted, then passes */
  double *sums;
};
enum counted { TAKES, FORWARDS, HEADS, WEIGHTS, HEAD_WEIGHTS, PASSES };

struct walk {
  const struct plan *p;
  int n_steps;
  struct stage_state *stage;
  int *step, *at; /* per rank */
  struct letter *letter;
  int n_letters, room;
  /* of the operation in hand */
  int rank, now;
  const struct plan_op *op;
  bool blocked;
};

#define NEED(w, cond, ...)           \
  do {                               \
    if (!(cond))                     \
      return bad ((w), __VA_ARGS__); \
  } while (0)

__attribute__ ((format (printf, 2, 3))) static enum status
bad (const struct walk *w, const char *fmt, ...)
{
  char text[200];
  va_list args;

  va_start (args, fmt);
  vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  return fail (E_FAULT,
               "timetable: rank %d, step %d, op %d (%s, stage %d, "
               "micro-batch %d, slot %d): %s",
               w->rank, w->step[w->rank], w->at[w->rank],
               plan_verb_name (w->op->verb), w->op->stage, w->op->micro,
               w->op->slot, text);
}

/* -- cells -------------------------------------------------------------------
 */

static int
width (const struct plan *p, enum kind kind, int k)
{
  switch (kind) {
  case COTANGENT:
    return p->n_streams[k + 1] * p->n_slots[k];
  case OUTGOING:
    return p->n_streams[k] * p->n_slots[k];
  case PAIR:
    return p->n_pairs[k];
  default:
    return p->n_slots[k];
  }
}

/* NULL when slot or stream does not exist. */
static struct cell *
cell (const struct walk *w, enum kind kind, int k, int stream, int slot)
{
  const struct stage_state *st = &w->stage[k];
  int n = kind == PAIR ? w->p->n_pairs[k] : w->p->n_slots[k];
  int i = stream * n + slot;

  if (slot < 0 || slot >= n || stream < 0 || i >= width (w->p, kind, k))
    return NULL;
  return &st->cell[st->first[kind] + i];
}

static bool
holds (const struct walk *w, const struct cell *c, int micro)
{
  return c && c->state == FULL && c->step == w->now && c->micro == micro;
}

static void
put_in (const struct walk *w, struct cell *c)
{
  c->state = FULL;
  c->step = w->now;
  c->micro = w->op->micro;
}

static enum status
stage_open (const struct walk *w, int k)
{
  const struct plan *p = w->p;
  struct stage_state *st = &w->stage[k];
  size_t K = (size_t)p->K;

  for (int kind = INPUT; kind <= PAIR; kind++)
    st->first[kind + 1] = st->first[kind] + width (p, (enum kind)kind, k);
  size_t n = (size_t)st->first[PAIR + 1];
  TRY (MEM_NEW (n, &st->cell, "walk"));
  TRY (MEM_NEW (n * K, &st->sums, "walk"));
  for (size_t i = 0; i < n; i++)
    st->cell[i].sum = st->sums + i * K;
  return MEM_NEW ((size_t)(PASSES + p->n_passes[k]), &st->count, "walk");
}

/* The input of the forward whose output is in `out` is still there. */
static bool
input_there (const struct walk *w, int k, int slot, int micro)
{
  const struct cell *out = cell (w, OUTPUT, k, 0, slot);

  if (!holds (w, out, micro))
    return false;
  if (out->source < 0)
    return holds (w, cell (w, INPUT, k, 0, slot), micro);
  return holds (w, cell (w, OUTPUT, k - 1, 0, out->source), micro);
}

/* What the pass adds up is still there. */
static bool
cotangents_there (const struct walk *w, const struct plan_pass *pass, int slot,
                  int micro)
{
  for (int i = 0; i < pass->n_in; i++) {
    const struct cell *c =
        pass->in[i] == PLAN_OWN
            ? cell (w, HEAD, pass->stage, 0, slot)
            : cell (w, COTANGENT, pass->stage, pass->in[i], slot);
    if (!holds (w, c, micro))
      return false;
  }
  return true;
}

static bool
same_sum (const struct plan *p, const double *a, const double *b)
{
  for (int h = 0; h < p->K; h++)
    if (!(fabs (a[h] - b[h]) <= 1e-12 * fmax (1, fabs (b[h]))))
      return false;
  return true;
}

/* Kinds of work of a stage go through the micro-batches in order. */
static enum status
next_of (const struct walk *w, int which)
{
  int *count = &w->stage[w->op->stage].count[which];

  NEED (w, w->op->micro == *count, "its turn is micro-batch %d", *count);
  ++*count;
  return OK;
}

/* -- messages ----------------------------------------------------------------
 */

static bool
is_act (enum plan_verb v)
{
  return v == PLAN_POST_ACT || v == PLAN_RECV_ACT || v == PLAN_SEND_ACT;
}

/* The first letter between these ends that is not yet sent (sending) or not yet
 * posted (posting) or just the first (receiving). */
static struct letter *
find (const struct walk *w, bool sending, bool posting, int from, int to)
{
  for (int i = 0; i < w->n_letters; i++) {
    struct letter *l = &w->letter[i];
    if (l->from == from && l->to == to && l->window == w->op->window &&
        l->tag == w->op->tag && !(sending && l->sent) &&
        !(posting && l->posted) && (sending || posting || l->posted))
      return l;
  }
  return NULL;
}

static enum status
new_letter (struct walk *w, int from, int to, struct letter **out)
{
  if (w->n_letters == w->room) {
    int room = w->room ? 2 * w->room : 64;
    TRY (mem_grow (&w->letter, (size_t)w->room, (size_t)room, sizeof *w->letter,
                   "walk"));
    w->room = room;
  }
  struct letter *l = &w->letter[w->n_letters++];
  *l = (struct letter){.from = from,
                       .to = to,
                       .window = w->op->window,
                       .tag = w->op->tag,
                       .stream = w->op->stream};
  *out = l;
  return OK;
}

/* Sent and posted: the data moves. */
static void
deliver (const struct walk *w, struct letter *l)
{
  if (!l->sent || !l->posted)
    return;
  if (l->src->sum && l->dst->sum)
    memcpy (l->dst->sum, l->src->sum, (size_t)w->p->K * sizeof (double));
  l->dst->state = LANDED;
  l->src->sends--;
}

/* Peer, border and communicator fit the operation. */
static enum status
check_ends (const struct walk *w)
{
  const struct plan *p = w->p;
  const struct plan_op *o = w->op;
  bool act = is_act (o->verb);
  bool down = o->verb == PLAN_SEND_GRAD || (act && o->verb != PLAN_SEND_ACT);
  int other = down ? o->stage - 1 : o->stage + 1;
  int border = down ? o->stage : o->stage + 1;

  NEED (w, other >= 0 && other < p->K, "no stage %d", other);
  NEED (w, p->rank_of[other] == o->peer && o->peer != w->rank,
        "peer %d, but stage %d is on rank %d", o->peer, other,
        p->rank_of[other]);
  if (act) {
    NEED (w, o->window == -1 && o->stream == -1, "activation in window %d",
          o->window);
    return OK;
  }
  NEED (w, o->stream >= 0 && o->stream < p->n_streams[border],
        "no stream %d at border %d", o->stream, border);
  NEED (w,
        o->window >= border && o->window < p->K &&
            p->window_first[o->window] >= 0 &&
            p->window_first[o->window] < border &&
            p->stream[border][o->stream].weight[o->window] != 0,
        "window %d does not carry stream %d over border %d", o->window,
        o->stream, border);
  return OK;
}

static struct cell *
receiving_cell (const struct walk *w)
{
  const struct plan_op *o = w->op;
  return is_act (o->verb) ? cell (w, INPUT, o->stage, 0, o->slot)
                          : cell (w, COTANGENT, o->stage, o->stream, o->slot);
}

static enum status
do_post (struct walk *w)
{
  struct letter *l;
  struct cell *c = receiving_cell (w);

  TRY (check_ends (w));
  NEED (w, c, "no such buffer");
  NEED (w, c->state != POSTED && c->state != LANDED,
        "the buffer waits for another message");
  c->state = POSTED;
  c->step = w->now + (w->op->ahead ? 1 : 0);
  c->micro = w->op->micro;
  l = find (w, false, true, w->op->peer, w->rank);
  if (!l)
    TRY (new_letter (w, w->op->peer, w->rank, &l));
  l->posted = true;
  l->dst = c;
  deliver (w, l);
  return OK;
}

static enum status
do_send (struct walk *w)
{
  const struct plan_op *o = w->op;
  struct letter *l;
  struct cell *c = o->verb == PLAN_SEND_ACT
                       ? cell (w, OUTPUT, o->stage, 0, o->slot)
                       : cell (w, OUTGOING, o->stage, o->stream, o->slot);

  TRY (check_ends (w));
  NEED (w, holds (w, c, o->micro), "the data is not there");
  l = find (w, true, false, w->rank, o->peer);
  if (!l)
    TRY (new_letter (w, w->rank, o->peer, &l));
  NEED (w, l->stream == o->stream, "tag %d also means another message", o->tag);
  l->sent = true;
  l->src = c;
  l->step = w->now;
  l->micro = o->micro;
  l->stage = o->verb == PLAN_SEND_ACT ? o->stage + 1 : o->stage - 1;
  c->sends++;
  deliver (w, l);
  return OK;
}

static enum status
do_receive (struct walk *w)
{
  const struct plan_op *o = w->op;
  struct letter *l = find (w, false, false, o->peer, w->rank);
  struct cell *c = receiving_cell (w);

  TRY (check_ends (w));
  NEED (w, l, "nothing was posted");
  NEED (w, l->dst == c, "posted into another buffer");
  if (!l->sent) {
    w->blocked = true;
    return OK;
  }
  NEED (w,
        l->step == w->now && l->micro == o->micro && l->stage == o->stage &&
            l->stream == o->stream,
        "got step %d, micro-batch %d, stream %d for stage %d", l->step,
        l->micro, l->stream, l->stage);
  NEED (w, c->state == LANDED && c->step == w->now && c->micro == o->micro,
        "posted for step %d, micro-batch %d", c->step, c->micro);
  if (o->verb == PLAN_RECV_GRAD)
    NEED (w,
          same_sum (w->p, c->sum, w->p->stream[o->stage + 1][o->stream].weight),
          "not the sum of losses of its stream");
  c->state = FULL;
  size_t behind = (size_t)(w->letter + w->n_letters - l - 1);
  memmove (l, l + 1, behind * sizeof *l);
  w->n_letters--;
  return OK;
}

/* -- work --------------------------------------------------------------------
 */

static enum status
do_take (struct walk *w)
{
  struct cell *c = cell (w, INPUT, w->op->stage, 0, w->op->slot);

  NEED (w, w->op->stage == 0, "only the first stage takes images");
  NEED (w, c, "no such slot");
  put_in (w, c);
  return next_of (w, TAKES);
}

static enum status
do_forward (struct walk *w)
{
  const struct plan_op *o = w->op;
  int k = o->stage;
  bool own = k == 0 || w->p->rank_of[k - 1] != w->rank;
  struct cell *out = cell (w, OUTPUT, k, 0, o->slot);
  const struct cell *in = own ? cell (w, INPUT, k, 0, o->slot)
                              : cell (w, OUTPUT, k - 1, 0, o->source);

  NEED (w, out, "no such slot");
  NEED (w, own == (o->source < 0), "source %d", o->source);
  NEED (w, holds (w, in, o->micro), "the input is not there");
  NEED (w, w->stage[k].version == w->now, "weights of version %d",
        w->stage[k].version);
  if (out->sends > 0) {
    w->blocked = true;
    return OK;
  }
  put_in (w, out);
  out->source = o->source;
  return next_of (w, FORWARDS);
}

/* The last stage may have an empty body: then its head reads its input. */
static bool
input_if_last (const struct walk *w)
{
  const struct plan_op *o = w->op;
  return o->stage < w->p->K - 1 || input_there (w, o->stage, o->slot, o->micro);
}

static enum status
do_head (struct walk *w)
{
  const struct plan_op *o = w->op;
  struct cell *c = cell (w, HEAD, o->stage, 0, o->slot);

  NEED (w, w->p->head[o->stage] != PLAN_SILENT, "a silent head");
  NEED (w, holds (w, cell (w, OUTPUT, o->stage, 0, o->slot), o->micro),
        "the output is not there");
  NEED (w, input_if_last (w), "the input is not there");
  put_in (w, c);
  memset (c->sum, 0, (size_t)w->p->K * sizeof (double));
  c->sum[o->stage] = w->p->head[o->stage] == PLAN_ACTIVE ? 1 : 0;
  return next_of (w, HEADS);
}

/* Where the pass puts what it makes; NULL with *s OK: nowhere. */
static enum status
pass_target (struct walk *w, const struct plan_pass *pass, struct cell **to)
{
  const struct plan_op *o = w->op;
  int k = o->stage;

  *to = NULL;
  NEED (w, o->stream == pass->out, "stream %d for %d", o->stream, pass->out);
  if (pass->out < 0 || w->p->rank_of[k - 1] != w->rank) {
    NEED (w, o->slot_to == -1, "slot_to %d", o->slot_to);
    if (pass->out < 0)
      return OK;
    *to = cell (w, OUTGOING, k, pass->out, o->slot);
  } else {
    NEED (w, holds (w, cell (w, OUTPUT, k - 1, 0, o->slot_to), o->micro),
          "slot %d of the stage before is not for it", o->slot_to);
    *to = cell (w, COTANGENT, k - 1, pass->out, o->slot_to);
  }
  NEED (w, *to, "no buffer for the result");
  return OK;
}

static void
add_up (const struct walk *w, const struct plan_pass *pass, double *sum)
{
  for (int h = 0; h < w->p->K; h++)
    sum[h] = 0;
  for (int i = 0; i < pass->n_in; i++) {
    const struct cell *c =
        pass->in[i] == PLAN_OWN
            ? cell (w, HEAD, pass->stage, 0, w->op->slot)
            : cell (w, COTANGENT, pass->stage, pass->in[i], w->op->slot);
    for (int h = 0; h < w->p->K; h++)
      sum[h] += pass->coef[i] * c->sum[h];
  }
}

static enum status
take_pair (struct walk *w)
{
  const struct plan_op *o = w->op;
  struct cell *pair = cell (w, PAIR, o->stage, 0, o->pair);

  NEED (w, pair, "no pair %d", o->pair);
  NEED (w, pair->state == EMPTY, "pair %d is in use", o->pair);
  put_in (w, pair);
  pair->slot = o->slot;
  return OK;
}

static enum status
do_pass (struct walk *w)
{
  const struct plan *p = w->p;
  const struct plan_op *o = w->op;
  int k = o->stage;
  struct cell *to;

  NEED (w, o->pass >= 0 && o->pass < p->n_passes[k], "no pass %d", o->pass);
  const struct plan_pass *pass = &p->pass[k][o->pass];
  NEED (w, input_there (w, k, o->slot, o->micro), "activations are gone");
  NEED (w, w->stage[k].version == w->now, "weights of version %d",
        w->stage[k].version);
  NEED (w, cotangents_there (w, pass, o->slot, o->micro),
        "a gradient of pass %d is not there", o->pass);
  TRY (pass_target (w, pass, &to));
  if (to && to->sends > 0) {
    w->blocked = true;
    return OK;
  }
  double *sum;
  enum status s = OK;
  TRY (MEM_NEW ((size_t)p->K, &sum, "walk"));
  add_up (w, pass, sum);
  if (pass->learn && !same_sum (p, sum, p->route + k * p->K))
    s = bad (w, "learns from other losses than its row of the table says");
  if (to) {
    if (!same_sum (p, sum, p->stream[k][pass->out].weight))
      s = bad (w, "stream %d gets other losses than it names", pass->out);
    put_in (w, to);
    memcpy (to->sum, sum, (size_t)p->K * sizeof (double));
  }
  mem_free (&sum);
  if (s == OK && pass->learn)
    s = take_pair (w);
  if (s == OK && !pass->learn && o->pair != -1)
    s = bad (w, "pair %d for a pass that does not learn", o->pair);
  return s == OK ? next_of (w, PASSES + o->pass) : s;
}

static enum status
do_weights (struct walk *w)
{
  const struct plan *p = w->p;
  const struct plan_op *o = w->op;
  struct cell *pair = cell (w, PAIR, o->stage, 0, o->pair);

  NEED (w, holds (w, pair, o->micro) && pair->slot == o->slot,
        "pair %d is not for it", o->pair);
  NEED (w, input_there (w, o->stage, o->slot, o->micro),
        "activations are gone");
  for (int i = 0; i < p->n_passes[o->stage]; i++) {
    const struct plan_pass *pass = &p->pass[o->stage][i];
    NEED (w, !pass->learn || cotangents_there (w, pass, o->slot, o->micro),
          "a gradient of pass %d is gone", i);
  }
  pair->state = EMPTY;
  return next_of (w, WEIGHTS);
}

static enum status
do_head_weights (struct walk *w)
{
  const struct plan_op *o = w->op;

  NEED (w, holds (w, cell (w, HEAD, o->stage, 0, o->slot), o->micro),
        "the head has not run");
  NEED (w, holds (w, cell (w, OUTPUT, o->stage, 0, o->slot), o->micro),
        "the output is gone");
  NEED (w, input_if_last (w), "the input is gone");
  return next_of (w, HEAD_WEIGHTS);
}

static enum status
do_reduce (struct walk *w)
{
  int k = w->op->stage;
  struct stage_state *st = &w->stage[k];
  bool head = w->p->head[k] != PLAN_SILENT;

  for (int i = FORWARDS; i < PASSES + w->p->n_passes[k]; i++) {
    int want = (i == HEADS || i == HEAD_WEIGHTS) && !head ? 0 : w->p->n_micro;
    NEED (w, st->count[i] == want, "before its last gradient (kind %d: %d)", i,
          st->count[i]);
  }
  NEED (w, st->reduced == w->now, "twice in one step");
  st->reduced++;
  return OK;
}

/* Waits as the norms of windows would, which are sums over their stages. */
static enum status
do_update (struct walk *w)
{
  const struct plan *p = w->p;
  int k = w->op->stage;
  struct stage_state *st = &w->stage[k];

  NEED (w, st->reduced == w->now + 1, "before the gradients are summed");
  NEED (w, st->version == w->now, "twice in one step");
  for (int h = k; h < p->K; h++) {
    int first = p->window_first[h];
    for (int j = first; first >= 0 && first <= k && j <= h; j++)
      w->blocked = w->blocked || w->stage[j].reduced <= w->now;
  }
  if (w->blocked)
    return OK;
  st->version++;
  memset (st->count, 0, (size_t)(PASSES + p->n_passes[k]) * sizeof *st->count);
  return OK;
}

static enum status
do_op (struct walk *w)
{
  const struct plan_rank *rank = &w->p->rank[w->rank];
  const struct plan_op *o = w->op;

  w->blocked = false;
  NEED (w,
        o->stage >= rank->first_stage && o->stage < rank->end_stage &&
            w->p->rank_of[o->stage] == w->rank,
        "a stage of another rank");
  bool once = o->verb == PLAN_REDUCE || o->verb == PLAN_UPDATE;
  NEED (w, once ? o->micro == -1 : o->micro >= 0 && o->micro < w->p->n_micro,
        "no such micro-batch");
  switch (o->verb) {
  case PLAN_TAKE:
    return do_take (w);
  case PLAN_POST_ACT:
  case PLAN_POST_GRAD:
    return do_post (w);
  case PLAN_RECV_ACT:
  case PLAN_RECV_GRAD:
    return do_receive (w);
  case PLAN_SEND_ACT:
  case PLAN_SEND_GRAD:
    return do_send (w);
  case PLAN_FORWARD:
    return do_forward (w);
  case PLAN_HEAD:
    return do_head (w);
  case PLAN_PASS:
    return do_pass (w);
  case PLAN_WEIGHTS:
    return do_weights (w);
  case PLAN_HEAD_WEIGHTS:
    return do_head_weights (w);
  case PLAN_REDUCE:
    return do_reduce (w);
  case PLAN_UPDATE:
    return do_update (w);
  default:
    return bad (w, "no such verb");
  }
}

/* -- ranks -------------------------------------------------------------------
 */

/* The posts for the first step. */
static enum status
begin (struct walk *w)
{
  for (int r = 0; r < w->p->n_pipe; r++)
    for (int i = 0; i < w->p->rank[r].n_ops; i++) {
      if (!w->p->rank[r].op[i].ahead)
        continue;
      w->rank = r;
      w->at[r] = i;
      w->op = &w->p->rank[r].op[i];
      w->now = -1; /* ahead: for step 0 */
      TRY (do_post (w));
    }
  memset (w->at, 0, (size_t)w->p->n_pipe * sizeof (int));
  return OK;
}

static enum status
end_of_list (const struct walk *w)
{
  const struct plan_rank *rank = &w->p->rank[w->rank];

  for (int k = rank->first_stage; k < rank->end_stage; k++)
    NEED (w, w->stage[k].version == w->now + 1, "stage %d was not updated", k);
  return OK;
}

/* One rank as far as it goes. */
static enum status
advance (struct walk *w, int r, bool *moved)
{
  const struct plan_rank *rank = &w->p->rank[r];

  w->rank = r;
  while (w->step[r] < w->n_steps) {
    w->op = &rank->op[w->at[r]];
    w->now = w->step[r];
    TRY (do_op (w));
    if (w->blocked)
      return OK;
    *moved = true;
    if (w->at[r] + 1 < rank->n_ops) {
      w->at[r]++;
      continue;
    }
    TRY (end_of_list (w));
    w->at[r] = 0;
    w->step[r]++;
  }
  return OK;
}

/* All that is left are the posts for a step that will not come. */
static enum status
end (const struct walk *w)
{
  int n = 0;

  for (int r = 0; r < w->p->n_pipe; r++)
    for (int i = 0; i < w->p->rank[r].n_ops; i++)
      n += w->p->rank[r].op[i].ahead;
  for (int i = 0; i < w->n_letters; i++)
    if (w->letter[i].sent)
      return fail (E_FAULT,
                   "timetable: a message from rank %d to %d, tag %d, "
                   "is never received",
                   w->letter[i].from, w->letter[i].to, w->letter[i].tag);
  if (n != w->n_letters)
    return fail (E_FAULT, "timetable: %d posts left over, %d expected",
                 w->n_letters, n);
  return OK;
}

static enum status
run (struct walk *w)
{
  TRY (begin (w));
  for (bool moved = true; moved;) {
    moved = false;
    for (int r = 0; r < w->p->n_pipe; r++)
      TRY (advance (w, r, &moved));
  }
  for (int r = 0; r < w->p->n_pipe; r++) {
    if (w->step[r] == w->n_steps)
      continue;
    w->rank = r;
    w->op = &w->p->rank[r].op[w->at[r]];
    return bad (w, "deadlock: waits for ever");
  }
  return end (w);
}

static void
walk_clear (struct walk *w)
{
  for (int k = 0; w->stage && k < w->p->K; k++) {
    mem_free (&w->stage[k].cell);
    mem_free (&w->stage[k].sums);
    mem_free (&w->stage[k].count);
  }
  mem_free (&w->stage);
  mem_free (&w->step);
  mem_free (&w->at);
  mem_free (&w->letter);
}

enum status
plan_walk (const struct plan *p, int n_steps)
{
  struct walk w = {.p = p, .n_steps = n_steps};
  enum status s;

  for (int r = 0; r < p->n_pipe; r++)
    if (p->rank[r].n_ops == 0)
      return fail (E_FAULT, "timetable: rank %d has nothing to do", r);
  TRY_GOTO (MEM_NEW ((size_t)p->K, &w.stage, "walk"), out);
  TRY_GOTO (MEM_NEW ((size_t)p->n_pipe, &w.step, "walk"), out);
  TRY_GOTO (MEM_NEW ((size_t)p->n_pipe, &w.at, "walk"), out);
  for (int k = 0; k < p->K; k++)
    TRY_GOTO (stage_open (&w, k), out);
  s = run (&w);
out:
  walk_clear (&w);
  return s;
}
