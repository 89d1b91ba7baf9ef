/* ranks: 1 2 4 6 */
/* tests/probe/study.c -- rows given on any rank come to lie where they belong,
 * and what is computed from them is what plain loops over the closed forms
 * give, with fewer and with more features than samples. */
#include "tests/probe/plain.h"
#include "tests/probe/tool.h"

#define SAMPLES 61
#define CLASSES 4
#define BATCH 7
#define STAGES 4

/* Widths below and above the number of samples. */
static const int64_t width[STAGES] = {11, 47, 61, 90};
static int32_t label[SAMPLES];
static double *value[2][STAGES]; /* by side: SAMPLES x width */

static double
draw (uint64_t number, uint64_t i)
{
  struct random_key key = {31, RANDOM_TEST, number, 0};
  return random_normal (&key, i);
}

/* Classes leave a trace in the first features; the mean is far from 0; side 1
 * is another network. */
static void
make_values (void)
{
  for (int i = 0; i < SAMPLES; i++)
    label[i] = i % CLASSES;
  for (int s = 0; s < 2; s++)
    for (int k = 0; k < STAGES; k++) {
      int64_t w = width[k];
      tool_must (MEM_NEW ((size_t)(SAMPLES * w), &value[s][k], "values"));
      for (int i = 0; i < SAMPLES; i++)
        for (int64_t j = 0; j < w; j++) {
          double v = draw ((uint64_t)(10 * s + k), (uint64_t)(i * w + j));
          v = 3 + v / (double)(1 + j) + (j % CLASSES == label[i] ? 0.8 : 0);
          value[s][k][i * w + j] = (float)v;
        }
    }
}

/* -- plain ------------------------------------------------------------------
 */

/* Samples by matrix row. */
static const double *
plain_row (const struct probe *p, int side, int k, int row)
{
  for (int i = 0; i < SAMPLES; i++)
    if (p->row[i] == row)
      return value[side][k] + (int64_t)i * width[k];
  return NULL;
}

/* Right answers among rows first .. first+n-1 of a ridge fitted on the first n
 * rows with lambda relative to the mean eigenvalue; always by features. */
static int
plain_ridge (const struct probe *p, int side, int k, int n_fit, double relative,
             int first, int n, double *error)
{
  int w = (int)width[k], right = 0;
  double *g, *b, *mean, share[CLASSES] = {0}, trace = 0, off = 0;
  tool_must (MEM_NEW ((size_t)(w * w), &g, "plain"));
  tool_must (MEM_NEW ((size_t)(w * CLASSES), &b, "plain"));
  tool_must (MEM_NEW ((size_t)w, &mean, "plain"));
  for (int i = 0; i < n_fit; i++) {
    share[p->label[i]] += 1.0 / n_fit;
    for (int j = 0; j < w; j++)
      mean[j] += plain_row (p, side, k, i)[j] / n_fit;
  }
  for (int i = 0; i < n_fit; i++) {
    const double *x = plain_row (p, side, k, i);
    for (int j = 0; j < w; j++) {
      for (int l = 0; l < w; l++)
        g[j * w + l] += (x[j] - mean[j]) * (x[l] - mean[l]);
      for (int c = 0; c < CLASSES; c++)
        b[j * CLASSES + c] +=
            (x[j] - mean[j]) * ((p->label[i] == c) - share[c]);
    }
  }
  for (int j = 0; j < w; j++)
    trace += g[j * w + j];
  for (int j = 0; j < w; j++)
    g[j * w + j] += relative * trace / (w < n_fit ? w : n_fit);
  plain_solve (g, w, b, CLASSES);
  for (int i = first; i < first + n; i++) {
    double best = -INFINITY;
    int at = 0;
    for (int c = 0; c < CLASSES; c++) {
      double v = share[c];
      for (int j = 0; j < w; j++)
        v += (plain_row (p, side, k, i)[j] - mean[j]) * b[j * CLASSES + c];
      off += (v - (p->label[i] == c)) * (v - (p->label[i] == c));
      at = v > best ? c : at;
      best = fmax (v, best);
    }
    right += p->label[i] == at;
  }
  *error = off / n / CLASSES;
  mem_free (&g);
  mem_free (&b);
  mem_free (&mean);
  return right;
}

static void
plain_centre (const double *x, int64_t w, double *out)
{
  for (int64_t j = 0; j < w; j++) {
    double mean = 0;
    for (int i = 0; i < SAMPLES; i++)
      mean += x[i * w + j] / SAMPLES;
    for (int i = 0; i < SAMPLES; i++)
      out[i * w + j] = x[i * w + j] - mean;
  }
}

