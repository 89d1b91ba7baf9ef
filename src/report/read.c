/* report/read.c -- the texts of a run directory: rows, keys, operations.
 *
 * None of them is trusted to be whole: a run may be writing at this moment, or
 * have been killed while it did.
 */
#include "report/report_impl.h"

#include "base/csv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- rows ------------------------------------------------------------------ */

static char *
copy (struct pool *p, const char *from, size_t n)
{
  char *out = pool_take (p, n + 1, 1);
  memcpy (out, from, n);
  return out;
}

static double
field_number (const char *at, size_t n)
{
  char word[64], *end;
  if (n == 0 || n >= sizeof word)
    return NAN;
  memcpy (word, at, n);
  word[n] = '\0';
  double v = strtod (word, &end);
  return *end == '\0' ? v : NAN;
}

/* A split that nobody knows is none. */
static double
field_split (const char *at, size_t n)
{
  static const char agreement[] = ROW_AGREEMENT;
  for (int s = 0; s < DATA_SPLITS; s++) {
    const char *name = data_split_name ((enum data_split)s);
    if (strlen (name) == n && strncmp (name, at, n) == 0)
      return s;
  }
  return n == sizeof agreement - 1 && strncmp (agreement, at, n) == 0
             ? SPLIT_AGREEMENT
             : NAN;
}

/* Without quotes around it; doubled ones inside become one. */
static char *
field_word (struct pool *p, const char *at, size_t n)
{
  char *out = copy (p, at, n);
  size_t k = 0;
  if (n < 2 || at[0] != '"' || at[n - 1] != '"')
    return out;
  for (size_t i = 1; i < n - 1; i++) {
    out[k++] = at[i];
    i += at[i] == '"' && i + 1 < n - 1;
  }
  out[k] = '\0';
  return out;
}

static void
read_header (struct pool *p, const char *line, struct sheet *out)
{
  out->n_columns = csv_count (line);
  out->column = pool_take (p, (size_t)out->n_columns, sizeof *out->column);
  for (int i = 0; i < out->n_columns; i++) {
    size_t length = csv_length (line);
    out->column[i] = copy (p, line, length);
    line += length + 1;
  }
}

static void
read_row (struct pool *p, const char *line, size_t n, struct sheet *out)
{
  if (n == 0 || csv_count (line) != out->n_columns)
    return;
  size_t first = (size_t)out->n_rows * (size_t)out->n_columns;
  for (int i = 0; i < out->n_columns; i++) {
    size_t length = csv_length (line);
    out->value[first + (size_t)i] = i == out->split
                                        ? field_split (line, length)
                                        : field_number (line, length);
    if (i == out->texts)
      out->text[out->n_rows] = field_word (p, line, length);
    line += length + 1;
  }
  out->n_rows++;
}

/* Counts lines that are long enough for a row.  A row has a comma per column,
 * so there are never more values than the file has bytes, whatever its first
 * line says. */
static size_t
possible_rows (const char *text, size_t n_columns)
{
  size_t rows = 0;
  for (const char *end; (end = strchr (text, '\n')); text = end + 1)
    rows += (size_t)(end - text) + 1 >= n_columns && end > text;
  return rows;
}

void
sheet_read_with (struct pool *p, const char *text, const char *texts,
                 struct sheet *out)
{
  *out = (struct sheet){.split = -1, .texts = -1};
  const char *end = strchr (text, '\n');
  if (!end)
    return;
  read_header (p, text, out);
  size_t lines = possible_rows (end + 1, (size_t)out->n_columns);
  out->split = sheet_column (out, METRIC_SPLIT);
  out->texts = sheet_column (out, texts);
  out->value =
      pool_take (p, lines * (size_t)out->n_columns, sizeof *out->value);
  out->text = pool_take (p, lines, sizeof *out->text);
  for (const char *line = end + 1; (end = strchr (line, '\n')); line = end + 1)
    read_row (p, line, (size_t)(end - line), out);
}

void
sheet_read (struct pool *p, const char *text, struct sheet *out)
{
  sheet_read_with (p, text, "", out);
}

int
sheet_column (const struct sheet *s, const char *name)
{
  for (int i = 0; i < s->n_columns; i++)
    if (strcmp (s->column[i], name) == 0)
      return i;
  return -1;
}

double
sheet_at (const struct sheet *s, int row, int column)
{
  if (column < 0 || row < 0 || row >= s->n_rows)
    return NAN;
  return s->value[(size_t)row * (size_t)s->n_columns + (size_t)column];
}

