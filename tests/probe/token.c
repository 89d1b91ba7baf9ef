/* ranks: 1 2 4 6 */
/* tests/probe/token.c -- bits per token: the cut of a vocabulary, and what a
 * study of tokens finds, against plain loops over the documented formulas. */
#include "tests/probe/plain.h"
#include "tests/probe/tool.h"

#define N 97 /* positions */
#define WORDS 40
#define MOST 7 /* classes */
#define VIEWS 2
#define LADDER 8
#define BLENDS 7

static const int64_t width[VIEWS] = {9, 130}; /* below and above N */
static const double ladder[LADDER] = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10};
static const double blend[BLENDS] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1};
static int32_t token[N]; /* low ones are frequent */
static float *value[VIEWS];

static double
draw (uint64_t number, uint64_t i)
{
  struct random_key key = {37, RANDOM_TEST, number, 0};
  return random_uniform (&key, i);
}

/* Features tell something about the next token. */
static void
make_values (void)
{
  for (uint64_t i = 0; i < N; i++) {
    double u = draw (1, i);
    token[i] = (int32_t)(WORDS * u * u * u);
  }
  for (int v = 0; v < VIEWS; v++) {
    tool_must (MEM_NEW ((size_t)(N * width[v]), &value[v], "values"));
    for (int i = 0; i < N; i++)
      for (int64_t j = 0; j < width[v]; j++)
        value[v][i * width[v] + j] =
            (float)(2 + draw (2 + (uint64_t)v, (uint64_t)(i * 200 + j)) +
                    (token[i] % 9 == j ? 0.7 : 0));
  }
}

/* -- plain ------------------------------------------------------------------
 */

struct cut {
  int classes;
  int own[N];       /* class by matrix row */
  double within[N]; /* bits by matrix row */
};

/* The classes one after the other: the token of most counts that has none. */
static void
plain_cut (const int32_t *by_row, int n_fit, int words, int most,
           struct cut *out)
{
  int count[WORDS] = {0}, of[WORDS], left = 0, rest = words;
  for (int i = 0; i < n_fit; i++)
    count[by_row[i]]++;
  for (int w = 0; w < words; w++)
    of[w] = words <= most ? w : -1;
  out->classes = words <= most ? words : 0;
  while (words > most && out->classes < most - 1) {
    int best = -1;
    for (int w = words - 1; w >= 0; w--)
      if (of[w] < 0 && count[w] > 0 && (best < 0 || count[w] >= count[best]))
        best = w;
    if (best < 0)
      break;
    of[best] = out->classes++;
    rest--;
  }
  for (int i = 0; i < n_fit; i++)
    left += of[by_row[i]] < 0;
  for (int i = 0; i < N; i++) {
    bool other = of[by_row[i]] < 0;
    out->own[i] = other ? out->classes : of[by_row[i]];
    double q = (count[by_row[i]] + 1.0) / (left + rest);
    out->within[i] = other ? -log (q) / log (2) : 0;
  }
  out->classes += words > most;
}

static const float *
row_of (const struct probe *p, int v, int row)
{
  for (int i = 0; i < N; i++)
    if (p->row[i] == row)
      return value[v] + i * width[v];
  return NULL;
}

struct plain {
  int w, classes;
  double mean[130], share[WORDS], z[130 * WORDS];
};

/* Ridge by features on the first n rows. */
static void
plain_fit (const struct probe *p, int v, const struct cut *cut, int n,
           double relative, struct plain *f)
{
  int w = f->w = (int)width[v], classes = f->classes = cut->classes;
  double *g, trace = 0;
  tool_must (MEM_NEW ((size_t)(w * w), &g, "plain"));
  memset (f->mean, 0, sizeof f->mean);
  memset (f->share, 0, sizeof f->share);
  memset (f->z, 0, sizeof f->z);
  for (int i = 0; i < n; i++) {
    f->share[cut->own[i]] += 1.0 / n;
    for (int j = 0; j < w; j++)
      f->mean[j] += (double)row_of (p, v, i)[j] / n;
  }
  for (int i = 0; i < n; i++) {
    const float *x = row_of (p, v, i);
    for (int j = 0; j < w; j++) {
      double d = x[j] - f->mean[j];
      for (int l = 0; l < w; l++)
        g[j * w + l] += d * (x[l] - f->mean[l]);
      for (int c = 0; c < classes; c++)
        f->z[j * classes + c] += d * ((cut->own[i] == c) - f->share[c]);
    }
  }
  for (int j = 0; j < w; j++)
    trace += g[j * w + j];
  for (int j = 0; j < w; j++)
    g[j * w + j] += relative * trace / (w < n ? w : n);
  plain_solve (g, w, f->z, classes);
  mem_free (&g);
}

