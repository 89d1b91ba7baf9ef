/* ranks: 1 2 4 6 */
/* tests/probe/matrix.c -- every routine on distributed matrices against plain
 * loops, with sizes that do not divide the blocks, in both precisions. */
#include "tests/probe/tool.h"
#include "tests/rounding.h"

#define M 53
#define N 37
#define Q 7

struct both { /* a whole matrix on every rank, and the same one laid out */
  struct matrix a;
  double *v; /* row-major, m x n */
};

static double
entry (uint64_t number, int i, int j)
{
  struct random_key key = {29, RANDOM_TEST, number, 0};
  return random_normal (&key, (uint64_t)i * 4096 + (uint64_t)j);
}

static struct both
make (struct grid *g, int m, int n, int col_block, bool wide, uint64_t number)
{
  struct both b;
  tool_must (matrix_create (g, m, n, col_block, wide, &b.a));
  tool_must (MEM_NEW ((size_t)(m * n), &b.v, "a plain matrix"));
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++)
      b.v[i * n + j] =
          wide ? entry (number, i, j) : (float)entry (number, i, j);
  for (int j = 0; j < b.a.cols; j++)
    for (int i = 0; i < b.a.rows; i++)
      matrix_set (&b.a, i, j,
                  b.v[matrix_row (&b.a, i) * n + matrix_col (&b.a, j)]);
  return b;
}

static void
clear (struct both *b)
{
  matrix_clear (&b->a);
  mem_free (&b->v);
}

/* Largest difference of the local part from a plain matrix, over its largest
 * entry; lower: of the lower triangle of the leading order. */
static double
differs (const struct matrix *a, const double *want, int m, int n, bool lower)
{
  double most = 0, scale = 0;
  for (int i = 0; i < m * n; i++)
    scale = fabs (want[i]) > scale ? fabs (want[i]) : scale;
  for (int j = 0; j < a->cols; j++)
    for (int i = 0; i < a->rows; i++) {
      int r = matrix_row (a, i), c = matrix_col (a, j);
      if (r >= m || c >= n || (lower && c > r))
        continue;
      double d = fabs (matrix_get (a, i, j) - want[r * n + c]) / scale;
      most = d > most || isnan (d) ? d : most;
    }
  return most;
}

/* c (m x n) = op(a) op(b), plain; lead: columns of a row of a and b. */
static void
plain_product (const double *a, int a_lead, bool ta, const double *b,
               int b_lead, bool tb, int m, int n, int inner, double *c)
{
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) {
      double sum = 0;
      for (int k = 0; k < inner; k++)
        sum += (ta ? a[k * a_lead + i] : a[i * a_lead + k]) *
               (tb ? b[j * b_lead + k] : b[k * b_lead + j]);
      c[i * n + j] = sum;
    }
}

/* -- layout -----------------------------------------------------------------
 */

static void
test_shares (void)
{
  bool whole = true, order = true;
  for (int n = 0; n < 40; n++)
    for (int block = 1; block < 9; block++)
      for (int ranks = 1; ranks < 6; ranks++) {
        int count[6] = {0};
        for (int i = 0; i < n; i++)
          count[i / block % ranks]++;
        for (int r = 0; r < ranks; r++)
          whole &= matrix_share (n, block, r, ranks) == count[r];
      }
  tap_ok (whole, "shares of every small size are what counting gives");
  struct grid g = {.block = 5, .n_rows = 3, .n_cols = 2, .row = 1, .col = 1};
  struct matrix a = {.grid = &g, .col_block = 5};
  for (int i = 0; i < 20; i++) {
    order &= matrix_row_local (&a, matrix_row (&a, i)) == i;
    order &= matrix_row (&a, i) / 5 % 3 == 1 && matrix_col (&a, i) / 5 % 2 == 1;
  }
  tap_ok (order, "places in the whole and back");
}

/* -- routines ---------------------------------------------------------------
 */