/* |Y'X|^2 of centred values. */
static double
plain_overlap (const double *x, int64_t wx, const double *y, int64_t wy)
{
  double all = 0;
  for (int64_t a = 0; a < wx; a++)
    for (int64_t b = 0; b < wy; b++) {
      double sum = 0;
      for (int i = 0; i < SAMPLES; i++)
        sum += x[i * wx + a] * y[i * wy + b];
      all += sum * sum;
    }
  return all;
}

/* -- through the probe ------------------------------------------------------
 */

static void
give_side (struct probe *p, int side)
{
  static const char *const behind[STAGES] = {"a", "b", "c", "d"};
  struct wire *w = p->wire;
  int per_turn, since = 0, size = wire_size (w);
  float rows[BATCH * 90];
  struct probe_side s = {.name = side ? "two" : "one",
                         .step = 10 + side,
                         .n_stages = STAGES,
                         .width = width,
                         .behind = behind,
                         .n_samples = SAMPLES,
                         .batch = BATCH,
                         .classes = CLASSES,
                         .threads = 1,
                         .labels = label,
                         .digest = 77};
  tool_must (probe_begin (p, &s, &per_turn));
  /* Stages and batches on ranks that have nothing to do with the layout. */
  for (int b = 0; b * BATCH < SAMPLES; b++) {
    for (int k = 0; k < STAGES; k++) {
      int first = b * BATCH;
      int n = SAMPLES - first < BATCH ? SAMPLES - first : BATCH;
      if ((b + 2 * k + side) % size != wire_rank (w))
        continue;
      for (int64_t i = 0; i < n * width[k]; i++)
        rows[i] = (float)value[side][k][first * width[k] + i];
      tool_must (probe_rows (p, k, first, n, rows));
    }
    if (++since == per_turn || since == 3) {
      tool_must (probe_turn (p));
      since = 0;
    }
  }
  tool_must (probe_turn (p));
  tool_must (probe_end (p));
}

static void
check_ridge (struct probe *p, const struct probe_result *r, double limit,
             const char *name)
{
  int judge = SAMPLES - p->n_fit - p->n_choose, n = p->n_fit + p->n_choose;
  double most = 0, off = 0, error, ignored;
  for (int i = 0; i < p->n_views; i++) {
    struct view *v = &p->view[i];
    int right = plain_ridge (p, v->side, v->stage, n, r->ridge[i].relative, n,
                             judge, &error);
    double chosen =
        plain_ridge (p, v->side, v->stage, p->n_fit, r->ridge[i].relative,
                     p->n_fit, p->n_choose, &ignored);
    most = fmax (most, fabs (r->ridge[i].judged * judge - right));
    off = fmax (off, fabs (r->ridge[i].error / error - 1));
    most = fmax (most, fabs (r->ridge[i].chosen * p->n_choose - chosen));
  }
  tap_near (most, 0, 1e-9, "%s: linear probes answer as plain ones", name);
  tap_near (off, 0, limit, "%s: and are as far from the labels", name);
}

static void
check_spectrum (struct probe *p, const struct probe_result *r, double limit,
                const char *name)
{
  double *x, trace_off = 0, part_off = 0;
  tool_must (MEM_NEW ((size_t)(SAMPLES * 90), &x, "plain"));
  for (int i = 0; i < p->n_views; i++) {
    int64_t w = p->view[i].width;
    double trace = 0;
    plain_centre (value[p->view[i].side][p->view[i].stage], w, x);
    for (int64_t j = 0; j < SAMPLES * w; j++)
      trace += x[j] * x[j] / (SAMPLES - 1);
    double squares =
        plain_overlap (x, w, x, w) / ((SAMPLES - 1) * (SAMPLES - 1));
    const struct spectrum *s = &r->spectrum[i];
    trace_off = fmax (trace_off, fabs (s->trace / trace - 1));
    part_off =
        fmax (part_off, fabs (s->participation * squares / trace / trace - 1));
  }
  tap_near (trace_off, 0, limit, "%s: sums of eigenvalues", name);
  tap_near (part_off, 0, limit, "%s: participation ratios", name);
  mem_free (&x);
}

static void
check_cka (struct probe *p, const struct probe_result *r, double limit,
           const char *name)
{
  double *x, *y, most = 0;
  int n = p->n_views;
  tool_must (MEM_NEW ((size_t)(SAMPLES * 90), &x, "plain"));
  tool_must (MEM_NEW ((size_t)(SAMPLES * 90), &y, "plain"));
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      struct view *a = &p->view[i], *b = &p->view[j];
      plain_centre (value[a->side][a->stage], a->width, x);
      plain_centre (value[b->side][b->stage], b->width, y);
      double want = plain_overlap (x, a->width, y, b->width) /
                    sqrt (plain_overlap (x, a->width, x, a->width) *
                          plain_overlap (y, b->width, y, b->width));
      most = fmax (most, fabs (r->cka[i * n + j] - want));
    }
  tap_near (most, 0, limit, "%s: CKA of all %d x %d pairs", name, n, n);
  mem_free (&x);
  mem_free (&y);
}

