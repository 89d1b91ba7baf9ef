/* probe/similarity.c -- linear CKA of every two views.
 *
 * For centred X and Y of the same samples, with K = XX' and L = YY',
 *     CKA = |Y'X|^2 / (|X'X| |Y'Y|),   |Y'X|^2 = <K, L> = <X, L X>
 * in Frobenius norms (Kornblith, Norouzi, Lee, Hinton, "Similarity of neural
 * network representations revisited", ICML 2019).  Whichever of the three forms
 * the two representations allow is taken.
 */
#include "probe/probe_impl.h"

#include <math.h>

static int
panel_of (const struct probe *p, int64_t width)
{
  /* Whole rounds of blocks, so that every panel is laid out as its matrix. */
  int round = p->grid.block * p->grid.n_cols;
  int most = (p->panel + round - 1) / round * round;
  return width < most ? (int)width : most;
}

double
similarity_bytes (const struct probe *p, int64_t width)
{
  /* At worst a feature panel of two wide views, or L X. */
  return matrix_bytes (&p->grid, width > p->n ? p->n : (int)width,
                       panel_of (p, width), p->spec.wide) +
         matrix_bytes (&p->grid, p->n, panel_of (p, width), p->spec.wide);
}

/* |Y'X|^2 by panels of Y's columns. */
static enum status
by_features (struct probe *p, struct view *x, struct view *y, double *out)
{
  struct matrix c = {0};
  int panel = panel_of (p, y->width);
  double all = 0, part;
  TRY (wire_agree (
      p->wire, matrix_create (&p->grid, x->x.n, panel, 0, p->spec.wide, &c)));
  for (int at = 0; at < y->x.n; at += panel) {
    int n = y->x.n - at < panel ? y->x.n - at : panel;
    struct part ys = {&y->x, 0, at, y->x.m, n};
    if (n < panel) { /* the rest of the panel is not touched */
      matrix_clear (&c);
      TRY (wire_agree (
          p->wire, matrix_create (&p->grid, x->x.n, n, 0, p->spec.wide, &c)));
    }
    part_product (part_whole (&x->x), true, ys, false, part_whole (&c));
    TRY (matrix_dot (&c, &c, false, &part));
    all += part;
  }
  matrix_clear (&c);
  *out = all;
  return OK;
}

/* <X, L X> by panels of X's columns. */
static enum status
by_both (struct probe *p, struct view *x, struct view *l, double *out)
{
  int panel = panel_of (p, x->width);
  double all = 0, part;
  for (int at = 0; at < x->x.n; at += panel) {
    int n = x->x.n - at < panel ? x->x.n - at : panel;
    struct matrix c = {0}, slice = x->x;
    TRY (wire_agree (p->wire,
                     matrix_create (&p->grid, p->n, n, 0, p->spec.wide, &c)));
    struct part xs = {&x->x, 0, at, p->n, n};
    part_symmetric_product (&l->x, xs, part_whole (&c));
    /* Local columns of the slice are those from `at` on. */
    int first = matrix_col_local (&x->x, at);
    size_t skip = (size_t)first * (size_t)slice.rows;
    slice.data = slice.wide ? (void *)((double *)slice.data + skip)
                            : (void *)((float *)slice.data + skip);
    slice.cols = matrix_col_local (&x->x, at + n) - first;
    CHECK (slice.cols == c.cols, "a panel is laid out otherwise");
    TRY (matrix_dot (&c, &slice, false, &part));
    all += part;
    matrix_clear (&c);
  }
  *out = all;
  return OK;
}

static enum status
overlap (struct probe *p, struct view *x, struct view *y, double *out)
{
  if (x->dual && y->dual)
    return matrix_dot (&x->x, &y->x, true, out);
  if (x->dual)
    return by_both (p, y, x, out);
  if (y->dual)
    return by_both (p, x, y, out);
  return by_features (p, x, y, out);
}

enum status
similarity_study (struct probe *p, double *cka)
{
  int n = p->n_views;
  for (int i = 0; i < n; i++)
    for (int j = 0; j <= i; j++)
      TRY (overlap (p, &p->view[i], &p->view[j], &cka[i * n + j]));
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++) {
      double scale = sqrt (cka[i * n + i] * cka[j * n + j]);
      cka[i * n + j] = scale > 0 ? cka[i * n + j] / scale : NAN;
      cka[j * n + i] = cka[i * n + j];
    }
  for (int i = 0; i < n; i++)
    cka[i * n + i] = cka[i * n + i] > 0 ? 1 : NAN;
  return OK;
}
