/* probe/print.c -- results: tables for people, CSV and HDF5 for programs. */
#include "probe/probe_impl.h"

#include "store/file.h"
#include "store/h5.h"
#include "store/run.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 16 /* views in the printed table of similarities */

/* -- for people -------------------------------------------------------------
 */

static void
print_stage (const struct probe *p, const struct probe_result *r, int i,
             struct text *out)
{
  const struct view *v = &p->view[i];
  const struct ridge *g = &r->ridge[i];
  const struct spectrum *s = &r->spectrum[i];
  char lambda[32] = "-";
  if (!g->constant)
    snprintf (lambda, sizeof lambda, "%.1e", g->relative);
  text_add (out, "%-6d %-20s %9lld %10.4f ", v->stage, v->behind,
            (long long)v->width, g->judged);
  if (p->within)
    text_add (out, "%10.4f ", g->bits);
  text_add (out, "%10s %6d %10.2f %10.2f\n", lambda, s->rank, s->effective,
            s->participation);
}

static void
print_notes (const struct probe *p, const struct probe_result *r,
             struct text *out)
{
  for (int i = 0; i < p->n_views; i++) {
    const struct view *v = &p->view[i];
    const struct ridge *g = &r->ridge[i];
    const struct spectrum *s = &r->spectrum[i];
    const char *of = p->side[v->side].name;
    if (g->constant)
      text_add (out,
                "note: %s, stage %d: the output does not depend on the "
                "sample\n",
                of, v->stage);
    if (v->dual)
      text_add (out,
                "note: %s, stage %d: %lld features of %d samples: solved by "
                "inner products of samples; at most %d eigenvalues are not 0\n",
                of, v->stage, (long long)v->width, p->n, p->n - 1);
    else if (s->rank < s->n && !g->constant)
      text_add (out, "note: %s, stage %d: rank %d of %d\n", of, v->stage,
                s->rank, s->n);
    if (g->n_refused > 0)
      text_add (out,
                "note: %s, stage %d: %d of the smallest lambdas left out: "
                "the matrix is not positive definite in %s precision\n",
                of, v->stage, g->n_refused, p->spec.wide ? "double" : "single");
  }
}

static void
print_cka (const struct probe *p, const struct probe_result *r,
           struct text *out)
{
  int n = p->n_views;
  if (n > SHOWN) {
    text_add (out, "similarity (linear CKA): %d x %d, in the files\n", n, n);
    return;
  }
  text_add (out, "similarity (linear CKA)\n%10s", "");
  for (int j = 0; j < n; j++)
    text_add (out, " %3d.%-2d", p->view[j].side, p->view[j].stage);
  text_add (out, "\n");
  for (int i = 0; i < n; i++) {
    text_add (out, "%6d.%-3d", p->view[i].side, p->view[i].stage);
    for (int j = 0; j < n; j++)
      text_add (out, " %6.3f", r->cka[i * n + j]);
    text_add (out, "\n");
  }
}

void
probe_print (const struct probe *p, const struct probe_result *r,
             struct text *out)
{
  for (int k = 0; k < p->n_sides; k++) {
    const struct side *s = &p->side[k];
    text_add (out, "%d: %s, step %lld\n", k, s->name, (long long)s->step);
    text_add (out, "%-6s %-20s %9s %10s ", "stage", "behind", "features",
              "accuracy");
    if (p->within)
      text_add (out, "%10s ", "bits/token");
    text_add (out, "%10s %6s %10s %10s\n", "lambda", "rank", "effective",
              "particip.");
    for (int i = 0; i < s->n_stages; i++)
      print_stage (p, r, s->first + i, out);
  }
  text_add (out,
            "(accuracy of a linear probe on %d samples; %d fitted it, %d "
            "chose lambda, relative to the mean eigenvalue)\n",
            p->n - p->n_fit - p->n_choose, p->n_fit, p->n_choose);
  if (p->within)
    text_add (out,
              "(accuracy among %d classes of next tokens; bits over all %d "
              "tokens; frequencies alone give %.4f)\n",
              p->classes, p->vocabulary, r->ridge[0].bits_unigram);
  print_notes (p, r, out);
  print_cka (p, r, out);
  text_add (out, "ridge %s, spectra %s, similarity %s\n",
            text_seconds (r->ridge_s), text_seconds (r->spectrum_s),
            text_seconds (r->similarity_s));
}

/* -- CSV --------------------------------------------------------------------
 */

/* As a CSV field: quoted, quotes doubled. */
static void
add_field (struct text *out, const char *word)
{
  text_add (out, "\"");
  for (; *word; word++)
    text_add (out, "%s%c", *word == '"' ? "\"" : "", *word);
  text_add (out, "\"");
}

static void
add_number (struct text *out, double v)
{
  if (isfinite (v))
    text_add (out, ",%.9g", v);
  else
    text_add (out, ",");
}