/* -- rows of several files ------------------------------------------------- */

enum { WIDER_MOST = 64 };

int
sheet_heads (const struct sheet *s)
{
  char name[METRIC_NAME];
  int n = 0;
  while (n < REPORT_HEADS &&
         sheet_column (s, store_metric_head (n, METRIC_LOSS, name)) >= 0)
    n++;
  return n;
}

/* The next column that all versions have, from i on. */
static int
old_column (const struct sheet *s, int i)
{
  while (i < s->n_columns && store_metric_is_new (s->column[i]))
    i++;
  return i;
}

static bool
same_columns (const struct sheet *a, const struct sheet *b)
{
  int i = old_column (a, 0), j = old_column (b, 0);
  while (i < a->n_columns && j < b->n_columns &&
         strcmp (a->column[i], b->column[j]) == 0) {
    i = old_column (a, i + 1);
    j = old_column (b, j + 1);
  }
  return i == a->n_columns && j == b->n_columns;
}

/* Where an earlier file has what a column of the later one is about.  Files
 * that differ in other columns alone have the same heads; else only the last
 * head, the output, is the same one. */
static int
earlier_column (const struct sheet *was, int before, int K, bool heads,
                const char *name)
{
  int k = 0;
  const char *metric;
  char output[METRIC_NAME];
  bool is_head = store_metric_is_head (name, &k, &metric);
  if (heads || (!is_head && !store_metric_is_stage (name)))
    return sheet_column (was, name);
  if (!is_head || k != K - 1)
    return -1;
  return sheet_column (was, store_metric_head (before - 1, metric, output));
}

void
sheet_precede (struct pool *p, const struct sheet *was, struct sheet *is)
{
  int at = sheet_column (was, METRIC_STEP), n = is->n_columns, rows = 0;
  int K = sheet_heads (is), before = sheet_heads (was);
  bool heads = K == before && !same_columns (was, is);
  double first = sheet_at (is, 0, sheet_column (is, METRIC_STEP));
  size_t most = (size_t)(was->n_rows + is->n_rows) + 1;
  /* Many short rows before few long ones are no record of one run. */
  if (n > WIDER_MOST * was->n_columns)
    return;
  int *from = pool_take (p, (size_t)n, sizeof *from);
  for (int i = 0; i < n; i++)
    from[i] = earlier_column (was, before, K, heads, is->column[i]);
  double *value = pool_take (p, most * (size_t)n, sizeof *value);
  for (int row = 0; row < was->n_rows; row++) {
    if (sheet_at (was, row, at) >= first) /* taken again since */
      continue;
    for (int i = 0; i < n; i++)
      value[(size_t)rows * (size_t)n + (size_t)i] =
          sheet_at (was, row, from[i]);
    rows++;
  }
  if (is->n_rows > 0)
    memcpy (value + (size_t)rows * (size_t)n, is->value,
            (size_t)is->n_rows * (size_t)n * sizeof *value);
  is->n_rows += rows;
  is->value = value;
}

/* -- keys ------------------------------------------------------------------ */

void
words_read (struct pool *p, const char *text, struct words *out)
{
  struct ini ini;
  ini_open (text, NULL, &ini);
  *out = (struct words){0};
  out->pair = pool_take (p, (size_t)ini.n + 1, sizeof *out->pair);
  for (int i = 0; i < ini.n; i++) {
    const struct ini_line *l = &ini.line[i];
    if (l->bad)
      continue;
    char **pair = out->pair[out->n++];
    pair[0] = pool_text (p, "%s.%s", l->section, l->name);
    pair[1] = pool_text (p, "%s", l->value);
  }
  ini_close (&ini);
}

const char *
words_get (const struct words *w, const char *key)
{
  for (int i = 0; i < w->n; i++)
    if (strcmp (w->pair[i][0], key) == 0)
      return w->pair[i][1];
  return "";
}

double
words_number (const struct words *w, const char *key)
{
  double v;
  return text_to_double (words_get (w, key), &v) ? v : NAN;
}

/* -- operations ------------------------------------------------------------ */

struct store_trace_op *
trace_read (struct pool *p, const char *text, int *n)
{
  size_t lines = 1;
  *n = 0;
  for (const char *c = text; *c; c++)
    lines += *c == '\n';
  struct store_trace_op *out = pool_take (p, lines, sizeof *out);
  for (const char *line = text, *end; (end = strchr (line, '\n'));
       line = end + 1)
    *n += store_trace_read (line, (size_t)(end - line), &out[*n]);
  return out;
}
