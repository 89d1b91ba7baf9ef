/* ranks: 1 2 3 4 5 */
/* tests/wire/reduce.c -- sums over replicas against a serial walk of the same
 * tree, bit for bit; and their halves, in which replicas own shares. */
#include "base/fault.h"
#include "base/place.h"
#include "tests/wire/tool.h"
#include <mpi.h>

#define PIECE 262144 /* the pieces that reduce.c cuts */

/* What a leg asks of MPI: most of the time it is told that nothing has come. */
static bool late;
int
MPI_Testall (int n, MPI_Request request[], int *done, MPI_Status status[])
{
  static uint64_t calls;
  const struct random_key key = {29, RANDOM_TEST, (uint64_t)place_rank (), 0};
  *done = 0;
  if (late && random_u32 (&key, calls++) % 8 > 0)
    return MPI_SUCCESS;
  return PMPI_Testall (n, request, done, status);
}

/* Numbers of many magnitudes, so that another order of adding gives other
 * bits.  Drawn from a table, each replica at a stride of its own. */
#define TABLE 65536
static float table[TABLE];

static void
table_fill (void)
{
  struct random_key key = {23, RANDOM_TEST, 0, 0};
  for (int i = 0; i < TABLE; i++) {
    uint32_t w = random_u32 (&key, (uint64_t)i);
    float sign = w & 1 ? 1.0f : -1.0f;
    table[i] =
        sign * ldexpf (1.0f + (float)(w >> 9) * 0x1p-23f, (int)(w >> 1 & 15));
  }
}

static void
values (float *x, size_t n, int replica, uint64_t round)
{
  size_t stride = 2 * (size_t)replica + 1, at = (size_t)round * 7919;
  for (size_t i = 0; i < n; i++, at += stride)
    x[i] = table[at % TABLE];
}

static void
add (float *to, const float *from, size_t n)
{
  for (size_t i = 0; i < n; i++)
    to[i] += from[i];
}

/* all: n_replicas blocks of n floats; the sum ends in the first. */
static void
walk_tree (float *all, size_t n, int n_replicas)
{
  for (int d = 1; d < n_replicas; d *= 2)
    for (int r = 0; r + d < n_replicas; r += 2 * d)
      add (all + (size_t)r * n, all + (size_t)(r + d) * n, n);
}

static void
walk_line (float *all, size_t n, int n_replicas)
{
  for (int r = 1; r < n_replicas; r++)
    add (all, all + (size_t)r * n, n);
}

static float *
floats (size_t n)
{
  float *x = NULL;
  if (MEM_NEW (n, &x, "floats") != OK)
    wire_abort (E_MEMORY);
  return x;
}

static void
test_size (struct wire *w, size_t n, uint64_t round)
{
  int R = wire_replicas (w), request = WIRE_NONE;
  float *mine = floats (n), *all = floats (n * (size_t)R);
  bool good = wire_reduce_reserve (w, n, 1) == OK;
  for (int repeat = 0; repeat < 2; repeat++) {
    for (int r = 0; r < R; r++)
      values (all + n * (size_t)r, n, r, round);
    values (mine, n, wire_replica (w), round);
    mem_close ();
    good = wire_reduce_start (w, mine, n, &request) == OK && good;
    good = wire_reduce_wait (w, &request) == OK && good;
    mem_open ();
    walk_tree (all, n, R);
    good = good && request == WIRE_NONE &&
           memcmp (mine, all, n * sizeof *mine) == 0;
  }
  tap_ok (good, "%zu floats, %d replicas, twice", n, R);
  if (n >= 1000) { /* the order must matter, or the test shows nothing */
    for (int r = 0; r < R; r++)
      values (all + n * (size_t)r, n, R - 1 - r, round);
    walk_line (all, n, R);
    bool same = memcmp (mine, all, n * sizeof *mine) == 0;
    tap_ok (same == (R < 3), "another order has other bits: %zu floats", n);
  }
  mem_free (&mine);
  mem_free (&all);
}

/* Scattered: the sum in the own share; gathered: what was there, everywhere.
 * Others are under way, and transfers are seen late.  planted: one number of an
 * own share changes in between, which has to arrive. */
static void
test_halves (struct wire *w, size_t n, size_t share, bool planted)
{
  enum { N = 3 };
  const size_t R = (size_t)wire_replicas (w), r = (size_t)wire_replica (w);
  const size_t at = r * share < n ? r * share : n;
  const size_t end = at + share < n ? at + share : n;
  float *mine[N], *all = floats (n * R);
  int request[N];
  bool good = wire_reduce_reserve (w, n, N) == OK;
  late = true;
  for (int half = 0; half < 2; half++) {
    for (int i = 0; i < N; i++) {
      if (half == 0)
        mine[i] = floats (n);
      if (half == 0)
        values (mine[i], n, (int)r, (uint64_t)i);
      if (half == 1 && planted && i == 1 && r == 0)
        mine[i][0] += 1;
      good = (i == 2  ? wire_reduce_start (w, mine[i], n, &request[i])
              : !half ? wire_scatter_start (w, mine[i], n, share, &request[i])
                      : wire_gather_start (w, mine[i], n, share,
                                           &request[i])) == OK &&
             good;
    }
    for (int i = N; i-- > 0;) {
      good = wire_reduce_wait (w, &request[i]) == OK && good;
      for (size_t q = 0; q < R && i < 2; q++)
        values (all + q * n, n, (int)q, (uint64_t)i);
      walk_tree (all, n, (int)R);
      if (i < 2 && half == 0)
        good = good &&
               memcmp (mine[i] + at, all + at, (end - at) * sizeof *all) == 0;
      else if (i < 2 && !(planted && i == 1))
        good = good && memcmp (mine[i], all, n * sizeof *all) == 0;
      else if (i < 2)
        good = good && mine[i][0] == all[0] + 1 &&
               memcmp (mine[i] + 1, all + 1, (n - 1) * sizeof *all) == 0;
    }
  }
  late = false;
  tap_ok (good && wire_under_way (w) == 0,
          "%zu floats in shares of %zu, %zu replicas%s", n, share, R,
          planted ? ", one number changed by its owner" : "");
  for (int i = 0; i < N; i++)
    mem_free (&mine[i]);
  mem_free (&all);
}