/* Bits per token on n rows from `first` on, of a fit on n_fit, for a blend. */
static double
plain_bits (const struct probe *p, int v, const struct cut *cut,
            const struct plain *f, int n_fit, int first, int n, double a)
{
  double bits = 0;
  for (int i = first; i < first + n; i++) {
    double all = 0, own = 0, u = f->share[cut->own[i]] * n_fit + 1;
    u /= n_fit + f->classes;
    for (int c = 0; c < f->classes; c++) {
      double s = f->share[c];
      for (int j = 0; j < f->w; j++)
        s += (row_of (p, v, i)[j] - f->mean[j]) * f->z[j * f->classes + c];
      all += s > 0 ? s : 0;
      own += c == cut->own[i] && s > 0 ? s : 0;
    }
    double share = all > 0 ? own / all : u;
    bits += cut->within[i] - log ((1 - a) * share + a * u) / log (2);
  }
  return bits / n;
}

/* -- the cut ----------------------------------------------------------------
 */

static void
test_cut (int words, int most)
{
  struct cut want;
  int32_t label[N];
  double within[N], off = 0;
  int classes = -1, wrong = 0;
  for (int i = 0; i < N; i++)
    label[i] = token[i] % words;
  plain_cut (label, 60, words, most, &want);
  tool_must (vocabulary_cut (label, N, 60, words, most, &classes, within));
  for (int i = 0; i < N; i++) {
    wrong += label[i] != want.own[i];
    off = fmax (off, fabs (within[i] - want.within[i]));
  }
  tap_ok (classes == want.classes && wrong == 0,
          "%d words in at most %d classes: %d, one by one", words, most,
          classes);
  tap_near (off, 0, 1e-12, "and the bits of those that share one");
}

/* -- studies ----------------------------------------------------------------
 */

static void
give (struct probe *p, const int64_t *widths, float *const *from)
{
  static const char *const behind[VIEWS] = {"a", "b"};
  int per_turn;
  struct probe_side s = {.name = "words",
                         .n_stages = VIEWS,
                         .width = widths,
                         .behind = behind,
                         .n_samples = N,
                         .batch = N,
                         .tokens = true,
                         .classes = WORDS,
                         .threads = 1,
                         .labels = token,
                         .digest = 5};
  tool_must (probe_begin (p, &s, &per_turn));
  for (int k = 0; k < VIEWS; k++)
    if (wire_rank (p->wire) == k % wire_size (p->wire))
      tool_must (probe_rows (p, k, 0, N, from[k]));
  tool_must (probe_turn (p));
  tool_must (probe_end (p));
}

static void
cut_of (const struct probe *p, struct cut *out)
{
  int32_t by_row[N];
  for (int i = 0; i < N; i++)
    by_row[p->row[i]] = token[i];
  plain_cut (by_row, p->n_fit, WORDS, MOST, out);
}

static void
check_view (const struct probe *p, const struct probe_result *r, int v,
            double limit, const char *name)
{
  static struct plain f;
  struct cut cut;
  const struct ridge *g = &r->ridge[v];
  int both = p->n_fit + p->n_choose, judge = N - both;
  double least = INFINITY, chosen = INFINITY;
  cut_of (p, &cut);
  for (int i = 0; i < LADDER; i++) {
    plain_fit (p, v, &cut, p->n_fit, ladder[i], &f);
    for (int b = 0; b < BLENDS; b++) {
      double bits = plain_bits (p, v, &cut, &f, p->n_fit, p->n_fit, p->n_choose,
                                blend[b]);
      least = fmin (least, bits);
      if (fabs (ladder[i] / g->relative - 1) < 1e-9 && blend[b] == g->blend)
        chosen = bits;
    }
  }
  tap_near (chosen - least, 0, limit,
            "%s, %d features: what was chosen has the fewest bits", name,
            (int)width[v]);
  plain_fit (p, v, &cut, both, g->relative, &f);
  tap_near (g->bits / plain_bits (p, v, &cut, &f, both, both, judge, g->blend),
            1, limit, "%s: bits per token", name);
  tap_near (g->bits_unigram / plain_bits (p, v, &cut, &f, both, both, judge, 1),
            1, limit, "%s: bits of frequencies alone", name);
  tap_ok (g->bits < g->bits_unigram, "%s: features tell something", name);
}

