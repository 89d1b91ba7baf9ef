/* ranks: 0 */
/* tests/data/order.c -- the sample order: whole epochs, repeatable from any
 * place, wrapping in the middle of a batch.
 */
#include "data/data.h"
#include "tests/tap.h"

#include "base/memory.h"
#include "base/random.h"

enum { N = 101, BATCH = 12, EPOCHS = 5 };

/* Each sample once per epoch, and the epoch as counted. */
static bool
epochs_are_whole (struct data_order *o)
{
  for (int64_t e = 0; e < EPOCHS; e++) {
    int seen[N] = {0};
    for (int64_t p = e * N; p < (e + 1) * N; p++) {
      int64_t epoch, sample;
      data_order_sample (o, p / BATCH, p % BATCH, &epoch, &sample);
      if (epoch != e || sample < 0 || sample >= N || seen[sample]++)
        return false;
    }
  }
  return true;
}

/* How many of the places of two orders agree over some epochs. */
static int
same_places (struct data_order *a, struct data_order *b)
{
  int n = 0;
  for (int64_t p = 0; p < N * 2; p++) {
    int64_t ea, eb, sa, sb;
    data_order_sample (a, p / BATCH, p % BATCH, &ea, &sa);
    data_order_sample (b, p / BATCH, p % BATCH, &eb, &sb);
    n += sa == sb;
  }
  return n;
}

static void
test_shuffled (void)
{
  struct data_order *a = NULL, *b = NULL, *c = NULL;
  if (data_order_create (N, BATCH, true, 3, &a) != OK ||
      data_order_create (N, BATCH, true, 3, &b) != OK ||
      data_order_create (N, BATCH, true, 4, &c) != OK)
    tap_bail ("no order");
  tap_ok (epochs_are_whole (a), "shuffled: every sample once an epoch");
  /* b is asked backwards, with jumps over many epochs in between. */
  bool same = true;
  for (int64_t p = EPOCHS * N - 1; p >= 0; p--) {
    int64_t ea, eb, sa, sb;
    data_order_sample (b, 1000 + p, p % BATCH, &eb, &sb);
    data_order_sample (b, p / BATCH, p % BATCH, &eb, &sb);
    data_order_sample (a, p / BATCH, p % BATCH, &ea, &sa);
    same = same && ea == eb && sa == sb;
  }
  tap_ok (same, "shuffled: the same from any direction");
  tap_ok (same_places (a, c) < 30, "another seed, another order");
  int moved = 0;
  for (int64_t p = 0; p < N; p++) {
    int64_t e, first, second;
    data_order_sample (a, p / BATCH, p % BATCH, &e, &first);
    data_order_sample (a, (p + N) / BATCH, (p + N) % BATCH, &e, &second);
    moved += first != second;
  }
  tap_ok (moved > N - 15, "another epoch, another order");
  data_order_destroy (&a);
  data_order_destroy (&b);
  data_order_destroy (&c);
}

/* By the definition: the permutation of (seed, epoch) at the place. */
static void
test_definition (void)
{
  struct data_order *o = NULL;
  int64_t permutation[N];
  bool good = data_order_create (N, BATCH, true, 9, &o) == OK;
  struct random_key key = {.seed = 9, .purpose = RANDOM_ORDER, .a = 2};
  random_permutation (&key, permutation, N);
  for (int64_t i = 0; i < N && good; i++) {
    int64_t p = 2 * N + i, epoch, sample;
    data_order_sample (o, p / BATCH, p % BATCH, &epoch, &sample);
    good = sample == permutation[i];
  }
  tap_ok (good, "shuffled: the permutation of (seed, epoch)");
  data_order_destroy (&o);
}

static void
test_sequential (void)
{
  struct data_order *o = NULL;
  bool good = data_order_create (10, 4, false, 1, &o) == OK;
  static const int64_t wanted[4][4] = {
      {0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 0, 1}, {2, 3, 4, 5}};
  for (int64_t step = 0; step < 4; step++)
    for (int64_t i = 0; i < 4; i++) {
      int64_t epoch, sample;
      data_order_sample (o, step, i, &epoch, &sample);
      good = good && sample == wanted[step][i] && epoch == (step * 4 + i >= 10);
    }
  tap_ok (good, "sequential: wraps in the middle of a batch");
  /* More in a batch than there are samples. */
  struct data_order *small = NULL;
  int64_t epoch = 0, sample = 0;
  good = data_order_create (3, 8, false, 1, &small) == OK;
  data_order_sample (small, 1, 7, &epoch, &sample);
  tap_ok (good && epoch == 5 && sample == 0, "a batch of several epochs");
  data_order_destroy (&o);
  data_order_destroy (&small);
}

int
main (void)
{
  test_shuffled ();
  test_definition ();
  test_sequential ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated");
  return tap_done ();
}
