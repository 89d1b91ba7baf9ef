/* tests/bench/probe.c -- ridge on a large matrix: Gram matrix, Cholesky factor
 * and solution of `features` by `samples`, over all ranks, against the same
 * through LAPACK in one process with as many threads as there are ranks.
 *
 *     mpirun -n 2 tests/bench/probe [FEATURES [SAMPLES [BLOCK [ROWS COLS]]]]
 *
 * Both are timed in the same run, in turn; the best of three counts.  While the
 * one process works, the other ranks sleep.
 */
#include "base/clock.h"
#include "base/random.h"
#include "probe/probe_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef HAVE_SCALAPACK
#define CLASSES 10

extern void
ssyrk_ (const char *, const char *, const int *, const int *, const float *,
        const float *, const int *, const float *, float *, const int *);
extern void
spotrf_ (const char *, const int *, float *, const int *, int *);
extern void
spotrs_ (const char *, const int *, const int *, const float *, const int *,
         float *, const int *, int *);

static void
must (enum status s)
{
  if (s != OK)
    wire_abort (s);
}

static float
cheap (size_t i)
{
  uint64_t x = (uint64_t)i * UINT64_C (0x9e3779b97f4a7c15) + 12345;
  x ^= x >> 29;
  x *= UINT64_C (0xbf58476d1ce4e5b9);
  return (float)(x >> 40) / 16777216.0f - 0.5f;
}

static double
spread (struct grid *g, struct matrix *x, struct matrix *c, struct matrix *b)
{
  int bad;
  wire_barrier (g->wire);
  double start = clock_now_s ();
  part_gram (part_whole (x), true, c);
  for (int j = 0; j < c->cols; j++)
    for (int i = 0; i < c->rows; i++)
      if (matrix_row (c, i) == matrix_col (c, j))
        matrix_set (c, i, j, matrix_get (c, i, j) + 1);
  matrix_factor (c, c->n, &bad);
  CHECK (bad == 0, "no factor");
  matrix_solve (c, c->n, b);
  wire_barrier (g->wire);
  return clock_now_s () - start;
}

static double
alone (int p, int n, const float *x, float *c, float *b)
{
  static const float one = 1, zero = 0;
  int info = 0, classes = CLASSES;
  double start = clock_now_s ();
  ssyrk_ ("L", "T", &p, &n, &one, x, &n, &zero, c, &p);
  for (int i = 0; i < p; i++)
    c[(size_t)i * (size_t)p + (size_t)i] += 1;
  spotrf_ ("L", &p, c, &p, &info);
  CHECK (info == 0, "no factor");
  spotrs_ ("L", &p, &classes, c, &p, b, &p, &info);
  return clock_now_s () - start;
}

/* The others sleep meanwhile: a rank that waits in MPI keeps a core busy. */
static double
time_alone (struct wire *w, int p, int n)
{
  double best = 1e9;
  int request = WIRE_NONE;
  double mine = 1, all = 0;
  if (wire_rank (w) == 0) {
    float *x, *c, *b;
    must (MEM_NEW ((size_t)p * (size_t)n, &x, "x"));
    must (MEM_NEW ((size_t)p * (size_t)p, &c, "c"));
    must (MEM_NEW ((size_t)p * CLASSES, &b, "b"));
    for (size_t i = 0; i < (size_t)p * (size_t)n; i++)
      x[i] = cheap (i);
    grid_threads (wire_size (w));
    for (int i = 0; i < 4; i++) {
      double t = alone (p, n, x, c, b);
      best = i > 0 && t < best ? t : best;
    }
    grid_threads (1);
    mem_free (&x);
    mem_free (&c);
    mem_free (&b);
  }
  must (wire_ballot_start (w, -1, &mine, 1, &request));
  must (wire_ballot_wait (w, &request, &all)); /* backs off while it waits */
  return best;
}

int
main (int argc, char **argv)
{
  struct wire *w;
  struct grid g;
  struct matrix x, c, b;
  must (wire_open (&argc, &argv, &w));
  int p = argc > 1 ? atoi (argv[1]) : 4096,
      n = argc > 2 ? atoi (argv[2]) : 8192;
  int block = argc > 3 ? atoi (argv[3]) : 128;
  int rows = argc > 5 ? atoi (argv[4]) : 1;
  int cols = argc > 5 ? atoi (argv[5]) : wire_size (w);
  double one = time_alone (w, p, n), best = 1e9;
  must (grid_open (w, rows, cols, block, &g));
  grid_threads (1);
  must (matrix_create (&g, n, p, 0, false, &x));
  must (matrix_create (&g, p, p, 0, false, &c));
  must (matrix_create (&g, p, CLASSES, CLASSES, false, &b));
  for (int j = 0; j < x.cols; j++)
    for (int i = 0; i < x.rows; i++)
      matrix_set (&x, i, j,
                  cheap ((size_t)matrix_col (&x, j) * (size_t)n +
                         (size_t)matrix_row (&x, i)));
  for (int i = 0; i < 4; i++) {
    double t = spread (&g, &x, &c, &b);
    best = i > 0 && t < best ? t : best;
  }
  if (wire_rank (w) == 0)
    printf ("probe: %d features x %d samples, single: %d x %d ranks, blocks of "
            "%d: %.3f s; LAPACK with %d threads: %.3f s; ratio %.2f (wanted: "
            "at most 1.25)\n",
            p, n, rows, cols, block, best, wire_size (w), one, best / one);
  matrix_clear (&x);
  matrix_clear (&c);
  matrix_clear (&b);
  grid_close (&g);
  wire_close (&w);
  return 0;
}

#else
int
main (void)
{
  printf ("probe: built without ScaLAPACK\n");
  return 0;
}
#endif
