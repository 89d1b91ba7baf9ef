/* report/probe.c -- what `interlock probe` has left in run directories.
 *
 * RUN/probe holds, for each call, NAME-stages.csv and NAME-cka.csv of one or
 * several checkpoints, so that the numbers of a run may lie in the directory of
 * another.  Only one kind of probe (split and features) is shown, and of each
 * run its newest checkpoint: nothing else would compare.
 */
#include "report/report_impl.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDES 16 /* checkpoints of a file */

static const char end_of_stages[] = "-stages.csv";

struct file {
  char *stem, *kind; /* path without the end; "valid-pooled" */
  int home;          /* the run in whose directory it lies */
  struct sheet stages;
  int n_sides, run[SIDES], n_stages[SIDES]; /* run -1: none of the report */
  double step[SIDES], samples[SIDES];
};

struct files {
  int n;
  struct file *file;
  char **real; /* n_runs: paths without links */
};

/* -- whose numbers --------------------------------------------------------- */

/* RUN of RUN/checkpoints/NAME.h5, else the directory of the file. */
static char *
run_of_checkpoint (struct pool *p, const char *path)
{
  static const char inner[] = "checkpoints";
  const size_t m = sizeof inner - 1;
  const char *slash = strrchr (path, '/');
  size_t n = slash ? (size_t)(slash - path) : 0;
  if (n >= m && strncmp (path + n - m, inner, m) == 0 &&
      (n == m || path[n - m - 1] == '/'))
    n = n == m ? 0 : n - m - 1;
  return pool_text (p, "%.*s", (int)n, path);
}

static char *
real_path (struct pool *p, const char *path)
{
  char real[PATH_MAX];
  return pool_text (p, "%s", realpath (path[0] ? path : ".", real) ? real : "");
}

static const char *
last_name (const char *path)
{
  const char *slash = strrchr (path, '/');
  return slash ? slash + 1 : path;
}

/* Paths in a file count from where the probe was called: from there the first
 * checkpoint was reached by `first`, and it lies in `home`. */
static int
find_run (struct report *r, const struct files *all, int home,
          const char *first, const char *path)
{
  const char *there = all->real[home];
  size_t n = strlen (there), m = strlen (first);
  bool tail = path[0] != '/' && m > 0 && m < n &&
              strcmp (there + n - m, first) == 0 && there[n - m - 1] == '/';
  const char *real = real_path (
      &r->pool,
      tail ? pool_text (&r->pool, "%.*s%s", (int)(n - m), there, path) : path);
  int named = -1, names = 0;
  for (int i = 0; i < r->n_runs; i++) {
    if (real[0] && strcmp (real, all->real[i]) == 0)
      return i;
    if (strcmp (last_name (path), r->run[i].name) == 0) {
      named = i;
      names++;
    }
  }
  return names == 1 ? named : -1;
}

static void
read_sides (struct report *r, const struct files *all, struct file *f)
{
  const struct sheet *s = &f->stages;
  int side = sheet_column (s, "side"), step = sheet_column (s, "step");
  int stage = sheet_column (s, "stage"), samples = sheet_column (s, "samples");
  const char *first = NULL;
  for (int row = 0; row < s->n_rows; row++) {
    double k = sheet_at (s, row, side), at = sheet_at (s, row, stage);
    if (!(k >= 0 && k < SIDES && at >= 0 && at < REPORT_HEADS) || !s->text[row])
      continue;
    int i = (int)k;
    if (i < f->n_sides) {
      f->n_stages[i] = (int)fmax (f->n_stages[i], at + 1);
      continue;
    }
    const char *path = run_of_checkpoint (&r->pool, s->text[row]);
    first = first ? first : path;
    for (; f->n_sides <= i; f->n_sides++)
      f->run[f->n_sides] = -1;
    f->run[i] = find_run (r, all, f->home, first, path);
    if (i == 0 && f->run[i] < 0) /* the directory has been renamed */
      f->run[i] = f->home;
    f->n_stages[i] = (int)at + 1;
    f->step[i] = sheet_at (s, row, step);
    f->samples[i] = sheet_at (s, row, samples);
  }
}

/* -- files ----------------------------------------------------------------- */

