/* model/buckets.c -- gradients that are complete are handed out while backward
 * goes on, for their sum over replicas.
 *
 * The learnable tensors of a part are cut into buckets of neighbours, from the
 * last one, whose gradient comes first, to the first.  A tensor's gradient is
 * complete when the layer that writes it in the last micro-batch has returned:
 * params_grad notes the write, and the container hands out what is complete
 * when the layer is done.  Which tensors a bucket has, and when its turn comes,
 * depends on the network alone, so it is the same in all replicas.
 */
#include "model/params_impl.h"

#define LEAST 4096 /* floats of a bucket: less is not worth a sum */

static void
clear (struct params *p)
{
  for (int i = 0; i < p->n_buckets; i++) {
    p->bucket[i].left = p->bucket[i].n_tensors;
    p->bucket[i].out = false;
  }
  for (int i = 0; i < p->n; i++)
    p->list[i].final = false;
}

/* Floats of the bucket that ends where `left` floats begin the block. */
static size_t
size_of (size_t left)
{
  const size_t part = left / 8;
  return part < LEAST ? LEAST : part < STAGE_BUCKET ? part : STAGE_BUCKET;
}

enum status
params_cut (struct params *p)
{
  size_t end = p->n_values;
  struct params_bucket *b = NULL;
  TRY (MEM_NEW ((size_t)p->n, &p->bucket, "buckets"));
  for (int i = p->n - 1; i >= 0; i--) {
    struct param *q = &p->list[i];
    if (q->statistic)
      continue;
    if (!b || b->n >= size_of (end)) {
      end = b ? b->at : p->n_values;
      b = &p->bucket[p->n_buckets++];
    }
    q->bucket = (int)(b - p->bucket);
    b->at = q->at;
    b->n = end - b->at;
    b->n_tensors++;
  }
  return OK;
}

enum status
params_buckets (struct params *p, const struct stage_taker *t)
{
  if (!p->grad || p->n_values == 0)
    return OK;
  CHECK (!p->taker.take && !p->touched,
         "buckets are made once, before the work");
  if (!p->bucket)
    TRY (params_cut (p));
  p->taker = *t;
  clear (p);
  return OK;
}

void
params_last (struct params *p, bool last)
{
  p->last = last && p->n_buckets > 0;
}

void
params_note (struct params *p, struct param *q)
{
  struct params_bucket *b = &p->bucket[q->bucket];
  CHECK (!b->out, "gradient of %s: written after its sum has begun",
         q->info.name);
  if (!p->last || q->final)
    return;
  q->final = true;
  if (--b->left == 0)
    p->complete = true;
}

static enum status
hand_out (struct params *p, bool all)
{
  p->complete = false;
  for (int i = 0; i < p->n_buckets; i++) {
    struct params_bucket *b = &p->bucket[i];
    if (b->out || (b->left > 0 && !all))
      continue;
    b->out = true;
    TRY (p->taker.take (p->taker.context, p->grad + b->at, b->n));
  }
  return OK;
}

enum status
params_hand_out (struct params *p)
{
  return hand_out (p, false);
}

enum status
params_hand_rest (struct params *p)
{
  if (p->n_buckets == 0)
    return OK;
  params_settle (p);
  return hand_out (p, true);
}

void
params_take_back (struct params *p)
{
  p->last = p->complete = false;
  if (p->n_buckets > 0)
    clear (p);
}
