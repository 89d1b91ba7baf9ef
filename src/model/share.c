/* model/share.c -- moments of the optimizer that replicas share.
 *
 * Twins hold the same weights, so one of them can update a weight for all.  Of
 * each bucket (buckets.c) twin r owns the r-th share: it alone has the moments
 * there, updates the values, and hands them out to the others.  An update goes
 * number by number, so it has the same bits whoever does it.
 *
 * Files want whole moments.  Between two batches gradients hold nothing that
 * counts, so their block is where a moment is put together, and where one that
 * was read lies until its own shares are taken.
 */
#include "model/params_impl.h"
#include <string.h>

#define LINE 16 /* floats: shares begin at a cache line of the bucket */

size_t
stage_share (size_t n, int n_twins)
{
  const size_t share = (n + (size_t)n_twins - 1) / (size_t)n_twins;
  return (share + LINE - 1) / LINE * LINE;
}

void
params_share (struct params *p, int n_twins, int twin)
{
  CHECK (!p->grad && twin >= 0 && twin < n_twins, "twin %d of %d", twin,
         n_twins);
  p->n_twins = n_twins;
  p->twin = twin;
}

/* Where the own share of a bucket begins in the block, and its floats. */
static size_t
own (const struct params *p, const struct params_bucket *b, size_t *n)
{
  const size_t share = stage_share (b->n, p->n_twins);
  const size_t at = share * (size_t)p->twin;
  *n = at >= b->n ? 0 : b->n - at < share ? b->n - at : share;
  return b->at + (at < b->n ? at : b->n);
}

enum status
params_share_cut (struct params *p, size_t *floats)
{
  size_t n;
  *floats = 0;
  if (p->n_values > 0)
    TRY (params_cut (p));
  for (int i = 0; i < p->n_buckets; i++) {
    p->bucket[i].kept = *floats;
    (void)own (p, &p->bucket[i], &n);
    *floats += (n + LINE - 1) / LINE * LINE;
  }
  return OK;
}

enum status
params_share_update (struct params *p, const struct params_rates *r)
{
  for (int i = 0; i < p->n_buckets; i++) {
    const struct params_bucket *b = &p->bucket[i];
    size_t n, at = own (p, b, &n);
    params_update_some (p, r, at, n, b->kept);
    TRY (p->taker.spread (p->taker.context, p->value + b->at, b->n));
  }
  p->spreads = true;
  params_begin (p);
  return OK;
}

enum status
params_share_end (struct params *p)
{
  if (!p->spreads)
    return OK;
  p->spreads = false;
  return params_refresh (p);
}

static float *
moment (const struct params *p, enum stage_what what)
{
  return what == STAGE_MOMENT_1 ? p->moment1 : p->moment2;
}

enum status
params_share_show (struct params *p, enum stage_what what)
{
  CHECK (!p->touched, "moments are shown between two batches");
  for (int i = 0; i < p->n_buckets; i++) {
    const struct params_bucket *b = &p->bucket[i];
    size_t n, at = own (p, b, &n);
    memcpy (p->grad + at, moment (p, what) + b->kept, n * sizeof (float));
    TRY (p->taker.spread (p->taker.context, p->grad + b->at, b->n));
  }
  p->shown = what;
  return OK;
}

void
params_share_keep (struct params *p, const struct param *q,
                   enum stage_what what)
{
  const struct params_bucket *b = &p->bucket[q->bucket];
  size_t n, at = own (p, b, &n);
  const size_t from = q->at > at ? q->at : at;
  const size_t end = q->at + q->n < at + n ? q->at + q->n : at + n;
  p->shown = STAGE_VALUE;
  if (from < end)
    memcpy (moment (p, what) + b->kept + (from - at), p->grad + from,
            (end - from) * sizeof (float));
}