/* Everything golden.py needs, for --golden FILE. */
static void
write_golden (const struct probe *p, const struct probe_result *r,
              const char *path)
{
  FILE *f = wire_rank (p->wire) == 0 ? fopen (path, "w") : NULL;
  if (!f)
    return;
  fprintf (f, "%d %d %d %d %d\n", p->n, p->n_fit, p->n_choose, p->classes,
           p->n_views);
  for (int i = 0; i < p->n; i++)
    fprintf (f, "%d ", (int)p->label[i]);
  for (int i = 0; i < p->n_views; i++) {
    const struct view *v = &p->view[i];
    fprintf (f, "\n%d %.17g %.17g %.17g %.17g %.17g %.17g %.17g\n",
             (int)v->width, r->ridge[i].relative, r->ridge[i].chosen,
             r->ridge[i].judged, r->ridge[i].error, r->spectrum[i].effective,
             r->spectrum[i].participation, r->spectrum[i].trace);
    for (int row = 0; row < p->n; row++)
      for (int64_t j = 0; j < v->width; j++)
        fprintf (f, "%.17g ", plain_row (p, v->side, v->stage, row)[j]);
  }
  for (int i = 0; i < p->n_views * p->n_views; i++)
    fprintf (f, "\n%.17g", r->cka[i]);
  fclose (f);
}

static const char *golden_path; /* NULL: none */

static void
test_study (struct wire *w, bool wide, int block)
{
  struct probe_spec spec = {
      .wide = wide, .block = block, .seed = 5, .memory_bytes = 1e9};
  struct probe *p = NULL;
  struct probe_result *r = NULL;
  char name[64];
  double limit = wide ? 1e-10 : 1e-5;
  snprintf (name, sizeof name, "blocks of %d, %s", block,
            wide ? "double" : "float");
  tool_must (probe_open (w, &spec, &p));
  p->panel = 16; /* several of them */
  give_side (p, 0);
  give_side (p, 1);
  tool_must (probe_study (p, &r));
  check_ridge (p, r, limit, name);
  check_spectrum (p, r, limit, name);
  check_cka (p, r, limit, name);
  if (golden_path)
    write_golden (p, r, golden_path);
  probe_result_destroy (&r);
  probe_close (&p);
}

/* -- closed forms and refusals ----------------------------------------------
 */

static void
test_measures (void)
{
  double v[6] = {4, 4, 4, 4, 0, -1e-9};
  struct spectrum s = {.n = 6, .value = v};
  spectrum_measure (&s, 6, 100, true);
  tap_near (s.effective, 4, 1e-12, "effective rank of four equal directions");
  tap_near (s.participation, 4, 1e-12, "and their participation ratio");
  tap_ok (s.rank == 4, "and their rank");
  double u[2] = {9, 1};
  s = (struct spectrum){.n = 2, .value = u};
  spectrum_measure (&s, 2, 100, true);
  tap_near (s.effective, exp (-0.9 * log (0.9) - 0.1 * log (0.1)), 1e-12,
            "effective rank of 9 and 1");
  tap_near (s.participation, 100.0 / 82, 1e-12, "participation of 9 and 1");
}

static enum status
begin_with (struct wire *w, const struct probe_spec *spec, int64_t n,
            int64_t features)
{
  struct probe *p = NULL;
  const char *behind = "x";
  int32_t *none = NULL;
  int ignored;
  tool_must (MEM_NEW ((size_t)n, &none, "labels"));
  struct probe_side s = {.name = "x",
                         .n_stages = 1,
                         .width = &features,
                         .behind = &behind,
                         .n_samples = n,
                         .batch = 10,
                         .classes = 3,
                         .threads = 1,
                         .labels = none};
  tool_must (probe_open (w, spec, &p));
  enum status e = probe_begin (p, &s, &ignored);
  probe_close (&p);
  mem_free (&none);
  return e;
}

static void
test_refusals (struct wire *w)
{
  struct probe_spec spec = {.memory_bytes = 1e6};
  struct probe *p = NULL;
  tap_ok (begin_with (w, &spec, 1000, 20000) == E_MEMORY,
          "what does not fit is refused before it is made");
  tap_ok (begin_with (w, &spec, 100, 20) == OK, "what fits is not");
  tap_ok (begin_with (w, &spec, 9, 20) == E_DATA, "too few samples");
  spec.grid_rows = 7;
  spec.grid_cols = 1;
  tap_ok (probe_open (w, &spec, &p) == E_CONFIG, "a grid of other ranks");
}