/* "valid-pooled" of "step-000000100-valid-pooled-with-2". */
static char *
kind_of (struct pool *p, const char *stem)
{
  const char *name = last_name (stem), *with = strstr (name, "-with-");
  size_t n = with ? (size_t)(with - name) : strlen (name), at = n;
  for (int words = 0; at > 0; at--)
    if (name[at - 1] == '-' && ++words == 2)
      break;
  return pool_text (p, "%.*s", (int)(n - at), name + at);
}

static enum status
add_file (struct report *r, struct files *all, int home, const char *name)
{
  char *text = NULL;
  size_t n = strlen (name), m = sizeof end_of_stages - 1;
  if (n <= m || strcmp (name + n - m, end_of_stages) != 0)
    return OK;
  struct file f = {.home = home};
  f.stem = pool_text (&r->pool, "%s/probe/%.*s", r->run[home].path,
                      (int)(n - m), name);
  f.kind = kind_of (&r->pool, f.stem);
  if (store_run_get ("", pool_text (&r->pool, "%s%s", f.stem, end_of_stages),
                     &text) != OK) {
    fail_clear ();
    return OK;
  }
  sheet_read_with (&r->pool, text, "checkpoint", &f.stages);
  mem_free (&text);
  read_sides (r, all, &f);
  TRY (mem_grow (&all->file, (size_t)all->n, (size_t)all->n + 1,
                 sizeof *all->file, "probes"));
  all->file[all->n++] = f;
  return OK;
}

static int
by_stem (const void *a, const void *b)
{
  const struct file *f = a, *g = b;
  return strcmp (f->stem, g->stem);
}

static enum status
find_files (struct report *r, struct files *all)
{
  enum status s = OK;
  all->real = pool_take (&r->pool, (size_t)r->n_runs, sizeof *all->real);
  for (int i = 0; i < r->n_runs; i++)
    all->real[i] = real_path (&r->pool, r->run[i].path);
  for (int i = 0; s == OK && i < r->n_runs; i++) {
    DIR *dir = opendir (pool_text (&r->pool, "%s/probe", r->run[i].path));
    for (struct dirent *e; s == OK && dir && (e = readdir (dir));)
      s = add_file (r, all, i, e->d_name);
    if (dir)
      closedir (dir);
  }
  if (all->n > 1)
    qsort (all->file, (size_t)all->n, sizeof *all->file, by_stem);
  return s;
}

/* -- which of them --------------------------------------------------------- */

static int
covered (const struct report *r, const struct files *all, const char *kind)
{
  int n = 0;
  for (int i = 0; i < r->n_runs; i++) {
    bool here = false;
    for (int k = 0; k < all->n && !here; k++)
      for (int s = 0; s < all->file[k].n_sides; s++)
        here = here || (strcmp (all->file[k].kind, kind) == 0 &&
                        all->file[k].run[s] == i);
    n += here;
  }
  return n;
}

/* The kind of probe that most runs have; among equals one of the split that is
 * compared, then one of means over maps. */
static const char *
choose_kind (const struct report *r, const struct files *all)
{
  const char *split = data_split_name (r->split), *best = NULL;
  int most = 0;
  for (int i = 0; i < all->n; i++) {
    const char *kind = all->file[i].kind;
    int score = 4 * covered (r, all, kind);
    if (score == 0 || (best && strcmp (kind, best) == 0))
      continue;
    score += 2 * (strncmp (kind, split, strlen (split)) == 0);
    score += strstr (kind, "-pooled") != NULL;
    if (score > most) {
      most = score;
      best = kind;
    }
  }
  return best;
}

static bool
is_newer (const struct probed *old, double step, double samples)
{
  return !old || step > old->step ||
         (step == old->step && samples > old->samples);
}