static void
stages_csv (const struct probe *p, const struct probe_result *r,
            struct text *out)
{
  text_add (
      out,
      "side,checkpoint,step,stage,behind,features,samples,fit,choose,"
      "judge,accuracy,accuracy_choose,squared_error,lambda,lambda_relative,"
      "lambdas_refused,rank,effective_rank,participation_ratio,"
      "trace,classes,bits_per_token,bits_unigram,unigram_weight\n");
  for (int i = 0; i < p->n_views; i++) {
    const struct view *v = &p->view[i];
    const struct ridge *g = &r->ridge[i];
    const struct spectrum *s = &r->spectrum[i];
    text_add (out, "%d,", v->side);
    add_field (out, p->side[v->side].name);
    text_add (out, ",%lld,%d,", (long long)p->side[v->side].step, v->stage);
    add_field (out, v->behind);
    text_add (out, ",%lld,%d,%d,%d,%d", (long long)v->width, p->n, p->n_fit,
              p->n_choose, p->n - p->n_fit - p->n_choose);
    add_number (out, g->judged);
    add_number (out, g->chosen);
    add_number (out, g->error);
    add_number (out, g->lambda);
    add_number (out, g->relative);
    text_add (out, ",%d,%d", g->n_refused, s->rank);
    add_number (out, s->effective);
    add_number (out, s->participation);
    add_number (out, s->trace);
    text_add (out, ",%d", p->classes);
    add_number (out, g->bits);
    add_number (out, g->bits_unigram);
    add_number (out, g->blend);
    text_add (out, "\n");
  }
}

static void
spectrum_csv (const struct probe *p, const struct probe_result *r,
              struct text *out)
{
  text_add (out, "side,stage,i,eigenvalue\n");
  for (int k = 0; k < p->n_views; k++)
    for (int i = 0; i < r->spectrum[k].n; i++)
      text_add (out, "%d,%d,%d,%.9g\n", p->view[k].side, p->view[k].stage, i,
                r->spectrum[k].value[i]);
}

static void
cka_csv (const struct probe *p, const struct probe_result *r, struct text *out)
{
  int n = p->n_views;
  text_add (out, "side,stage,other_side,other_stage,cka\n");
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      text_add (out, "%d,%d,%d,%d", p->view[i].side, p->view[i].stage,
                p->view[j].side, p->view[j].stage);
      add_number (out, r->cka[i * n + j]);
      text_add (out, "\n");
    }
}

/* -- HDF5 -------------------------------------------------------------------
 */

/* Columns of the table of stages, as arrays of one number per view. */
enum column {
  C_SIDE,
  C_STAGE,
  C_STEP,
  C_FEATURES,
  C_ACCURACY,
  C_LAMBDA,
  C_RELATIVE,
  C_RANK,
  C_EFFECTIVE,
  C_PARTICIPATION,
  C_TRACE,
  C_CLASSES,
  C_BITS,
  C_UNIGRAM,
  C_BLEND,
  COLUMNS
};
static const char *const column_name[COLUMNS] = {
    [C_SIDE] = "/side",
    [C_STAGE] = "/stage",
    [C_STEP] = "/step",
    [C_FEATURES] = "/features",
    [C_ACCURACY] = "/accuracy",
    [C_LAMBDA] = "/lambda",
    [C_RELATIVE] = "/lambda_relative",
    [C_RANK] = "/rank",
    [C_EFFECTIVE] = "/effective_rank",
    [C_PARTICIPATION] = "/participation_ratio",
    [C_TRACE] = "/trace",
    [C_CLASSES] = "/classes",
    [C_BITS] = "/bits_per_token",
    [C_UNIGRAM] = "/bits_unigram",
    [C_BLEND] = "/unigram_weight",
};

static void
fill_columns (const struct probe *p, const struct probe_result *r, double *v)
{
  for (int i = 0; i < p->n_views; i++) {
    const struct ridge *g = &r->ridge[i];
    const struct spectrum *s = &r->spectrum[i];
    double row[COLUMNS] = {
        [C_SIDE] = p->view[i].side,
        [C_STAGE] = p->view[i].stage,
        [C_STEP] = (double)p->side[p->view[i].side].step,
        [C_FEATURES] = (double)p->view[i].width,
        [C_ACCURACY] = g->judged,
        [C_LAMBDA] = g->lambda,
        [C_RELATIVE] = g->relative,
        [C_RANK] = s->rank,
        [C_EFFECTIVE] = s->effective,
        [C_PARTICIPATION] = s->participation,
        [C_TRACE] = s->trace,
        [C_CLASSES] = p->classes,
        [C_BITS] = g->bits,
        [C_UNIGRAM] = g->bits_unigram,
        [C_BLEND] = g->blend,
    };
    for (int c = 0; c < COLUMNS; c++)
      v[c * p->n_views + i] = row[c];
  }
}

