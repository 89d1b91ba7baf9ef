/* probe/ridge.c -- the linear probe: ridge regression on one-hot labels in
 * closed form.
 *
 * Samples come in an order drawn once: the first part fits, the next one
 * chooses lambda, then both fit again and the last part judges.  With features
 * F of the fitting samples, centred, and targets T, centred,
 *     W = (F'F + lambda I)^-1 F'T          scores  x W - mean W + mean T
 * or, where there are more features than samples, by inner products K = FF',
 *     A = (K + lambda I)^-1 T              scores  x F'A - mean(F) F'A + mean T
 * which are the same numbers.  The fitting part's own means are used, so that
 * nothing is learnt from the parts that judge.
 *
 * Of tokens, scores s estimate the probabilities of the next classes, and may
 * be below 0.  With u(c) = (count of c + 1) / (samples that fit + classes),
 *     p(c) = (1 - a) max (s(c), 0) / sum max (s, 0) + a u(c)
 * where a, too, is chosen by the part that chooses lambda; where no score is
 * above 0, p = u.  Bits per token are the mean of -log2 p(class), and what the
 * cut of the vocabulary leaves open (vocabulary.c).
 */
#include "probe/probe_impl.h"

#include <math.h>
#include <string.h>

/* Lambda over the mean eigenvalue (of those that can be other than 0). */
static const double ladder[] = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10};
#define LADDER (int)(sizeof ladder / sizeof *ladder)

/* Weight of frequencies among probabilities; the last is frequencies alone. */
static const double blends[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1};
#define BLENDS (int)(sizeof blends / sizeof *blends)

struct fit {
  struct probe *p;
  struct view *v;
  int order, n;                  /* of the matrix; samples that fit */
  struct matrix gram, factor;    /* order x order */
  struct matrix rhs, z, targets; /* order, order, n_samples x classes */
  struct matrix scores;          /* n_samples x classes */
  double *mean;                  /* order: of the features, or of K's rows */
  double *share, *offset;        /* classes */
  double unit;                   /* mean eigenvalue */
};

static int
most_order (const struct probe *p, int64_t width)
{
  return width > p->n ? p->n_fit + p->n_choose : (int)width;
}

double
ridge_bytes (const struct probe *p, int64_t width)
{
  const struct grid *g = &p->grid;
  int order = most_order (p, width);
  bool w = p->spec.wide;
  /* Matrices of one column block: the first column of the grid has them. */
  double number = w ? 8 : 4, classes = p->classes;
  double rows = matrix_share (order, g->block, 0, g->n_rows);
  double samples = matrix_share (p->n, g->block, 0, g->n_rows);
  return 2 * matrix_bytes (g, order, order, w) +
         2 * (rows + samples) * classes * number + 8.0 * order;
}

static void
fit_close (struct fit *f)
{
  matrix_clear (&f->gram);
  matrix_clear (&f->factor);
  matrix_clear (&f->rhs);
  matrix_clear (&f->z);
  matrix_clear (&f->targets);
  matrix_clear (&f->scores);
  mem_free (&f->mean);
  mem_free (&f->share);
  mem_free (&f->offset);
}

static enum status
fit_memory (struct fit *f)
{
  struct probe *p = f->p;
  struct grid *g = &p->grid;
  int order = most_order (p, f->v->width), c = p->classes;
  bool w = p->spec.wide;
  TRY (matrix_create (g, order, order, 0, w, &f->gram));
  TRY (matrix_create (g, order, order, 0, w, &f->factor));
  TRY (matrix_create (g, order, c, c, w, &f->rhs));
  TRY (matrix_create (g, order, c, c, w, &f->z));
  TRY (matrix_create (g, p->n, c, c, w, &f->targets));
  TRY (matrix_create (g, p->n, c, c, w, &f->scores));
  TRY (MEM_NEW ((size_t)order, &f->mean, "means"));
  TRY (MEM_NEW ((size_t)c, &f->share, "class shares"));
  return MEM_NEW ((size_t)c, &f->offset, "offsets");
}

/* -- one fit ----------------------------------------------------------------
 */

/* Centred one-hot targets of the first n samples; all ranks know all labels. */
static void
make_targets (struct fit *f)
{
  struct matrix *t = &f->targets;
  int classes = f->p->classes, rows = matrix_row_local (t, f->n);
  for (int c = 0; c < classes; c++)
    f->share[c] = 0;
  for (int i = 0; i < f->n; i++)
    f->share[f->p->label[i]] += 1.0 / f->n;
  for (int j = 0; j < t->cols; j++)
    for (int i = 0; i < rows; i++) {
      int c = matrix_col (t, j);
      bool hit = f->p->label[matrix_row (t, i)] == c;
      matrix_set (t, i, j, (hit ? 1 : 0) - f->share[c]);
    }
}

