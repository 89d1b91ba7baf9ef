/* probe/probe_impl.h -- the inside of the probe: a grid of ranks, matrices laid
 * over it, and what is computed from them.
 *
 * A matrix is block-cyclic: block x block squares are dealt to the grid's rows
 * and columns in turn, first square to rank (0, 0).  Rows are samples, columns
 * features.  Symmetric matrices have their lower triangle only.  Indices count
 * from 0.  Work that fails on one rank only (memory) is agreed on by the caller
 * before the next collective call.
 */
#ifndef PROBE_PROBE_IMPL_H
#define PROBE_PROBE_IMPL_H

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"
#include "probe/probe.h"
#include "wire/wire.h"

/* -- the grid, and the library behind it (matrix.c, scalapack.c) ----------- */

struct grid {
  struct wire *wire; /* borrowed */
  int handle, context;
  int n_rows, n_cols; /* ranks; their product is the world */
  int row, col;       /* this rank's place; world rank = row * n_cols + col */
  int block;
};
/* Fails with E_UNSUPPORTED where the program was built without ScaLAPACK.
 * Collective on world. */
enum status
grid_open (struct wire *w, int n_rows, int n_cols, int block, struct grid *g);
void
grid_close (struct grid *g);
/* Ranks in rows and columns: as square as it can be, the longer side along the
 * features, since products over samples are faster so.  Local. */
void
grid_shape (int size, int *rows, int *cols);
/* Rows and columns of a block: large ones are fast, but every rank should have
 * a few of the smaller side.  Local. */
int
grid_block (int rows, int cols, int64_t n, int64_t width);
/* Threads of the numerical library on this rank, where it can be told. Local.
 */
void
grid_threads (int n);

struct matrix {
  struct grid *grid; /* borrowed */
  bool wide;         /* double, else float */
  int m, n;          /* of the whole */
  int col_block;     /* columns of a block; rows: the grid's */
  int rows, cols;    /* of this rank */
  int desc[9];       /* of the library */
  void *data;        /* owned; column-major, rows per column */
};
/* Rows (or columns) of n that rank `place` of `ranks` has. */
int
matrix_share (int n, int block, int place, int ranks);
/* Bytes on the rank that has most. */
double
matrix_bytes (const struct grid *g, int m, int n, bool wide);
/* col_block 0: the grid's.  Zeroed.  Fails with E_MEMORY on this rank alone.
 * Local. */
enum status
matrix_create (struct grid *g, int m, int n, int col_block, bool wide,
               struct matrix *out);
void
matrix_clear (struct matrix *a);

/* Place in the whole of local row or column i, and the local number of global
 * row or column i (of the first one not before it, where it is elsewhere). */
int
matrix_row (const struct matrix *a, int i);
int
matrix_col (const struct matrix *a, int j);
int
matrix_row_local (const struct matrix *a, int row);
int
matrix_col_local (const struct matrix *a, int col);

static inline double
matrix_get (const struct matrix *a, int i, int j)
{
  size_t at = (size_t)j * (size_t)a->rows + (size_t)i;
  return a->wide ? ((const double *)a->data)[at] : ((const float *)a->data)[at];
}
static inline void
matrix_set (struct matrix *a, int i, int j, double v)
{
  size_t at = (size_t)j * (size_t)a->rows + (size_t)i;
  if (a->wide)
    ((double *)a->data)[at] = v;
  else
    ((float *)a->data)[at] = (float)v;
}

/* A rectangle of a matrix. */
struct part {
  struct matrix *of;
  int row, col, m, n;
};
static inline struct part
part_whole (struct matrix *a)
{
  return (struct part){a, 0, 0, a->m, a->n};
}
static inline struct part
part_rows (struct matrix *a, int first, int n)
{
  return (struct part){a, first, 0, n, a->n};
}

/* The library's routines.  Collective on world; parts of one call are of one
 * precision.
 *   product: c = op(a) op(b), op: transposed where asked
 *   gram:    lower triangle of c = a' a (over samples) or a a'
 *   symmetric_product: c = s b, s symmetric by its lower triangle, n x n
 *   factor:  Cholesky of the leading n x n of a; *bad: 0, or the order of the
 *            leading minor that is not positive definite
 *   solve:   a as factor left it, b overwritten by the solution
 *   eigenvalues: of the leading n x n of a, ascending, on all ranks; a is lost
 */
void
part_product (struct part a, bool a_transposed, struct part b,
              bool b_transposed, struct part c);
void
part_gram (struct part a, bool over_samples, struct matrix *c);
void
part_symmetric_product (struct matrix *s, struct part b, struct part c);
void
matrix_factor (struct matrix *a, int n, int *bad);
void
matrix_solve (struct matrix *a, int n, struct matrix *b);
enum status
matrix_eigenvalues (struct matrix *a, int n, double *values);
/* Bytes that matrix_eigenvalues allocates besides. */
double
matrix_eigen_bytes (const struct grid *g, int n, bool wide);
const char *
matrix_library (void);
/* What its arithmetic follows from here, in the words of the library that does
 * it: version, kind of processor; "" where it does not say. */
const char *
matrix_arithmetic (void);

/* -- loops over local parts (matrix.c) --------------------------------------
 */