static void
take_side (struct report *r, const struct file *f, int side)
{
  static const char *const names[FINDINGS] = {
      [FOUND_ACCURACY] = "accuracy",
      [FOUND_BITS] = "bits_per_token",
      [FOUND_EFFECTIVE] = "effective_rank",
      [FOUND_PARTICIPATION] = "participation_ratio",
      [FOUND_FEATURES] = "features"};
  const struct sheet *s = &f->stages;
  struct run *run = &r->run[f->run[side]];
  struct probed *p = pool_take (&r->pool, 1, sizeof *p);
  *p = (struct probed){.step = f->step[side],
                       .samples = f->samples[side],
                       .n = f->n_stages[side]};
  for (int c = 0; c < FINDINGS; c++)
    for (int k = 0; k < REPORT_HEADS; k++)
      p->value[c][k] = NAN;
  for (int row = 0; row < s->n_rows; row++) {
    double stage = sheet_at (s, row, sheet_column (s, "stage"));
    if (sheet_at (s, row, sheet_column (s, "side")) != side ||
        !(stage >= 0 && stage < REPORT_HEADS))
      continue;
    for (int c = 0; c < FINDINGS; c++) {
      double v = sheet_at (s, row, sheet_column (s, names[c]));
      p->value[c][(int)stage] = v;
      r->bits = r->bits || (c == FOUND_BITS && isfinite (v));
    }
  }
  run->probed = p;
}

/* -- similarity ------------------------------------------------------------ */

struct pair { /* of two runs; sides[0] == sides[1]: of the stages of one */
  int run[2], n[2];
  double *cka;
};

struct pairs {
  int n;
  struct pair *pair;
};

static void
fill_pair (const struct sheet *s, const int sides[2], struct pair *p)
{
  int column[5];
  static const char *const names[] = {"side", "other_side", "stage",
                                      "other_stage", "cka"};
  for (int c = 0; c < 5; c++)
    column[c] = sheet_column (s, names[c]);
  for (int row = 0; row < s->n_rows; row++) {
    double i = sheet_at (s, row, column[2]), k = sheet_at (s, row, column[3]);
    if (sheet_at (s, row, column[0]) == sides[0] &&
        sheet_at (s, row, column[1]) == sides[1] && i >= 0 && i < p->n[0] &&
        k >= 0 && k < p->n[1])
      p->cka[(int)i * p->n[1] + (int)k] = sheet_at (s, row, column[4]);
  }
}

static bool
is_shown (const struct report *r, const struct file *f, int side)
{
  const struct probed *p =
      f->run[side] >= 0 ? r->run[f->run[side]].probed : NULL;
  return p && f->step[side] == p->step;
}

static enum status
add_pair (struct report *r, const struct file *f, const struct sheet *cka,
          const int sides[2], struct pairs *all)
{
  bool turn = r->run[f->run[sides[0]]].group > r->run[f->run[sides[1]]].group;
  const int s[2] = {sides[turn], sides[!turn]};
  struct pair p = {{f->run[s[0]], f->run[s[1]]},
                   {f->n_stages[s[0]], f->n_stages[s[1]]},
                   NULL};
  if (s[0] != s[1] && p.run[0] == p.run[1])
    return OK;
  for (int i = 0; i < all->n; i++)
    if (memcmp (all->pair[i].run, p.run, sizeof p.run) == 0)
      return OK;
  p.cka = pool_take (&r->pool, (size_t)(p.n[0] * p.n[1]), sizeof *p.cka);
  for (int i = 0; i < p.n[0] * p.n[1]; i++)
    p.cka[i] = NAN;
  fill_pair (cka, s, &p);
  TRY (mem_grow (&all->pair, (size_t)all->n, (size_t)all->n + 1,
                 sizeof *all->pair, "similarities"));
  all->pair[all->n++] = p;
  return OK;
}

static enum status
find_pairs (struct report *r, const struct files *files, struct pairs *all)
{
  for (int i = 0; i < files->n; i++) {
    const struct file *f = &files->file[i];
    char *text = NULL;
    struct sheet cka;
    if (strcmp (f->kind, r->probed) != 0)
      continue;
    if (store_run_get ("", pool_text (&r->pool, "%s-cka.csv", f->stem),
                       &text) != OK) {
      fail_clear ();
      continue;
    }
    sheet_read (&r->pool, text, &cka);
    mem_free (&text);
    for (int a = 0; a < f->n_sides; a++)
      for (int b = a; b < f->n_sides; b++)
        if (is_shown (r, f, a) && is_shown (r, f, b))
          TRY (add_pair (r, f, &cka, (int[]){a, b}, all));
  }
  return OK;
}