static void
test_products (struct grid *g, bool wide, double limit, const char *name)
{
  struct both x = make (g, M, N, 0, wide, 1), y = make (g, M, Q, Q, wide, 2);
  struct both c = make (g, N, Q, Q, wide, 3), s = make (g, M, Q, Q, wide, 4);
  plain_product (x.v, N, true, y.v, Q, false, N, Q, 31, c.v);
  part_product (part_rows (&x.a, 0, 31), true, part_rows (&y.a, 0, 31), false,
                part_whole (&c.a));
  tap_near (differs (&c.a, c.v, N, Q, false), 0, limit,
            "%s: X'Y over the first samples", name);
  plain_product (x.v + 31 * N, N, false, c.v, Q, false, 22, Q, N, s.v + 31 * Q);
  part_product (part_rows (&x.a, 31, 22), false, part_whole (&c.a), false,
                part_rows (&s.a, 31, 22));
  tap_near (differs (&s.a, s.v, M, Q, false), 0, 4 * limit,
            "%s: X W of the last samples, in place", name);
  clear (&x);
  clear (&y);
  clear (&c);
  clear (&s);
}

static void
test_gram (struct grid *g, bool wide, double limit, const char *name)
{
  struct both x = make (g, M, N, 0, wide, 5), f = make (g, N, N, 0, wide, 6);
  struct both k = make (g, M, M, 0, wide, 7), p = make (g, M, N, 0, wide, 8);
  plain_product (x.v, N, true, x.v, N, false, N, N, 41, f.v);
  part_gram (part_rows (&x.a, 0, 41), true, &f.a);
  tap_near (differs (&f.a, f.v, N, N, true), 0, limit,
            "%s: X'X over the first samples", name);
  plain_product (x.v, N, false, x.v, N, true, M, M, N, k.v);
  part_gram (part_whole (&x.a), false, &k.a);
  tap_near (differs (&k.a, k.v, M, M, true), 0, limit, "%s: XX'", name);
  plain_product (k.v, M, false, x.v, N, false, M, N, M, p.v);
  part_symmetric_product (&k.a, part_whole (&x.a), part_whole (&p.a));
  tap_near (differs (&p.a, p.v, M, N, false), 0, 4 * limit,
            "%s: K X by K's lower triangle", name);
  double trace, want = 0, norm;
  tool_must (matrix_trace (&k.a, M, &trace));
  for (int i = 0; i < M * N; i++)
    want += x.v[i] * x.v[i];
  tap_near (trace / want, 1, limit, "%s: trace", name);
  tool_must (matrix_dot (&k.a, &k.a, true, &norm));
  want = 0;
  for (int i = 0; i < M * M; i++)
    want += k.v[i] * k.v[i];
  tap_near (norm / want, 1, 2 * limit, "%s: norm by the lower triangle", name);
  clear (&x);
  clear (&f);
  clear (&k);
  clear (&p);
}

static void
test_means (struct grid *g, bool wide, double limit, const char *name)
{
  struct both x = make (g, M, N, 0, wide, 9), k = make (g, M, M, 0, wide, 10);
  double mean[M], most = 0;
  tool_must (matrix_means (&x.a, 29, mean));
  for (int j = 0; j < N; j++) {
    double sum = 0;
    for (int i = 0; i < 29; i++)
      sum += x.v[i * N + j] / 29;
    most = fmax (most, fabs (sum - mean[j]));
  }
  tap_near (most, 0, limit, "%s: means of the columns", name);
  matrix_centre (&x.a, mean);
  tool_must (matrix_means (&x.a, 29, mean));
  for (int j = 0; j < N; j++)
    most = fmax (most, fabs (mean[j]));
  tap_near (most, 0, limit, "%s: centred", name);
  tool_must (matrix_symmetric_means (&k.a, 44, mean));
  most = 0;
  for (int i = 0; i < 44; i++) {
    double sum = 0;
    for (int j = 0; j < 44; j++)
      sum += k.v[i > j ? i * M + j : j * M + i] / 44;
    most = fmax (most, fabs (sum - mean[i]));
  }
  tap_near (most, 0, limit, "%s: row means of a lower triangle", name);
  clear (&x);
  clear (&k);
}

