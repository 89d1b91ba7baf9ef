/* data/order.c -- which sample comes when.
 *
 * A permutation per epoch, from (seed, epoch) alone.  Two epochs are kept, the
 * odd and the even one: a batch may begin in one and end in the next, and heads
 * look up labels of earlier steps than the loader reads images of.
 */
#include "data/data_impl.h"

#include "base/memory.h"
#include "base/random.h"

struct data_order {
  int64_t n, batch;
  bool shuffle;
  uint64_t seed;
  int64_t epoch[2];   /* whose permutation is kept; -1: none yet */
  int64_t *sample[2]; /* n each; NULL in sequential order */
};

enum status
data_order_create (int64_t n, int64_t batch, bool shuffle, uint64_t seed,
                   struct data_order **out)
{
  CHECK (n > 0 && batch > 0, "an order of %lld samples by %lld", (long long)n,
         (long long)batch);
  struct data_order *o = NULL;
  TRY (MEM_NEW (1, &o, "sample order"));
  *o = (struct data_order){.n = n,
                           .batch = batch,
                           .shuffle = shuffle,
                           .seed = seed,
                           .epoch = {-1, -1}};
  enum status s = OK;
  for (int i = 0; shuffle && s == OK && i < 2; i++)
    s = MEM_NEW ((size_t)n, &o->sample[i], "sample order");
  if (s != OK)
    data_order_destroy (&o);
  else
    *out = o;
  return s;
}

void
data_order_destroy (struct data_order **o)
{
  if (!*o)
    return;
  mem_free (&(*o)->sample[0]);
  mem_free (&(*o)->sample[1]);
  mem_free (o);
}

void
data_order_sample (struct data_order *o, int64_t step, int64_t i,
                   int64_t *epoch, int64_t *sample)
{
  CHECK (step >= 0 && i >= 0 && i < o->batch, "sample %lld of step %lld",
         (long long)i, (long long)step);
  int64_t place = step * o->batch + i;
  int64_t e = place / o->n;
  int64_t at = place % o->n;
  *epoch = e;
  *sample = at;
  if (!o->shuffle)
    return;
  int half = (int)(e & 1);
  if (o->epoch[half] != e) {
    struct random_key key = {
        .seed = o->seed, .purpose = RANDOM_ORDER, .a = (uint64_t)e};
    random_permutation (&key, o->sample[half], (size_t)o->n);
    o->epoch[half] = e;
  }
  *sample = o->sample[half][at];
}

bool
data_order_shuffles (const struct data_order *o)
{
  return o->shuffle;
}

int64_t
data_order_offset (const struct data_order *o, int64_t epoch, int64_t range)
{
  struct random_key key = {
      .seed = o->seed, .purpose = RANDOM_WINDOW, .a = (uint64_t)epoch};
  return o->shuffle ? (int64_t)random_below (&key, 0, (uint64_t)range) : 0;
}