/* Everything golden_token.py needs, for --golden FILE. */
static void
write_golden (const struct probe *p, const struct probe_result *r,
              const char *path)
{
  FILE *f = wire_rank (p->wire) == 0 ? fopen (path, "w") : NULL;
  int32_t by_row[N];
  if (!f)
    return;
  for (int i = 0; i < N; i++)
    by_row[p->row[i]] = token[i];
  fprintf (f, "%d %d %d %d %d %d\n", N, p->n_fit, p->n_choose, WORDS, MOST,
           VIEWS);
  for (int i = 0; i < N; i++)
    fprintf (f, "%d ", (int)by_row[i]);
  for (int v = 0; v < VIEWS; v++) {
    const struct ridge *g = &r->ridge[v];
    fprintf (f, "\n%d %.17g %.17g %.17g %.17g\n", (int)width[v], g->relative,
             g->blend, g->bits, g->bits_unigram);
    for (int i = 0; i < N; i++)
      for (int64_t j = 0; j < width[v]; j++)
        fprintf (f, "%.9g ", (double)row_of (p, v, i)[j]);
  }
  fclose (f);
}

static const char *golden_path; /* NULL: none */

static void
test_study (struct wire *w, bool wide)
{
  struct probe_spec spec = {.wide = wide,
                            .block = 4,
                            .seed = 3,
                            .classes = MOST,
                            .memory_bytes = 1e9};
  struct probe *p = NULL;
  struct probe_result *r = NULL;
  const char *name = wide ? "double" : "float";
  tool_must (probe_open (w, &spec, &p));
  give (p, width, value);
  tool_must (probe_study (p, &r));
  tap_ok (p->classes == MOST, "%s: %d classes", name, MOST);
  for (int v = 0; v < VIEWS; v++)
    check_view (p, r, v, wide ? 1e-9 : 2e-5, name);
  if (golden_path)
    write_golden (p, r, golden_path);
  probe_result_destroy (&r);
  probe_close (&p);
}

/* Where outputs say nothing, probabilities are the shares of the classes. */
static void
test_constant (struct wire *w)
{
  struct probe_spec spec = {.classes = MOST, .memory_bytes = 1e9};
  struct probe *p = NULL;
  struct probe_result *r = NULL;
  struct cut cut;
  static const int64_t few[VIEWS] = {2, 3};
  static float same[3 * N];
  float *const from[VIEWS] = {same, same};
  double want = 0;
  tool_must (probe_open (w, &spec, &p));
  give (p, few, from);
  tool_must (probe_study (p, &r));
  cut_of (p, &cut);
  int both = p->n_fit + p->n_choose, count[WORDS] = {0};
  for (int i = 0; i < both; i++)
    count[cut.own[i]]++;
  for (int i = both; i < N; i++) {
    double c = count[cut.own[i]], a = r->ridge[1].blend;
    double q = (1 - a) * c / both + a * (c + 1) / (both + MOST);
    want += (cut.within[i] - log (q) / log (2)) / (N - both);
  }
  tap_ok (r->ridge[1].constant, "outputs that never change are noticed");
  tap_near (r->ridge[1].bits / want, 1, 1e-6,
            "and give the bits of the shares");
  probe_result_destroy (&r);
  probe_close (&p);
}

int
main (int argc, char **argv)
{
  struct wire *w = tool_open (&argc, &argv);
  make_values ();
  if (argc == 3 && strcmp (argv[1], "--golden") == 0) {
    golden_path = argv[2];
    test_study (w, false);
    return tool_close (&w);
  }
  test_cut (WORDS, MOST);
  test_cut (WORDS, WORDS);
  test_cut (WORDS, 38); /* more than there are in the part that fits */
  test_cut (WORDS, 2);
  test_study (w, false);
  test_study (w, true);
  test_constant (w);
  for (int v = 0; v < VIEWS; v++)
    mem_free (&value[v]);
  return tool_close (&w);
}
