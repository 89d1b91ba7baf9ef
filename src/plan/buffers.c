/* plan/buffers.c -- which gradients on a rank may lie in the same memory.
 *
 * A gradient that goes from one stage of a rank to the next one below is born
 * in the pass that makes it and dies with its last reader.  The list tells both
 * moments, and so which of them live at once: like intervals on a line, they
 * need as many buffers as live at the busiest moment, where each takes any one
 * that is free.  Between them no gradient of this kind lives from one step to
 * the next.
 *
 * Those that come from other ranks or go there are not looked at here: their
 * buffers belong to messages that are under way at any time.
 */
#include "base/memory.h"
#include "plan/plan_impl.h"

/* Gradients are numbered as in plan_buffers.of, operations as in the list; -1:
 * none. */
struct lives {
  const struct plan *p;
  const struct plan_rank *rank;
  int *born, *dies; /* by operation: the gradient that is born; the first of
                       those that die */
  int *next;        /* by gradient: another one that dies with it */
  int *end;         /* by gradient: the last reader so far */
  int *free;        /* by border: a buffer of its size that is free */
  int *also;        /* by buffer: another one */
};

static int
gradients (const struct plan *p, const struct plan_rank *r)
{
  if (r->end_stage - r->first_stage < 2)
    return 0;
  return (p->streams_below[r->end_stage] -
          p->streams_below[r->first_stage + 1]) *
         p->n_micro;
}

/* The number of a gradient over a border inside the rank; -1: it is of
 * another. */
static int
number (const struct plan *p, const struct plan_rank *r, int border, int stream,
        int micro)
{
  if (border <= r->first_stage || border >= r->end_stage || stream < 0 ||
      stream >= p->n_streams[border] || micro < 0 || micro >= p->n_micro)
    return -1;
  return (p->streams_below[border] - p->streams_below[r->first_stage + 1] +
          stream) *
             p->n_micro +
         micro;
}

int
plan_buffer (const struct plan *p, const struct plan_buffers *b, int border,
             int stream, int micro)
{
  const int i = number (p, &p->rank[b->rank], border, stream, micro);

  return i < 0 ? -1 : b->of[i];
}

static void
lives_clear (struct lives *x)
{
  mem_free (&x->born);
  mem_free (&x->dies);
  mem_free (&x->next);
  mem_free (&x->end);
  mem_free (&x->free);
  mem_free (&x->also);
}

static enum status
fresh (size_t n, int **out)
{
  TRY (MEM_NEW (n, out, "buffers"));
  for (size_t i = 0; i < n; i++)
    (*out)[i] = -1;
  return OK;
}

static enum status
lives_init (struct lives *x, const struct plan *p, const struct plan_rank *rank)
{
  const size_t n = (size_t)gradients (p, rank), ops = (size_t)rank->n_ops;

  *x = (struct lives){.p = p, .rank = rank};
  TRY (fresh (ops, &x->born));
  TRY (fresh (ops, &x->dies));
  TRY (fresh (n, &x->next));
  TRY (fresh (n, &x->end));
  TRY (fresh ((size_t)p->K, &x->free));
  return fresh (n, &x->also);
}

/* The pass whose gradients operation o reads, or has read for the last time
 * only then: WEIGHTS borrow them, unless their pass has done their work. */
static const struct plan_pass *
reads (const struct plan *p, const struct plan_op *o)
{
  int i = -1;

  if (o->stage < 0 || o->stage >= p->K)
    return NULL;
  if (o->verb == PLAN_PASS)
    i = o->pass;
  else if (o->verb == PLAN_WEIGHTS && !o->joined)
    i = plan_learner (p, o->stage);
  return i < 0 || i >= p->n_passes[o->stage] ? NULL : &p->pass[o->stage][i];
}

static void
find (struct lives *x)
{
  const struct plan *p = x->p;

  for (int i = 0; i < x->rank->n_ops; i++) {
    const struct plan_op *o = &x->rank->op[i];
    const struct plan_pass *pass = reads (p, o);
    if (!pass)
      continue;
    for (int j = 0; j < pass->n_in; j++) {
      int id = number (p, x->rank, o->stage + 1, pass->in[j], o->micro);
      if (id >= 0)
        x->end[id] = i;
    }
    if (o->verb != PLAN_PASS)
      continue;
    x->born[i] = number (p, x->rank, o->stage, pass->out, o->micro);
    if (x->born[i] >= 0)
      x->end[x->born[i]] = i;
  }
  for (int id = gradients (p, x->rank) - 1; id >= 0; id--)
    if (x->end[id] >= 0) {
      x->next[id] = x->dies[x->end[id]];
      x->dies[x->end[id]] = id;
    }
}

/* The lowest border of the rank whose gradients are as large. */
static int
like (const struct lives *x, int border)
{
  const struct plan_cost *cost = x->p->cost;
  int b = x->rank->first_stage + 1;

  while (cost[b - 1].output_bytes != cost[border - 1].output_bytes)
    b++;
  return b;
}

/* What dies with an operation still lives in it: a pass cannot write over what
 * it reads. */
static void
share (struct lives *x, struct plan_buffers *b)
{
  for (int i = 0; i < x->rank->n_ops; i++) {
    const int id = x->born[i];
    if (id >= 0) {
      const int border = like (x, x->rank->op[i].stage);
      int at = x->free[border];
      if (at >= 0)
        x->free[border] = x->also[at];
      else
        b->border[at = b->n++] = border;
      b->of[id] = at;
    }
    for (int d = x->dies[i]; d >= 0; d = x->next[d]) {
      const int at = b->of[d];
      if (at < 0)
        continue;
      x->also[at] = x->free[b->border[at]];
      x->free[b->border[at]] = at;
    }
  }
}

enum status
plan_buffers_make (const struct plan *p, int rank, struct plan_buffers *out)
{
  const struct plan_rank *r = &p->rank[rank];
  const size_t n = (size_t)gradients (p, r);
  struct lives x = {0};
  enum status s;

  *out = (struct plan_buffers){.rank = rank};
  if (n == 0)
    return OK;
  TRY_GOTO (fresh (n, &out->of), out);
  TRY_GOTO (fresh (n, &out->border), out);
  TRY_GOTO (lives_init (&x, p, r), out);
  find (&x);
  share (&x, out);
out:
  lives_clear (&x);
  if (s != OK)
    plan_buffers_clear (out);
  return s;
}

void
plan_buffers_clear (struct plan_buffers *b)
{
  mem_free (&b->of);
  mem_free (&b->border);
  b->n = 0;
}
