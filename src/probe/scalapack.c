/* probe/scalapack.c -- the door of ScaLAPACK and BLACS.
 *
 * The library ships no headers; what is used is declared here.  Its integers
 * have 32 bits, its indices count from 1, and both precisions take the same
 * arguments, so that one table of functions serves each.  Not for threads.
 */
#include "base/place.h"
#include "probe/probe_impl.h"

#ifdef HAVE_SCALAPACK
#include "wire/raw.h"
#include <limits.h>

extern int Csys2blacs_handle (MPI_Comm);
extern void
Cfree_blacs_system_handle (int);
extern void
Cblacs_gridinit (int *context, const char *order, int rows, int cols);
extern void
Cblacs_gridinfo (int context, int *rows, int *cols, int *row, int *col);
extern void
Cblacs_gridexit (int context);
/* OpenBLAS has it; other libraries obey OMP_NUM_THREADS. */
extern void
openblas_set_num_threads (int) __attribute__ ((weak));
extern char *
openblas_get_config (void) __attribute__ ((weak));

typedef const int *integer;
#define GEMM                                                                \
  (const char *, const char *, integer, integer, integer, const void *,     \
   const void *, integer, integer, integer, const void *, integer, integer, \
   integer, const void *, void *, integer, integer, integer)
#define SYRK                                                                 \
  (const char *, const char *, integer, integer, const void *, const void *, \
   integer, integer, integer, const void *, void *, integer, integer, integer)
#define SYMM                                                                 \
  (const char *, const char *, integer, integer, const void *, const void *, \
   integer, integer, integer, const void *, integer, integer, integer,       \
   const void *, void *, integer, integer, integer)
#define POTRF (const char *, integer, void *, integer, integer, integer, int *)
#define POTRS                                                               \
  (const char *, integer, integer, const void *, integer, integer, integer, \
   void *, integer, integer, integer, int *)
#define SYEV                                                               \
  (const char *, const char *, integer, void *, integer, integer, integer, \
   void *, void *, integer, integer, integer, void *, integer, int *)
#define DECLARE(p)             \
  extern void p##gemm_ GEMM;   \
  extern void p##syrk_ SYRK;   \
  extern void p##symm_ SYMM;   \
  extern void p##potrf_ POTRF; \
  extern void p##potrs_ POTRS; \
  extern void p##syev_ SYEV;
DECLARE (ps)
DECLARE (pd)

static const struct routines {
  void (*gemm) GEMM;
  void (*syrk) SYRK;
  void (*symm) SYMM;
  void (*potrf) POTRF;
  void (*potrs) POTRS;
  void (*syev) SYEV;
} table[2] = {{psgemm_, pssyrk_, pssymm_, pspotrf_, pspotrs_, pssyev_},
              {pdgemm_, pdsyrk_, pdsymm_, pdpotrf_, pdpotrs_, pdsyev_}};

static const int one = 1;
/* 0 and 1 of both precisions. */
static const float narrow[] = {0, 1};
static const double wide[] = {0, 1};

static const void *
number (const struct matrix *a, int i)
{
  return a->wide ? (const void *)&wide[i] : (const void *)&narrow[i];
}

const char *
matrix_library (void)
{
  return "ScaLAPACK";
}

const char *
matrix_arithmetic (void)
{
  return openblas_get_config ? openblas_get_config () : "";
}

/* PBLAS asks this function how many columns to multiply at a time, and its own
 * says 32, which leaves half of the speed of a modern BLAS unused.  A program's
 * definition comes before a library's. */
int
pilaenv_ (const int *context, const char *precision);
int
pilaenv_ (const int *context, const char *precision)
{
  (void)context, (void)precision;
  return 512;
}

/* -- grid -------------------------------------------------------------------
 */

enum status
grid_open (struct wire *w, int n_rows, int n_cols, int block, struct grid *g)
{
  CHECK (n_rows * n_cols == wire_size (w), "a grid of %d x %d on %d ranks",
         n_rows, n_cols, wire_size (w));
  *g = (struct grid){.wire = w, .block = block};
  g->handle = Csys2blacs_handle (wire_raw_world (w));
  g->context = g->handle;
  Cblacs_gridinit (&g->context, "Row", n_rows, n_cols);
  Cblacs_gridinfo (g->context, &g->n_rows, &g->n_cols, &g->row, &g->col);
  CHECK (g->row * n_cols + g->col == wire_rank (w), "the grid is not by rows");
  return OK;
}

void
grid_close (struct grid *g)
{
  if (!g->wire)
    return;
  Cblacs_gridexit (g->context);
  Cfree_blacs_system_handle (g->handle);
  g->wire = NULL;
}

void
grid_threads (int n)
{
  if (openblas_set_num_threads)
    openblas_set_num_threads (n);
}

/* The library shows no progress until it returns, and the watchdog
 * (run.patience) should not take it for dead: it may last as long as one slow
 * core would take for so many operations. */
static void
call_begin (double flops)
{
  const double slow_flops = 1e8;
  place_move ();
  place_lasts (flops / slow_flops);
}

/* The announced time stays: a rank that is done early may have to wait as long
 * for the others. */
static void
call_end (void)
{
  place_move ();
}

/* -- products ---------------------------------------------------------------
 */