static void
test_solve (struct grid *g, bool wide, double limit, const char *name)
{
  struct both x = make (g, M, N, 0, wide, 11), f = make (g, N, N, 0, wide, 12);
  struct both h = make (g, N, N, 0, wide, 13), b = make (g, N, Q, Q, wide, 14);
  double product[N * Q];
  int bad = -1, order = 33;
  plain_product (x.v, N, true, x.v, N, false, N, N, M, f.v);
  part_gram (part_whole (&x.a), true, &f.a);
  matrix_shifted (&f.a, order, 2.5, &h.a);
  for (int i = 0; i < order; i++)
    f.v[i * N + i] += 2.5;
  tap_near (differs (&h.a, f.v, order, N, true), 0, limit,
            "%s: lambda on the diagonal", name);
  /* A right-hand side whose solution is b. */
  plain_product (f.v, N, false, b.v, Q, false, order, Q, order, product);
  for (int j = 0; j < b.a.cols; j++)
    for (int i = 0; i < b.a.rows; i++)
      if (matrix_row (&b.a, i) < order)
        matrix_set (&b.a, i, j,
                    product[matrix_row (&b.a, i) * Q + matrix_col (&b.a, j)]);
  matrix_factor (&h.a, order, &bad);
  tap_ok (bad == 0, "%s: a Cholesky factor", name);
  matrix_solve (&h.a, order, &b.a);
  /* Eigenvalues lie between 2.5 and that of a random matrix's square, below
   * (sqrt (M) + sqrt (N))^2 + 2.5: relative errors may grow by their ratio, 73,
   * in the factor and in each of the two solutions. */
  tap_near (differs (&b.a, b.v, order, Q, false), 0, 3 * 73 * limit,
            "%s: the solution", name);
  matrix_shifted (&f.a, order, -1e3, &h.a);
  matrix_factor (&h.a, order, &bad);
  tap_ok (bad == 1, "%s: not positive definite is said", name);
  clear (&x);
  clear (&f);
  clear (&h);
  clear (&b);
}

/* The second difference on n points has 2 - 2 cos (pi i / (n + 1)). */
static void
test_eigenvalues (struct grid *g, bool wide, double limit, const char *name)
{
  struct matrix a;
  double value[M], most = 0;
  tool_must (matrix_create (g, M, M, 0, wide, &a));
  for (int j = 0; j < a.cols; j++)
    for (int i = 0; i < a.rows; i++) {
      int far = matrix_row (&a, i) - matrix_col (&a, j);
      matrix_set (&a, i, j, far == 0 ? 2 : far == 1 ? -1 : far < 0 ? 99 : 0);
    }
  tool_must (matrix_eigenvalues (&a, M, value));
  for (int i = 0; i < M; i++) {
    double want = 2 - 2 * cos (acos (-1.0) * (i + 1) / (M + 1));
    most = fmax (most, fabs (value[i] - want) / 4);
  }
  tap_near (most, 0, limit, "%s: eigenvalues of the second difference", name);
  matrix_clear (&a);
}

static void
test_grid (struct wire *w, int rows, int cols, int block)
{
  struct grid g;
  char name[2][64];
  tool_must (grid_open (w, rows, cols, block, &g));
  for (int wide = 0; wide < 2; wide++) {
    /* No sum has more than M terms; the plain loops round as well. */
    double limit = 2 * roundings_of_result (M, wide ? DOUBLE_UNIT : FLOAT_UNIT);
    snprintf (name[wide], sizeof *name, "%d x %d by %d, %s", rows, cols, block,
              wide ? "double" : "float");
    test_products (&g, wide, limit, name[wide]);
    test_gram (&g, wide, limit, name[wide]);
    test_means (&g, wide, limit, name[wide]);
    test_solve (&g, wide, limit, name[wide]);
    test_eigenvalues (&g, wide, limit, name[wide]);
  }
  grid_close (&g);
}

int
main (int argc, char **argv)
{
  struct wire *w = tool_open (&argc, &argv);
  int n = wire_size (w);
  test_shares ();
  for (int rows = 1; rows <= n; rows++)
    if (n % rows == 0)
      test_grid (w, rows, n / rows, rows % 2 ? 8 : 3);
  test_grid (w, n, 1, 64); /* ranks without a row */
  return tool_close (&w);
}
