/* train/flow.c -- how large what the stages hand on is, and what they follow.
 *
 * The root mean square of every stage's output, and the norm of the gradient of
 * its body: of the steps with which a row of metrics.csv ends.  No other step
 * computes them.  They ride in the ballot of their step: every replica gives
 * the squares of its own outputs, added in the order of micro-batches, and the
 * root adds replicas in order, so that no bit depends on the folding.
 */
#include "train/train_impl.h"

#include <math.h>

struct flow {
  struct session *s; /* borrowed */
  double *seen;      /* 2 K: of the newest that was read; NAN before */
};

int64_t
flow_interval (const struct design *d)
{
  return d->steps > 200 ? d->steps / 100 : 1;
}

/* Whether a row may end with step `step` (from 0). */
static bool
is_due (const struct design *d, int64_t step)
{
  return (step + 1) % flow_interval (d) == 0 || step + 1 == d->steps;
}

enum status
flow_open (struct session *s, struct flow **out)
{
  const size_t n = 2 * (size_t)s->design->K;
  if (s->design->spec.forward_only)
    return OK;
  TRY (MEM_NEW (1, out, "flow"));
  (*out)->s = s;
  TRY (MEM_NEW (n, &(*out)->seen, "flow"));
  for (size_t i = 0; i < n; i++)
    (*out)->seen[i] = NAN;
  return OK;
}

void
flow_close (struct flow **it)
{
  if (*it)
    mem_free (&(*it)->seen);
  mem_free (it);
}

void
flow_ask (struct flow *f, int64_t step)
{
  if (f)
    f->s->flow.on = is_due (f->s->design, step);
}

/* -- ballots -----------------------------------------------------------------
 */

int
flow_votes (const struct flow *f)
{
  return f ? (f->s->design->R + 1) * f->s->design->K : 0;
}

void
flow_cast (const struct flow *f, int64_t step, double *v)
{
  if (!f || !is_due (f->s->design, step))
    return;
  const struct session *s = f->s;
  const int K = s->design->K, r = wire_replica (s->wire);
  for (int i = 0; i < s->n_local; i++) {
    const int k = s->local[i].k;
    v[r * K + k] = s->flow.output[k];
    if (r == 0) /* all have the same */
      v[s->design->R * K + k] = s->flow.gradient[k];
  }
}

/* Numbers in what stage k hands on, of the whole batch. */
static double
numbers (const struct design *d, int k)
{
  struct network_unit next;
  network_unit (d->net,
                k == d->K - 1 ? network_units (d->net) - 1 : d->first[k + 1],
                &next);
  return (double)(next.in.c * next.in.h * next.in.w) * (double)d->batch;
}

void
flow_read (struct flow *f, int64_t step, const double *v)
{
  if (!f || !is_due (f->s->design, step))
    return;
  const struct design *d = f->s->design;
  const int K = d->K;
  for (int k = 0; k < K; k++) {
    double squares = 0;
    for (int r = 0; r < d->R; r++)
      squares += v[r * K + k];
    f->seen[k] = sqrt (squares / numbers (d, k));
    f->seen[K + k] = sqrt (v[d->R * K + k]);
  }
}

const double *
flow_result (const struct flow *f)
{
  return f ? f->seen : NULL;
}
