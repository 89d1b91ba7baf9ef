/* probe/side.c -- a checkpoint's side of the comparison: its samples, the
 * memory that it takes, and its matrices, which turns fill (turn.c). */
#include "probe/probe_impl.h"

#include "base/random.h"
#include <math.h>

/* Rows waiting on a rank, and those on their way in and out, each. */
#define TURN_BYTES (32.0 * 1024 * 1024)
#define TURN_COPIES 3

/* -- grid and block ---------------------------------------------------------
 */

static int64_t
widest (const struct probe_side *s)
{
  int64_t w = 0;
  for (int k = 0; k < s->n_stages; k++)
    w = s->width[k] > w ? s->width[k] : w;
  return w;
}

static enum status
open_grid (struct probe *p, const struct probe_side *s)
{
  int size = wire_size (p->wire);
  int rows = p->spec.grid_rows, cols = p->spec.grid_cols;
  int block = p->spec.block;
  if (rows <= 0)
    grid_shape (size, &rows, &cols);
  if (block <= 0)
    block = grid_block (rows, cols, s->n_samples, widest (s));
  enum status e = grid_open (p->wire, rows, cols, block, &p->grid);
  p->open = e == OK;
  return wire_agree (p->wire, e);
}

/* -- samples ----------------------------------------------------------------
 */

/* Samples are put into an order that is drawn, since a file may be sorted by
 * class: the first three fifths of it fit, the next fifth chooses lambda, the
 * last one judges. */
static enum status
take_samples (struct probe *p, const struct probe_side *s)
{
  struct random_key key = {p->spec.seed, RANDOM_PROBE, 0, 0};
  snprintf (p->first, sizeof p->first, "%s", s->name);
  p->n = (int)s->n_samples;
  p->classes = s->classes;
  p->digest = s->digest;
  p->n_fit = (int)((int64_t)p->n * 3 / 5);
  p->n_choose = p->n / 5;
  TRY (MEM_NEW ((size_t)p->n, &p->row, "order of samples"));
  TRY (MEM_NEW ((size_t)p->n, &p->label, "labels"));
  random_permutation (&key, p->row, (size_t)p->n);
  for (int i = 0; i < p->n; i++)
    p->label[p->row[i]] = s->labels[i];
  if (!s->tokens)
    return OK;
  int most = p->spec.classes > 0 ? p->spec.classes : PROBE_CLASSES;
  p->vocabulary = s->classes;
  TRY (MEM_NEW ((size_t)p->n, &p->within, "bits of tokens"));
  return vocabulary_cut (p->label, p->n, p->n_fit, s->classes, most,
                         &p->classes, p->within);
}

static enum status
check_side (const struct probe *p, const struct probe_side *s)
{
  if (p->n_sides == PROBE_SIDES)
    return fail (E_USAGE, "at most %d checkpoints at once", PROBE_SIDES);
  if (s->n_samples < 10)
    return fail (E_DATA,
                 "%s: %lld samples are too few: some fit, some choose lambda, "
                 "some judge (10 at least)",
                 s->name, (long long)s->n_samples);
  if (s->n_samples > 1 << 30 || widest (s) > 1 << 30)
    return fail (E_LIMIT, "%s: %lld samples x %lld features are too many",
                 s->name, (long long)s->n_samples, (long long)widest (s));
  if (p->n > 0 && (s->digest != p->digest || s->n_samples != p->n))
    return fail (E_DATA,
                 "%s and %s are not of the same samples: similarity needs one "
                 "data set and split for all (data.file=FILE gives it)",
                 s->name, p->first);
  return OK;
}

/* -- memory -----------------------------------------------------------------
 */

static double
view_bytes (const struct probe *p, int64_t width, bool reduced)
{
  int n = reduced && width > p->n ? p->n : (int)width;
  return matrix_bytes (&p->grid, p->n, n, p->spec.wide);
}

static double
work_bytes (const struct probe *p, int64_t width)
{
  return fmax (fmax (ridge_bytes (p, width), spectrum_bytes (p, width)),
               similarity_bytes (p, width));
}

static double
turn_bytes (const struct probe_side *s, int per_turn)
{
  double row = 0;
  for (int k = 0; k < s->n_stages; k++)
    row += (double)s->width[k] * 4;
  return row * (double)s->batch * per_turn;
}

static int
choose_turn (const struct probe_side *s)
{
  double one = turn_bytes (s, 1);
  int n = (int)(TURN_BYTES / (one > 1 ? one : 1));
  return n < 1 ? 1 : n > 64 ? 64 : n;
}

/* A side more. */
static void
add_need (const struct probe *p, const struct probe_side *s, struct need *n)
{
  double all = 0, reduced = 0, dual = 0;
  for (int k = 0; k < s->n_stages; k++) {
    double r = view_bytes (p, s->width[k], true);
    all += view_bytes (p, s->width[k], false);
    reduced += r;
    n->work = fmax (n->work, work_bytes (p, s->width[k]));
    if (s->width[k] > p->n)
      dual = fmax (dual, r);
  }
  double turn = TURN_COPIES * turn_bytes (s, choose_turn (s));
  n->arriving = fmax (n->arriving, n->held + all + fmax (turn, dual));
  n->held += reduced;
}

static double
need_most (const struct need *n)
{
  return fmax (n->arriving, n->held + n->work);
}

static double
memory_left (const struct probe *p)
{
  if (p->spec.memory_bytes > 0)
    return p->spec.memory_bytes;
  return mem_available () / wire_node_size (p->wire) + p->need.held;
}