/* Inner products of features, centred over the n samples that fit.  x is
 * centred over all samples; what is still to be subtracted is small, so that
 * little precision is lost by doing it after the product. */
static enum status
make_gram (struct fit *f)
{
  struct matrix *x = &f->v->x, *g = &f->gram;
  if (f->v->dual) {
    matrix_shifted (x, f->n, 0, g);
    TRY (matrix_symmetric_means (x, f->n, f->mean));
  } else {
    part_gram (part_rows (x, 0, f->n), true, g);
    TRY (matrix_means (x, f->n, f->mean));
  }
  double all = 0;
  for (int i = 0; i < f->order; i++)
    all += f->mean[i] / f->order;
  int rows = matrix_row_local (g, f->order);
  int cols = matrix_col_local (g, f->order);
  for (int j = 0; j < cols; j++) {
    int col = matrix_col (g, j);
    for (int i = matrix_row_local (g, col); i < rows; i++) {
      double a = f->mean[matrix_row (g, i)], b = f->mean[col];
      double less = f->v->dual ? a + b - all : f->n * a * b;
      matrix_set (g, i, j, matrix_get (g, i, j) - less);
    }
  }
  double trace;
  TRY (matrix_trace (g, f->order, &trace));
  int least = f->v->width < f->n ? (int)f->v->width : f->n;
  f->unit = trace / least;
  return OK;
}

static void
copy_columns (const struct matrix *from, int n, struct matrix *to)
{
  int rows = matrix_row_local (from, n);
  for (int j = 0; j < from->cols; j++)
    for (int i = 0; i < rows; i++)
      matrix_set (to, i, j, matrix_get (from, i, j));
}

static void
make_rhs (struct fit *f)
{
  if (f->v->dual)
    copy_columns (&f->targets, f->n, &f->rhs);
  else
    part_product (part_rows (&f->v->x, 0, f->n), true,
                  part_rows (&f->targets, 0, f->n), false,
                  part_whole (&f->rhs));
}

static enum status
begin_fit (struct fit *f, int n)
{
  f->n = n;
  f->order = f->v->dual ? n : (int)f->v->width;
  make_targets (f);
  TRY (make_gram (f));
  make_rhs (f);
  return OK;
}

/* z for one lambda; *good false: the matrix has no Cholesky factor. */
static void
solve (struct fit *f, double lambda, bool *good)
{
  int bad;
  matrix_shifted (&f->gram, f->order, lambda, &f->factor);
  matrix_factor (&f->factor, f->order, &bad);
  *good = bad == 0;
  if (bad != 0)
    return;
  copy_columns (&f->rhs, f->order, &f->z);
  matrix_solve (&f->factor, f->order, &f->z);
}

static enum status
make_offset (struct fit *f)
{
  const struct matrix *z = &f->z;
  int rows = matrix_row_local (z, f->order);
  memset (f->offset, 0, (size_t)f->p->classes * sizeof *f->offset);
  for (int j = 0; j < z->cols; j++)
    for (int i = 0; i < rows; i++)
      f->offset[matrix_col (z, j)] -=
          f->mean[matrix_row (z, i)] * matrix_get (z, i, j);
  TRY (wire_sum (f->p->wire, f->offset, (size_t)f->p->classes));
  for (int c = 0; c < f->p->classes; c++)
    f->offset[c] += f->share[c];
  return OK;
}

struct verdict {
  double accuracy;     /* share of samples whose class has the highest score */
  double error;        /* mean of (score - one-hot label)^2 */
  double bits[BLENDS]; /* of tokens: per token */
};

/* Adds the bits of local row i, one number for every blend. */
static void
add_bits (const struct fit *f, int i, double *bits)
{
  const struct matrix *s = &f->scores;
  int row = matrix_row (s, i), own = f->p->label[row];
  double all = 0, of_own = 0;
  double u = (f->share[own] * f->n + 1) / (f->n + s->cols);
  for (int c = 0; c < s->cols; c++) {
    double v = fmax (matrix_get (s, i, c) + f->offset[c], 0);
    all += v;
    of_own = c == own ? v : of_own;
  }
  double p = all > 0 ? of_own / all : u;
  for (int b = 0; b < BLENDS; b++)
    bits[b] += f->p->within[row] - log2 ((1 - blends[b]) * p + blends[b] * u);
}

/* What is summed over samples: those that are right, squares of errors, and
 * the bits of every blend. */
enum { SUM_RIGHT, SUM_SQUARES, SUM_BITS, SUMS = SUM_BITS + BLENDS };

