/* store/order.c -- which sample comes when.
 *
 * A permutation per epoch, from (seed, epoch) alone.  Two epochs are kept, by
 * parity: a batch may begin in one and end in the next, and ranks further down
 * the pipe ask for labels of an earlier step than the loader reads.
 */
#include "store/dataset_impl.h"

#include "base/memory.h"
#include "base/random.h"

struct store_order {
  int64_t n, batch;
  bool shuffle;
  uint64_t seed;
  int64_t epoch[2];   /* whose permutation is kept; -1: none yet */
  int64_t *sample[2]; /* n each; NULL in sequential order */
};

enum status
store_order_create (int64_t n, int64_t batch, bool shuffle, uint64_t seed,
                    struct store_order **out)
{
  CHECK (n > 0 && batch > 0, "an order of %lld samples by %lld", (long long)n,
         (long long)batch);
  struct store_order *o = NULL;
  TRY (MEM_NEW (1, &o, "sample order"));
  *o = (struct store_order){.n = n,
                            .batch = batch,
                            .shuffle = shuffle,
                            .seed = seed,
                            .epoch = {-1, -1}};
  enum status s = OK;
  for (int i = 0; shuffle && s == OK && i < 2; i++)
    s = MEM_NEW ((size_t)n, &o->sample[i], "sample order");
  if (s != OK)
    store_order_destroy (&o);
  else
    *out = o;
  return s;
}

void
store_order_destroy (struct store_order **o)
{
  if (!*o)
    return;
  mem_free (&(*o)->sample[0]);
  mem_free (&(*o)->sample[1]);
  mem_free (o);
}

void
store_order_sample (struct store_order *o, int64_t step, int64_t i,
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
store_order_shuffles (const struct store_order *o)
{
  return o->shuffle;
}

int64_t
store_order_offset (const struct store_order *o, int64_t epoch, int64_t range)
{
  struct random_key key = {
      .seed = o->seed, .purpose = RANDOM_WINDOW, .a = (uint64_t)epoch};
  return o->shuffle ? (int64_t)random_below (&key, 0, (uint64_t)range) : 0;
}

enum status
store_take_labels (const struct store_dataset *d, enum store_split split,
                   struct store_order *o, int64_t step, int64_t first,
                   int64_t n, int32_t *labels)
{
  const int32_t *all = store_labels (d, split);
  for (int64_t i = 0; i < n; i++) {
    int64_t epoch, sample;
    store_order_sample (o, step, first + i, &epoch, &sample);
    if (all)
      labels[i] = all[sample];
    else
      TRY (store_tokens_labels (d, split, o, epoch, sample,
                                labels + i * d->context));
  }
  return OK;
}