static enum status
refuse (const struct probe *p, const char *what, const struct need *n,
        double left)
{
  return fail (E_MEMORY,
               "%s takes %s on a rank (%s while outputs arrive, %s while "
               "matrices are worked on), and there are %s: start more ranks or "
               "nodes, or ask for fewer --samples%s",
               what, text_bytes (need_most (n)), text_bytes (n->arriving),
               text_bytes (n->held + n->work), text_bytes (left),
               p->spec.wide ? ", or leave out --double" : "");
}

static enum status
check_memory (struct probe *p, const struct probe_side *s)
{
  struct need n = p->need;
  struct text what;
  n.arriving = 0; /* of earlier sides: that is over */
  add_need (p, s, &n);
  double most = need_most (&n), left = memory_left (p);
  say (LOG_INFO,
       "probe: grid %d x %d, blocks of %d, %s; %d samples x %d stages, at most "
       "%s features; memory per rank: %s of %s",
       p->grid.n_rows, p->grid.n_cols, p->grid.block,
       p->spec.wide ? "double" : "float", p->n, s->n_stages,
       text_count (widest (s)), text_bytes (most), text_bytes (left));
  if (most <= left || left <= 0)
    return OK;
  text_init (&what);
  text_add (&what, "%s: probing %d stages", s->name, s->n_stages);
  enum status e = refuse (p, what.data, &n, left);
  text_clear (&what);
  return e;
}

/* -- a side begins ----------------------------------------------------------
 */

static enum status
make_views (struct probe *p, const struct probe_side *s)
{
  size_t n = (size_t)p->n_views;
  TRY (mem_grow (&p->view, n, n + (size_t)s->n_stages, sizeof *p->view,
                 "views"));
  struct side *side = &p->side[p->n_sides];
  snprintf (side->name, sizeof side->name, "%s", s->name);
  side->step = s->step;
  side->n_stages = s->n_stages;
  side->first = p->n_views;
  for (int k = 0; k < s->n_stages; k++) {
    struct view *v = &p->view[p->n_views];
    v->side = p->n_sides;
    v->stage = k;
    v->width = s->width[k];
    snprintf (v->behind, sizeof v->behind, "%s", s->behind[k]);
    TRY (matrix_create (&p->grid, p->n, (int)v->width, 0, p->spec.wide, &v->x));
    p->n_views++;
  }
  return OK;
}

/* What the first side decides for all, and whether this one goes with it. */
static enum status
prepare (struct probe *p, const struct probe_side *s)
{
  TRY (wire_agree (p->wire, check_side (p, s)));
  TRY (wire_agree (p->wire, wire_same (p->wire, s->digest, "the samples")));
  if (!p->open)
    TRY (open_grid (p, s));
  grid_threads (s->threads);
  return p->n > 0 ? OK : wire_agree (p->wire, take_samples (p, s));
}

enum status
probe_expect (struct probe *p, const struct probe_side *s)
{
  TRY (prepare (p, s));
  add_need (p, s, &p->expected);
  p->n_expected++;
  return OK;
}

enum status
probe_expected (struct probe *p)
{
  double most = need_most (&p->expected), left = memory_left (p);
  char what[64];
  snprintf (what, sizeof what, "probing %d checkpoints", p->n_expected);
  say (LOG_INFO, "probe: %d checkpoints; memory per rank: %s of %s",
       p->n_expected, text_bytes (most), text_bytes (left));
  return wire_agree (p->wire, most <= left || left <= 0
                                  ? OK
                                  : refuse (p, what, &p->expected, left));
}

enum status
probe_begin (struct probe *p, const struct probe_side *s, int *per_turn)
{
  TRY (prepare (p, s));
  TRY (wire_agree (p->wire, check_memory (p, s)));
  int n = choose_turn (s);
  p->most_entries = n * s->n_stages;
  p->n_entries = 0;
  p->rows_seen = 0;
  enum status e = make_views (p, s);
  if (e == OK)
    e = MEM_NEW ((size_t)p->most_entries, &p->entry, "rows under way");
  TRY (wire_agree (p->wire, e));
  add_need (p, s, &p->need);
  p->n_sides++;
  *per_turn = n;
  return OK;
}

/* -- a side ends ------------------------------------------------------------
 */

/* Centre over all samples; more features than samples: inner products. */
static enum status
settle (struct probe *p, struct view *v)
{
  double *mean = NULL;
  TRY (wire_agree (p->wire, MEM_NEW ((size_t)v->width, &mean, "means")));
  enum status e = matrix_means (&v->x, p->n, mean);
  if (e == OK)
    matrix_centre (&v->x, mean);
  mem_free (&mean);
  if (e != OK || v->width <= p->n)
    return e;
  struct matrix k = {0};
  TRY (wire_agree (p->wire,
                   matrix_create (&p->grid, p->n, p->n, 0, p->spec.wide, &k)));
  part_gram (part_whole (&v->x), false, &k);
  matrix_clear (&v->x);
  v->x = k;
  v->dual = true;
  return OK;
}

enum status
probe_end (struct probe *p)
{
  struct side *side = &p->side[p->n_sides - 1];
  double rows = (double)p->rows_seen;
  enum status e = OK;
  mem_free (&p->pending);
  p->pending_room = 0;
  mem_free (&p->entry);
  if (p->not_finite)
    e = fail (E_NUMBERS, "%s: the output of stage %d is not finite", side->name,
              p->bad_stage);
  TRY (wire_agree (p->wire, e));
  TRY (wire_sum (p->wire, &rows, 1));
  CHECK (rows == (double)p->n * side->n_stages, "%g rows of %d samples", rows,
         p->n);
  for (int k = 0; k < side->n_stages; k++)
    TRY (settle (p, &p->view[side->first + k]));
  return OK;
}
