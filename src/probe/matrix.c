/* probe/matrix.c -- block-cyclic matrices: who has what, and loops over it.
 *
 * Sums are taken in double whatever the matrix holds.
 */
#include "probe/probe_impl.h"

#include <math.h>
#include <string.h>

void
grid_shape (int size, int *rows, int *cols)
{
  int r = (int)sqrt ((double)size);
  while (size % r != 0)
    r--;
  *rows = r;
  *cols = size / r;
}

int
grid_block (int rows, int cols, int64_t n, int64_t width)
{
  int64_t a = n / (4 * rows), b = width / (4 * cols), least = a < b ? a : b;
  int block = 128;
  while (block > 8 && block > least)
    block /= 2;
  return block;
}

/* Whole blocks are dealt in turn, so each rank has as many or one more; the
 * rank whose turn comes after the last whole block has the rest. */
int
matrix_share (int n, int block, int place, int ranks)
{
  int whole = n / block, share = whole / ranks * block;
  if (place < whole % ranks)
    share += block;
  else if (place == whole % ranks)
    share += n % block;
  return share;
}

double
matrix_bytes (const struct grid *g, int m, int n, bool wide)
{
  return (double)matrix_share (m, g->block, 0, g->n_rows) *
         (double)matrix_share (n, g->block, 0, g->n_cols) * (wide ? 8 : 4);
}

enum status
matrix_create (struct grid *g, int m, int n, int col_block, bool wide,
               struct matrix *out)
{
  struct matrix a = {.grid = g, .wide = wide, .m = m, .n = n};
  a.col_block = col_block > 0 ? col_block : g->block;
  a.rows = matrix_share (m, g->block, g->row, g->n_rows);
  a.cols = matrix_share (n, a.col_block, g->col, g->n_cols);
  /* Type, context, shape, blocks, where it begins, leading dimension; a rank
   * without rows still needs one of at least 1. */
  int desc[] = {1, g->context, m,
                n, g->block,   a.col_block,
                0, 0,          a.rows > 0 ? a.rows : 1};
  memcpy (a.desc, desc, sizeof desc);
  size_t count = (size_t)a.rows * (size_t)a.cols;
  TRY (mem_new (count > 0 ? count : 1, wide ? sizeof (double) : sizeof (float),
                "a matrix", &a.data));
  *out = a;
  return OK;
}

void
matrix_clear (struct matrix *a)
{
  mem_free (&a->data);
}

/* -- places -----------------------------------------------------------------
 */

static int
to_global (int i, int block, int place, int ranks)
{
  return i / block * block * ranks + place * block + i % block;
}

int
matrix_row (const struct matrix *a, int i)
{
  return to_global (i, a->grid->block, a->grid->row, a->grid->n_rows);
}

int
matrix_col (const struct matrix *a, int j)
{
  return to_global (j, a->col_block, a->grid->col, a->grid->n_cols);
}

/* The number of indices below `global` that are here. */
int
matrix_row_local (const struct matrix *a, int row)
{
  return matrix_share (row, a->grid->block, a->grid->row, a->grid->n_rows);
}

int
matrix_col_local (const struct matrix *a, int col)
{
  return matrix_share (col, a->col_block, a->grid->col, a->grid->n_cols);
}

/* -- loops ------------------------------------------------------------------
 */

enum status
matrix_means (const struct matrix *a, int m, double *mean)
{
  int rows = matrix_row_local (a, m);
  memset (mean, 0, (size_t)a->n * sizeof *mean);
  for (int j = 0; j < a->cols; j++) {
    double sum = 0;
    for (int i = 0; i < rows; i++)
      sum += matrix_get (a, i, j);
    mean[matrix_col (a, j)] = sum / m;
  }
  return wire_sum (a->grid->wire, mean, (size_t)a->n);
}

void
matrix_centre (struct matrix *a, const double *mean)
{
  for (int j = 0; j < a->cols; j++)
    for (int i = 0; i < a->rows; i++)
      matrix_set (a, i, j, matrix_get (a, i, j) - mean[matrix_col (a, j)]);
}

/* Only the lower triangle is there: an entry below the diagonal counts for its
 * row and, as its mirror image, for its column. */
enum status
matrix_symmetric_means (const struct matrix *a, int n, double *mean)
{
  int rows = matrix_row_local (a, n), cols = matrix_col_local (a, n);
  memset (mean, 0, (size_t)n * sizeof *mean);
  for (int j = 0; j < cols; j++) {
    int col = matrix_col (a, j);
    for (int i = matrix_row_local (a, col); i < rows; i++) {
      int row = matrix_row (a, i);
      double v = matrix_get (a, i, j) / n;
      mean[row] += v;
      if (row != col)
        mean[col] += v;
    }
  }
  return wire_sum (a->grid->wire, mean, (size_t)n);
}

enum status
matrix_trace (const struct matrix *a, int n, double *out)
{
  int cols = matrix_col_local (a, n);
  double sum = 0;
  for (int j = 0; j < cols; j++) {
    int col = matrix_col (a, j), i = matrix_row_local (a, col);
    if (i < a->rows && matrix_row (a, i) == col)
      sum += matrix_get (a, i, j);
  }
  TRY (wire_sum (a->grid->wire, &sum, 1));
  *out = sum;
  return OK;
}

void
matrix_shifted (const struct matrix *from, int n, double x, struct matrix *to)
{
  int rows = matrix_row_local (from, n), cols = matrix_col_local (from, n);
  for (int j = 0; j < cols; j++) {
    int col = matrix_col (from, j);
    for (int i = matrix_row_local (from, col); i < rows; i++) {
      double v = matrix_get (from, i, j);
      matrix_set (to, i, j, matrix_row (from, i) == col ? v + x : v);
    }
  }
}

enum status
matrix_dot (const struct matrix *a, const struct matrix *b, bool symmetric,
            double *out)
{
  double sum = 0;
  for (int j = 0; j < a->cols; j++) {
    int col = matrix_col (a, j);
    for (int i = symmetric ? matrix_row_local (a, col) : 0; i < a->rows; i++) {
      double v = matrix_get (a, i, j) * matrix_get (b, i, j);
      sum += symmetric && matrix_row (a, i) != col ? 2 * v : v;
    }
  }
  TRY (wire_sum (a->grid->wire, &sum, 1));
  *out = sum;
  return OK;
}