/* Several under way, waited for in another order, moved by wire_poll. */
static void
test_several (struct wire *w)
{
  enum { N = 5 };
  static const size_t sizes[N] = {3 * PIECE + 5, 10, PIECE, 70000, 1};
  int R = wire_replicas (w), request[N];
  float *mine[N];
  bool good = wire_reduce_reserve (w, sizes[0], N) == OK;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < N; i++) {
      mine[i] = floats (sizes[i]);
      values (mine[i], sizes[i], wire_replica (w), (uint64_t)(50 + i));
      good =
          wire_reduce_start (w, mine[i], sizes[i], &request[i]) == OK && good;
    }
    tap_alone (R == 1 || wire_under_way (w) == N, "all are under way");
    for (int i = 0; i < 10; i++)
      wire_poll (w);
    for (int k = 0; k < N; k++) {
      /* Ranks wait in orders of their own. */
      int i = (k * 2 + round + wire_rank (w)) % N;
      float *all = floats (sizes[i] * (size_t)R);
      for (int r = 0; r < R; r++)
        values (all + sizes[i] * (size_t)r, sizes[i], r, (uint64_t)(50 + i));
      walk_tree (all, sizes[i], R);
      good = wire_reduce_wait (w, &request[i]) == OK && good;
      good = good && memcmp (mine[i], all, sizes[i] * sizeof *all) == 0;
      mem_free (&all);
    }
    for (int i = 0; i < N; i++)
      mem_free (&mine[i]);
  }
  tap_ok (good && wire_under_way (w) == 0, "%d sums at once, %d replicas", N,
          R);
}

/* More pieces than legs, begun while others are under way, and transfers that
 * are seen late, by each rank at times of its own. */
static void
test_timing (struct wire *w)
{
  enum { N = 24 };
  const size_t most = 2 * PIECE + 100;
  int R = wire_replicas (w), request[N];
  float *mine = floats (N * most), *all = floats (most * (size_t)R);
  bool good = wire_reduce_reserve (w, most, N) == OK;
  late = true;
  for (int i = 0; i < N; i++) {
    size_t n = i % 5 == 0 ? most : (size_t)(977 * i);
    values (mine + (size_t)i * most, n, wire_replica (w), (uint64_t)(80 + i));
    good =
        wire_reduce_start (w, mine + (size_t)i * most, n, &request[i]) == OK &&
        good;
    for (int j = 0; j < (i + wire_rank (w)) % 7; j++)
      wire_poll (w);
  }
  for (int i = N; i-- > 0;) {
    size_t n = i % 5 == 0 ? most : (size_t)(977 * i);
    for (int r = 0; r < R; r++)
      values (all + n * (size_t)r, n, r, (uint64_t)(80 + i));
    walk_tree (all, n, R);
    good = wire_reduce_wait (w, &request[i]) == OK && good;
    good = good && memcmp (mine + (size_t)i * most, all, n * sizeof *all) == 0;
  }
  late = false;
  tap_ok (good && wire_under_way (w) == 0,
          "%d sums with transfers that are seen late, %d replicas", N, R);
  mem_free (&mine);
  mem_free (&all);
}

static void
test_misuse (struct wire *w)
{
  float x[4] = {0};
  int request = WIRE_NONE, wrong = 3;
  bool one = wire_replicas (w) == 1;
  bool good = wire_reduce_reserve (w, 2, 1) == OK;
  tap_ok (TOOL_CHECK_FAILS ((void)wire_reduce_start (w, x, 4, &request)) != one,
          "more than was reserved fails a check");
  tap_ok (good && TOOL_CHECK_FAILS ((void)wire_reduce_wait (w, &wrong)),
          "waiting for what is not under way fails a check");
  fail_clear ();
  tap_ok (TOOL_CHECK_FAILS ((void)wire_gather_start (w, x, 2, 0, &request)) !=
              one,
          "shares that are not all fail a check");
  fail_clear ();
  request = WIRE_NONE;
  tap_ok (wire_reduce_start (w, x, 0, &request) == OK &&
              wire_reduce_wait (w, &request) == OK,
          "a sum of nothing");
}

int
main (int argc, char **argv)
{
  struct wire *w;
  fault_plant (NULL);
  table_fill ();
  if (wire_open (&argc, &argv, &w) != OK)
    return 1;
  for (int n = 1; n <= wire_size (w); n++) {
    if (wire_grid (w, n) != OK) {
      fail_clear ();
      continue;
    }
    test_size (w, 1, 1);
    test_size (w, 1000, 2);
    test_size (w, PIECE - 1, 3);
    test_size (w, 5 * PIECE + 3, 4);
    const size_t R = (size_t)n;
    test_halves (w, 1, 16, false);
    test_halves (w, 5000, (5000 / R + 16) / 16 * 16, false);
    test_halves (w, 5000, 5008, false); /* the first one owns all */
    test_halves (w, 3 * PIECE + 3, 3 * PIECE / R + 16, true);
    test_several (w);
    test_timing (w);
    test_misuse (w);
  }
  wire_close (&w);
  tap_ok (mem_leaks () == 0, "nothing left behind");
  return tap_done ();
}