/* Of samples first .. first+n-1; all scores of a sample are on one rank. */
static enum status
judge (struct fit *f, int first, int n, struct verdict *out)
{
  struct matrix *s = &f->scores;
  struct part x = {&f->v->x, first, 0, n, f->order};
  part_product (x, false, part_rows (&f->z, 0, f->order), false,
                part_rows (s, first, n));
  TRY (make_offset (f));
  double sums[SUMS] = {0};
  int end = matrix_row_local (s, first + n);
  for (int i = matrix_row_local (s, first); s->cols > 0 && i < end; i++) {
    int best = 0;
    double most = -INFINITY;
    for (int c = 0; c < s->cols; c++) {
      double v = matrix_get (s, i, c) + f->offset[c];
      double off = v - (f->p->label[matrix_row (s, i)] == c);
      sums[SUM_SQUARES] += off * off;
      if (v > most) {
        most = v;
        best = c;
      }
    }
    sums[SUM_RIGHT] += f->p->label[matrix_row (s, i)] == best;
    if (f->p->within)
      add_bits (f, i, sums + SUM_BITS);
  }
  TRY (wire_sum (f->p->wire, sums, SUMS));
  out->accuracy = sums[SUM_RIGHT] / n;
  out->error = sums[SUM_SQUARES] / n / f->p->classes;
  for (int b = 0; b < BLENDS; b++)
    out->bits[b] = sums[SUM_BITS + b] / n;
  return OK;
}

/* -- the study --------------------------------------------------------------
 */

struct choice {
  double loss, relative, accuracy;
  int blend;
};

/* Where nothing can be learnt, the most frequent class is all there is. */
static enum status
judge_constant (struct fit *f, int first, int n, struct verdict *out)
{
  memset (f->z.data, 0,
          (size_t)f->z.rows * (size_t)f->z.cols * (f->z.wide ? 8 : 4));
  return judge (f, first, n, out);
}

/* The best lambda so far: of images by accuracy, of tokens by bits.  Lambdas
 * and blends come in rising order, so <= takes the smoothest of equals. */
static void
compare (const struct fit *f, const struct verdict *v, double relative,
         struct choice *best)
{
  bool tokens = f->p->within != NULL;
  for (int b = 0; b < (tokens ? BLENDS : 1); b++) {
    double loss = tokens ? v->bits[b] : -v->accuracy;
    if (loss <= best->loss)
      *best = (struct choice){loss, relative, v->accuracy, b};
  }
}

static enum status
choose (struct fit *f, struct choice *best, struct ridge *out)
{
  struct probe *p = f->p;
  TRY (begin_fit (f, p->n_fit));
  out->constant = !(f->unit > 0) || !isfinite (f->unit);
  struct verdict v;
  if (out->constant) {
    TRY (judge_constant (f, p->n_fit, p->n_choose, &v));
    compare (f, &v, 0, best);
    return OK;
  }
  for (int i = 0; i < LADDER; i++) {
    bool good;
    solve (f, ladder[i] * f->unit, &good);
    if (!good) {
      out->n_refused++;
      continue;
    }
    TRY (judge (f, p->n_fit, p->n_choose, &v));
    compare (f, &v, ladder[i], best);
  }
  return OK;
}

/* Fits with the chosen lambda on both parts.  Where its matrix has no Cholesky
 * factor now, with the next larger one that has. */
static enum status
conclude (struct fit *f, struct ridge *out, struct verdict *v)
{
  struct probe *p = f->p;
  int n = p->n_fit + p->n_choose, left = p->n - n;
  bool good = false;
  TRY (begin_fit (f, n));
  if (out->constant)
    return judge_constant (f, n, left, v);
  for (double r = out->relative > 0 ? out->relative : 10; r < 1e9; r *= 10) {
    out->relative = r;
    out->lambda = r * f->unit;
    solve (f, out->lambda, &good);
    if (good)
      return judge (f, n, left, v);
    out->n_refused++;
  }
  return fail (E_NUMBERS,
               "stage %d: no lambda makes its Gram matrix positive definite",
               f->v->stage);
}

enum status
ridge_study (struct probe *p, struct view *v, struct ridge *out)
{
  struct fit f = {.p = p, .v = v};
  struct ridge r = {.relative = 0};
  struct verdict end = {0};
  struct choice best = {.loss = INFINITY};
  enum status s = wire_agree (p->wire, fit_memory (&f));
  if (s == OK)
    s = choose (&f, &best, &r);
  r.relative = best.relative;
  r.chosen = best.accuracy;
  if (s == OK)
    s = conclude (&f, &r, &end);
  fit_close (&f);
  r.judged = end.accuracy;
  r.error = end.error;
  r.bits = p->within ? end.bits[best.blend] : NAN;
  r.bits_unigram = p->within ? end.bits[BLENDS - 1] : NAN;
  r.blend = p->within ? blends[best.blend] : NAN;
  if (s == OK)
    *out = r;
  return s;
}