void
part_product (struct part a, bool a_transposed, struct part b,
              bool b_transposed, struct part c)
{
  int inner = a_transposed ? a.m : a.n;
  int at[] = {a.row + 1, a.col + 1, b.row + 1, b.col + 1, c.row + 1, c.col + 1};
  CHECK ((a_transposed ? a.n : a.m) == c.m &&
             (b_transposed ? b.m : b.n) == c.n &&
             (b_transposed ? b.n : b.m) == inner,
         "a product of shapes that do not fit");
  call_begin (2.0 * c.m * c.n * inner);
  table[c.of->wide].gemm (a_transposed ? "T" : "N", b_transposed ? "T" : "N",
                          &c.m, &c.n, &inner, number (c.of, 1), a.of->data,
                          &at[0], &at[1], a.of->desc, b.of->data, &at[2],
                          &at[3], b.of->desc, number (c.of, 0), c.of->data,
                          &at[4], &at[5], c.of->desc);
  call_end ();
}

void
part_gram (struct part a, bool over_samples, struct matrix *c)
{
  int order = over_samples ? a.n : a.m, inner = over_samples ? a.m : a.n;
  int at[] = {a.row + 1, a.col + 1};
  CHECK (order <= c->m && order <= c->n, "no room for a Gram matrix");
  call_begin (1.0 * order * order * inner);
  table[c->wide].syrk ("L", over_samples ? "T" : "N", &order, &inner,
                       number (c, 1), a.of->data, &at[0], &at[1], a.of->desc,
                       number (c, 0), c->data, &one, &one, c->desc);
  call_end ();
}

void
part_symmetric_product (struct matrix *s, struct part b, struct part c)
{
  int at[] = {b.row + 1, b.col + 1, c.row + 1, c.col + 1};
  CHECK (s->m == b.m && b.m == c.m && b.n == c.n,
         "a product of shapes that do not fit");
  call_begin (2.0 * c.m * c.m * c.n);
  table[s->wide].symm ("L", "L", &c.m, &c.n, number (s, 1), s->data, &one, &one,
                       s->desc, b.of->data, &at[0], &at[1], b.of->desc,
                       number (s, 0), c.of->data, &at[2], &at[3], c.of->desc);
  call_end ();
}

/* -- Cholesky, eigenvalues --------------------------------------------------
 */

void
matrix_factor (struct matrix *a, int n, int *bad)
{
  int info = 0;
  call_begin (1.0 * n * n * n / 3);
  table[a->wide].potrf ("L", &n, a->data, &one, &one, a->desc, &info);
  call_end ();
  CHECK (info >= 0, "p?potrf: argument %d", -info);
  *bad = info;
}

void
matrix_solve (struct matrix *a, int n, struct matrix *b)
{
  int info = 0;
  call_begin (2.0 * n * n * b->n);
  table[a->wide].potrs ("L", &n, &b->n, a->data, &one, &one, a->desc, b->data,
                        &one, &one, b->desc, &info);
  call_end ();
  CHECK (info == 0, "p?potrs: argument %d", -info);
}

double
matrix_eigen_bytes (const struct grid *g, int n, bool w)
{
  /* The reduction's panels, its two diagonals, and the values on every rank. */
  double rows = matrix_share (n, g->block, 0, g->n_rows);
  double number_bytes = w ? 8 : 4;
  return (8.0 * n + 3 * rows * g->block) * number_bytes + 8.0 * n;
}

enum status
matrix_eigenvalues (struct matrix *a, int n, double *values)
{
  union {
    double wide;
    float narrow;
  } query = {0};
  double none = 0;
  void *work = NULL, *w = NULL;
  int info = 0, ask = -1;
  size_t bytes = a->wide ? sizeof (double) : sizeof (float);
  table[a->wide].syev ("N", "L", &n, a->data, &one, &one, a->desc, &query,
                       &none, &one, &one, a->desc, &query, &ask, &info);
  CHECK (info == 0, "p?syev: argument %d", -info);
  /* Some versions ask for a little less than they use. */
  double asked = a->wide ? query.wide : query.narrow;
  double wanted = asked * 1.01 + 8.0 * n + 64;
  int size = wanted < INT_MAX ? (int)wanted : 0;
  enum status s = OK;
  if (size == 0)
    s = fail (E_LIMIT,
              "eigenvalues of a matrix of order %d take %.0f numbers on a "
              "rank, more than ScaLAPACK can count: start more ranks",
              n, wanted);
  if (s == OK)
    s = mem_new ((size_t)size, bytes, "eigenvalues: work", &work);
  if (s == OK)
    s = mem_new ((size_t)n, bytes, "eigenvalues", &w);
  s = wire_agree (a->grid->wire, s);
  call_begin (4.0 * n * n * n / 3);
  if (s == OK)
    table[a->wide].syev ("N", "L", &n, a->data, &one, &one, a->desc, w, &none,
                         &one, &one, a->desc, work, &size, &info);
  call_end ();
  CHECK (info >= 0, "p?syev: argument %d", -info);
  if (s == OK && info > 0)
    s = fail (E_NUMBERS,
              "the eigenvalues of a matrix of order %d did not "
              "converge",
              n);
  for (int i = 0; s == OK && i < n; i++)
    values[i] = a->wide ? ((double *)w)[i] : ((float *)w)[i];
  mem_free (&work);
  mem_free (&w);
  return s;
}
#endif