/* One feature that is another's double, one that never changes. */
static void
test_deficient (struct wire *w, bool constant)
{
  struct probe_spec spec = {.block = 3, .memory_bytes = 1e9};
  struct probe *p = NULL;
  struct probe_result *r = NULL;
  int64_t features = 5;
  int per_turn;
  const char *behind = "x";
  struct probe_side s = {.name = "x",
                         .n_stages = 1,
                         .width = &features,
                         .behind = &behind,
                         .n_samples = SAMPLES,
                         .batch = SAMPLES,
                         .classes = CLASSES,
                         .threads = 1,
                         .labels = label};
  float rows[SAMPLES * 5];
  for (int i = 0; i < SAMPLES; i++)
    for (int j = 0; j < 5; j++)
      rows[i * 5 + j] =
          j == 4 || constant
              ? 2
              : (float)draw (99, (uint64_t)(i * 4 + j / 2)) * (1 + (float)j);
  tool_must (probe_open (w, &spec, &p));
  tool_must (probe_begin (p, &s, &per_turn));
  if (wire_rank (w) == wire_size (w) - 1)
    tool_must (probe_rows (p, 0, 0, SAMPLES, rows));
  tool_must (probe_turn (p));
  tool_must (probe_end (p));
  tool_must (probe_study (p, &r));
  tap_ok (r->ridge[0].constant == constant, "constant outputs are noticed: %d",
          constant);
  tap_ok (r->spectrum[0].rank == (constant ? 0 : 2), "rank of %s features",
          constant ? "constant" : "doubled");
  tap_ok (isnan (r->cka[0]) == constant && r->ridge[0].judged >= 0,
          "and they are studied all the same");
  probe_result_destroy (&r);
  probe_close (&p);
}

/* Many multiples of one feature: what rounding adds to their Gram matrix is
 * more than the smallest lambdas of single precision, which are then left out.
 */
static void
test_indefinite (struct wire *w, bool wide)
{
  enum { WIDE = 700, MANY = 800 };
  struct probe_spec spec = {.wide = wide, .memory_bytes = 1e9};
  struct probe *p = NULL;
  int64_t features = WIDE;
  int per_turn;
  const char *behind = "x";
  int32_t *of = NULL;
  float *rows = NULL;
  tool_must (MEM_NEW (MANY, &of, "labels"));
  tool_must (MEM_NEW ((size_t)WIDE * MANY, &rows, "rows"));
  for (int i = 0; i < MANY; i++) {
    double base = draw (98, (uint64_t)i);
    of[i] = base > 0;
    for (int j = 0; j < WIDE; j++)
      rows[i * WIDE + j] = (float)(base * (1 + draw (97, (uint64_t)j) / 9));
  }
  struct probe_side s = {.name = "x",
                         .n_stages = 1,
                         .width = &features,
                         .behind = &behind,
                         .n_samples = MANY,
                         .batch = MANY,
                         .classes = 2,
                         .threads = 1,
                         .labels = of};
  tool_must (probe_open (w, &spec, &p));
  tool_must (probe_begin (p, &s, &per_turn));
  if (wire_rank (w) == 0)
    tool_must (probe_rows (p, 0, 0, MANY, rows));
  tool_must (probe_turn (p));
  tool_must (probe_end (p));
  struct ridge g;
  tool_must (ridge_study (p, &p->view[0], &g));
  tap_ok (wide ? g.n_refused == 0 : g.n_refused > 0,
          "%s: lambdas without a Cholesky factor are left out: %d",
          wide ? "double" : "float", g.n_refused);
  tap_ok (g.judged > 0.95, "and the others find the one feature");
  probe_close (&p);
  mem_free (&of);
  mem_free (&rows);
}

int
main (int argc, char **argv)
{
  struct wire *w = tool_open (&argc, &argv);
  make_values ();
  if (argc == 3 && strcmp (argv[1], "--golden") == 0) {
    golden_path = argv[2];
    test_study (w, false, 5);
    return tool_close (&w);
  }
  test_measures ();
  test_study (w, false, 4);
  test_study (w, true, 4);
  test_study (w, true, 13);
  test_refusals (w);
  test_deficient (w, false);
  test_deficient (w, true);
  test_indefinite (w, false);
  test_indefinite (w, true);
  for (int s = 0; s < 2; s++)
    for (int k = 0; k < STAGES; k++)
      mem_free (&value[s][k]);
  return tool_close (&w);
}