static bool
belongs (const struct report *r, const struct pair *p, const struct likeness *m)
{
  return r->run[p->run[0]].group == m->of[0] &&
         r->run[p->run[1]].group == m->of[1] &&
         (p->run[0] == p->run[1]) == m->within;
}

/* Over the pairs of runs of two groups, where there are any. */
static void
add_map (struct report *r, const struct pairs *all, struct likeness m)
{
  double *v = pool_take (&r->pool, (size_t)all->n, sizeof *v);
  int first = 0;
  while (first < all->n && !belongs (r, &all->pair[first], &m))
    first++;
  if (first == all->n)
    return;
  memcpy (m.n, all->pair[first].n, sizeof m.n);
  int cells = m.n[0] * m.n[1];
  m.value = pool_take (&r->pool, (size_t)cells, sizeof *m.value);
  for (int c = 0; c < cells; c++) {
    int n = 0;
    for (int i = first; i < all->n; i++) {
      const struct pair *p = &all->pair[i];
      if (belongs (r, p, &m) && memcmp (p->n, m.n, sizeof m.n) == 0)
        v[n++] = p->cka[c];
    }
    m.value[c] = stat_of (n, v);
  }
  r->map[r->n_maps++] = m;
}

static enum status
make_maps (struct report *r, const struct files *files)
{
  struct pairs all = {0};
  enum status s = find_pairs (r, files, &all);
  r->map = pool_take (&r->pool, (size_t)all.n, sizeof *r->map);
  for (int a = 0; s == OK && a < r->n_groups; a++)
    add_map (r, &all, (struct likeness){.of = {a, a}, .within = true});
  for (int a = 0; s == OK && a < r->n_groups && all.n > r->n_maps; a++)
    for (int b = a; b < r->n_groups; b++)
      add_map (r, &all, (struct likeness){.of = {a, b}});
  mem_free (&all.pair);
  return s;
}

/* -- the whole ------------------------------------------------------------- */

enum status
probe_collect (struct report *r)
{
  struct files all = {0};
  enum status s = find_files (r, &all);
  r->probed = s == OK ? choose_kind (r, &all) : NULL;
  for (int i = 0; r->probed && i < all.n; i++) {
    const struct file *f = &all.file[i];
    for (int k = 0; strcmp (f->kind, r->probed) == 0 && k < f->n_sides; k++)
      if (f->run[k] >= 0 &&
          is_newer (r->run[f->run[k]].probed, f->step[k], f->samples[k]))
        take_side (r, f, k);
  }
  if (r->probed)
    s = make_maps (r, &all);
  mem_free (&all.file);
  return s;
}

double
probe_of (const struct report *r, const struct run *run, const void *how)
{
  const struct probe_place *at = how;
  (void)r;
  return run->probed ? run->probed->value[at->what][at->stage] : NAN;
}

int
probe_stages (const struct report *r, const struct group *g)
{
  int n = 0;
  for (int i = 0; i < g->n; i++) {
    const struct probed *p = r->run[g->run[i]].probed;
    n = p && p->n > n ? p->n : n;
  }
  return n;
}

/* " 10", or " 10 to 20" where runs differ. */
static void
add_range (const struct report *r, bool samples, struct text *out)
{
  double low = NAN, high = NAN;
  for (int i = 0; i < r->n_runs; i++) {
    const struct probed *p = r->run[i].probed;
    double v = !p ? NAN : samples ? p->samples : p->step;
    low = fmin (low, v);
    high = fmax (high, v);
  }
  text_add (out, " %.0f", low);
  if (high > low)
    text_add (out, " to %.0f", high);
}

void
probe_note (const struct report *r, struct text *out)
{
  const char *dash = r->probed ? strchr (r->probed, '-') : NULL;
  if (!r->probed)
    return;
  text_add (out, "Newest checkpoint probed of each run: step");
  add_range (r, false, out);
  text_add (out, "; split %.*s, features %s,",
            dash ? (int)(dash - r->probed) : (int)strlen (r->probed), r->probed,
            dash ? dash + 1 : "not told");
  add_range (r, true, out);
  text_add (out, " samples.");
}
