/* tests/bench/probe.c -- ridge on a large matrix: Gram matrix, Cholesky factor
 * and solution of `features` by `samples`, over all ranks, against the same
 * through LAPACK in one process with as many threads as there are ranks.
 *
 *     mpirun -n 2 tests/bench/probe [FEATURES [SAMPLES [BLOCK [ROWS COLS]]]]
 *
 * Both are timed in the same run, in turn; the medians of some rounds count.
 * While the one process works, the other ranks sleep.  BLOCK 0, or none: as the
 * probe chooses, and so its grid.
 */
#include "base/clock.h"
#include "base/random.h"
#include "probe/probe_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef HAVE_SCALAPACK
#define CLASSES 10
#define ROUNDS 5

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

/* What LAPACK works on, on root alone. */
struct plain {
  int p, n;
  float *x, *c, *b;
};

static void
plain_open (int p, int n, struct plain *a)
{
  *a = (struct plain){.p = p, .n = n};
  must (MEM_NEW ((size_t)p * (size_t)n, &a->x, "x"));
  must (MEM_NEW ((size_t)p * (size_t)p, &a->c, "c"));
  must (MEM_NEW ((size_t)p * CLASSES, &a->b, "b"));
  for (size_t i = 0; i < (size_t)p * (size_t)n; i++)
    a->x[i] = cheap (i);
}

/* The others sleep meanwhile: a rank that waits in MPI keeps a core busy. */
static double
time_alone (struct wire *w, struct plain *a)
{
  int request = WIRE_NONE;
  double mine = 1, all = 0, t = 0;
  if (wire_rank (w) == 0) {
    grid_threads (wire_size (w));
    t = alone (a->p, a->n, a->x, a->c, a->b);
    grid_threads (1);
  }
  must (wire_ballot_start (w, -1, &mine, 1, &request));
  must (wire_ballot_wait (w, &request, &all)); /* backs off while it waits */
  return t;
}

static int
by_size (const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double
median (double *v, int n)
{
  qsort (v, (size_t)n, sizeof *v, by_size);
  return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

int
main (int argc, char **argv)
{
  struct wire *w;
  struct grid g;
  struct matrix x, c, b;
  struct plain a = {0};
  double one[ROUNDS], spreading[ROUNDS], ratio[ROUNDS];
  must (wire_open (&argc, &argv, &w));
  int p = argc > 1 ? atoi (argv[1]) : 4096,
      n = argc > 2 ? atoi (argv[2]) : 8192;
  int rows = argc > 5 ? atoi (argv[4]) : 0,
      cols = argc > 5 ? atoi (argv[5]) : 0;
  if (rows * cols != wire_size (w))
    grid_shape (wire_size (w), &rows, &cols);
  int block = argc > 3 ? atoi (argv[3]) : 0;
  if (block <= 0)
    block = grid_block (rows, cols, n, p);
  if (wire_rank (w) == 0)
    plain_open (p, n, &a);
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
  for (int i = -1; i < ROUNDS; i++) { /* the first is not counted */
    double t = time_alone (w, &a), s = spread (&g, &x, &c, &b);
    if (i < 0)
      continue;
    one[i] = t;
    spreading[i] = s;
    ratio[i] = t > 0 ? s / t : 0;
  }
  if (wire_rank (w) == 0) {
    double r = median (ratio, ROUNDS);
    printf ("probe: %d features x %d samples, single: %d x %d ranks, blocks of "
            "%d: %.3f s; LAPACK with %d threads: %.3f s; ratio %.2f (%.2f to "
            "%.2f in %d rounds; wanted: at most 1.25)\n",
            p, n, rows, cols, block, median (spreading, ROUNDS), wire_size (w),
            median (one, ROUNDS), r, ratio[0], ratio[ROUNDS - 1], ROUNDS);
  }
  mem_free (&a.x);
  mem_free (&a.c);
  mem_free (&a.b);
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