static void
name_arrays (const struct probe *p, const struct probe_result *r,
             const double *columns, struct store_array *a)
{
  int n = p->n_views;
  for (int c = 0; c < COLUMNS; c++) {
    snprintf (a[c].path, sizeof a[c].path, "%s", column_name[c]);
    a[c].n_dims = 1;
    a[c].dims[0] = n;
    a[c].data = columns + c * n;
  }
  a[COLUMNS] = (struct store_array){"/cka", 2, {n, n}, r->cka};
  for (int i = 0; i < n; i++) {
    struct store_array *e = &a[COLUMNS + 1 + i];
    snprintf (e->path, sizeof e->path, "/eigenvalues/%d", i);
    e->n_dims = 1;
    e->dims[0] = r->spectrum[i].n;
    e->data = r->spectrum[i].value;
  }
}

static enum status
make_h5 (const struct probe *p, const struct probe_result *r, const char *words,
         char **data, size_t *size)
{
  const char *rows[PROBE_SIDES];
  const char *const texts[][2] = {{"asked", words}};
  double *columns = NULL;
  struct store_array *arrays = NULL;
  for (int i = 0; i < p->n_sides; i++)
    rows[i] = p->side[i].name;
  enum status s = MEM_NEW ((size_t)(COLUMNS * p->n_views), &columns, "columns");
  if (s == OK)
    s = MEM_NEW ((size_t)(COLUMNS + 1 + p->n_views), &arrays, "arrays");
  if (s == OK) {
    fill_columns (p, r, columns);
    name_arrays (p, r, columns, arrays);
    struct store_results all = {.format = "probe",
                                .n_texts = 1,
                                .texts = texts,
                                .n_rows = p->n_sides,
                                .rows = rows,
                                .n_arrays = COLUMNS + 1 + p->n_views,
                                .arrays = arrays};
    s = store_results_make (&all, data, size);
  }
  mem_free (&columns);
  mem_free (&arrays);
  return s;
}

/* -- files ------------------------------------------------------------------
 */

/* Whether a table of stages is of these checkpoints, in this order. */
static bool
same_sides (const struct probe *p, const char *table)
{
  int n = 0;
  for (const char *at = strchr (table, '\n'); at && at[1];
       at = strchr (at + 1, '\n')) {
    char *end;
    long side = strtol (at + 1, &end, 10);
    struct text name;
    if (side == n - 1) /* another stage */
      continue;
    if (side != n || n == p->n_sides)
      return false;
    text_init (&name);
    text_add (&name, ",");
    add_field (&name, p->side[n++].name);
    bool same = strncmp (end, name.data, name.size) == 0;
    text_clear (&name);
    if (!same)
      return false;
  }
  return n == p->n_sides;
}

void
probe_name (const struct probe *p, const char *dir, const char *given,
            struct text *out)
{
  bool taken = p->n_sides > 1;
  text_add (out, "%s", given);
  for (int i = 2; taken; i++) {
    struct text path;
    char *table = NULL;
    text_init (&path);
    text_add (&path, "%s/%s-stages.csv", dir, out->data);
    taken =
        store_run_get ("", path.data, &table) == OK && !same_sides (p, table);
    fail_clear ();
    mem_free (&table);
    text_clear (&path);
    if (!taken)
      break;
    text_clear (out);
    text_init (out);
    text_add (out, "%s-%d", given, i);
  }
}

enum status
probe_write (const struct probe *p, const struct probe_result *r,
             const char *dir, const char *name, const char *words)
{
  static const struct {
    const char *end;
    void (*make) (const struct probe *, const struct probe_result *,
                  struct text *);
  } table[] = {{"-stages.csv", stages_csv},
               {"-spectrum.csv", spectrum_csv},
               {"-cka.csv", cka_csv},
               {".h5", NULL}};
  enum { FILES = sizeof table / sizeof *table };
  struct text path[FILES], text[FILES];
  struct store_piece piece[FILES];
  char *h5 = NULL;
  size_t size = 0;
  enum status s = make_h5 (p, r, words, &h5, &size);
  for (int i = 0; i < FILES; i++) {
    text_init (&path[i]);
    text_init (&text[i]);
    text_add (&path[i], "%s/%s%s", dir, name, table[i].end);
    piece[i] = (struct store_piece){path[i].data, h5, size};
    if (!table[i].make)
      continue;
    table[i].make (p, r, &text[i]);
    piece[i].data = text[i].data;
    piece[i].size = text[i].size;
  }
  if (s == OK)
    s = store_set_write (piece, FILES);
  for (int i = 0; i < FILES; i++) {
    text_clear (&path[i]);
    text_clear (&text[i]);
  }
  mem_free (&h5);
  return s;
}