/* Means of the columns of the first m rows; mean[n].  Collective. */
enum status
matrix_means (const struct matrix *a, int m, double *mean);
/* a -= mean of its column. */
void
matrix_centre (struct matrix *a, const double *mean);
/* Row means of the symmetric leading n x n; mean[n].  Collective. */
enum status
matrix_symmetric_means (const struct matrix *a, int n, double *mean);
/* Sum of the diagonal of the leading n x n.  Collective. */
enum status
matrix_trace (const struct matrix *a, int n, double *out);
/* to's leading n x n = from's, x added on its diagonal. */
void
matrix_shifted (const struct matrix *from, int n, double x, struct matrix *to);
/* Sum of the products of entries of a and b, which are laid out alike;
 * symmetric: both have the lower triangle only.  Collective. */
enum status
matrix_dot (const struct matrix *a, const struct matrix *b, bool symmetric,
            double *out);

/* -- representations (side.c, turn.c, vocabulary.c) ------------------------ */

/* The outputs of one stage on all samples, centred over them: n x width.  Where
 * width > n it holds their inner products instead, n x n (dual): everything
 * that is computed here follows from these as well, and they are smaller. */
struct view {
  int side, stage;
  int64_t width;
  char behind[PROBE_WORD];
  bool dual;
  struct matrix x;
};

struct side {
  char name[PROBE_PATH];
  int64_t step;
  int n_stages, first; /* view of stage 0 */
};

struct need {      /* of memory: bytes on the rank that needs most */
  double held;     /* by the sides so far, once all their rows are there */
  double work;     /* besides, while they are studied */
  double arriving; /* while rows arrive, with what is held then */
};

struct entry { /* rows that wait for the next turn */
  int32_t stage, n;
  int64_t first;
};

struct probe {
  struct grid grid;
  struct wire *wire; /* borrowed */
  struct probe_spec spec;
  bool open;
  int n_sides, n_views;
  struct side side[PROBE_SIDES];
  struct view *view; /* n_views, owned */
  int n, classes;    /* samples, classes */
  int n_fit, n_choose;
  uint64_t digest;
  int64_t *row;   /* n: matrix row of a sample, owned */
  int32_t *label; /* n: by matrix row, owned */
  /* of tokens */
  int vocabulary; /* 0: not of tokens */
  double *within; /* n: bits of the token where its class is known, by matrix
                     row, owned; NULL: not of tokens */
  char first[PROBE_PATH]; /* name of the side that chose the samples */
  struct need need;       /* of the sides that have begun */
  struct need expected;   /* of those that were told beforehand */
  int n_expected;
  int panel; /* columns that similarity multiplies at a time, about */

  int n_entries, most_entries;
  struct entry *entry; /* owned */
  float *pending;      /* rows of the entries one behind the other, owned */
  size_t n_pending, pending_room;
  int64_t rows_seen; /* x stages, of the side under way, on this rank */
  bool not_finite;
  int bad_stage;
};

/* Next tokens become classes: each of the most - 1 most frequent ones of the
 * samples that fit has its own (of equally frequent ones the lower), all others
 * share the last; a vocabulary that is no larger than most is not cut.  Among
 * the others a token has (count + 1) / (counts of all others + their number) of
 * the probability, counts being those of the samples that fit.  label[n] holds
 * tokens and becomes classes; within[n].  Local; the same on all ranks. */
enum status
vocabulary_cut (int32_t *label, int n, int n_fit, int vocabulary, int most,
                int *classes, double *within);

/* -- studies ----------------------------------------------------------------
 */

struct ridge {
  double lambda, relative; /* chosen; relative to the mean eigenvalue */
  double chosen, judged;   /* accuracy on the part it was chosen by, and on the
                              last part */
  double error; /* on the last part: mean of (score - one-hot label)^2 */
  /* Of tokens, else NaN: bits per token on the last part, what frequencies
     alone give, and their weight among the probabilities. */
  double bits, bits_unigram, blend;
  int n_refused; /* lambdas whose matrix had no Cholesky factor */
  bool constant; /* the outputs do not depend on the sample */
};
/* Linear probe of a view.  Collective. */
enum status
ridge_study (struct probe *p, struct view *v, struct ridge *out);
double
ridge_bytes (const struct probe *p, int64_t width);

struct spectrum {
  int n;         /* eigenvalues there can be: least of width, n */
  double *value; /* descending, of the covariance; owned */
  double trace, effective, participation;
  int rank; /* above the noise of the precision */
};
enum status
spectrum_study (struct probe *p, struct view *v, struct spectrum *out);
double
spectrum_bytes (const struct probe *p, int64_t width);
/* From value[n], descending. */
void
spectrum_measure (struct spectrum *s, int64_t width, int64_t n_samples,
                  bool wide);

/* cka[n_views^2], row-major.  Collective. */
enum status
similarity_study (struct probe *p, double *cka);
double
similarity_bytes (const struct probe *p, int64_t width);

struct probe_result {
  int n_views;
  struct ridge *ridge;       /* n_views */
  struct spectrum *spectrum; /* n_views */
  double *cka;               /* n_views^2 */
  double ridge_s, spectrum_s, similarity_s;
};

#endif
