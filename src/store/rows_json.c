/* store/rows_json.c -- metrics.jsonl: the rows of metrics.csv, an object in a
 * line.
 *
 * It has no state of its own.  A start that is about to add rows writes it
 * anew from metrics.csv, which may have lost or got back rows since; from then
 * on each row is added to both.
 */
#include "store/metrics.h"
#include "store/record_impl.h"

#include "base/csv.h"
#include "base/memory.h"
#include <string.h>

/* Digests are words, though some would read as numbers. */
static bool
is_word (const char *column)
{
  const size_t n = strlen (column), end = sizeof METRIC_DIGEST - 1;
  return strcmp (column, METRIC_SPLIT) == 0 ||
         (n > end && strcmp (column + n - end, METRIC_DIGEST) == 0);
}

/* null: there is no value, or one that JSON has no number for. */
static json_t *
value_of (const char *column, const char *field, size_t n)
{
  char word[METRIC_NAME];
  if (n == 0 || n >= sizeof word)
    return json_null ();
  memcpy (word, field, n);
  word[n] = '\0';
  if (is_word (column))
    return store_json_text (word);
  json_t *j = json_loads (word, JSON_DECODE_ANY, NULL);
  if (json_is_number (j))
    return j;
  json_decref (j);
  return json_null ();
}

enum status
store_row_json (const struct store_run *r, const char *row, struct text *out)
{
  json_t *j = json_object ();
  for (int i = 0; i < r->n_columns; i++) {
    size_t n;
    const char *field = csv_field (row, i, &n);
    json_object_set_new (j, r->column[i], value_of (r->column[i], field, n));
  }
  return store_json_put (j, 0, "a row of metrics.jsonl", out);
}

enum status
store_rows_json_open (struct store_run *r)
{
  char *rows = NULL;
  struct text lines;
  TRY (store_rows_read (r, &rows));
  text_init (&lines);
  enum status s = OK;
  for (const char *row = csv_next (rows); *row && s == OK; row = csv_next (row))
    if (strchr (row, '\n')) /* a whole one */
      s = store_row_json (r, row, &lines);
  if (s == OK)
    s = store_run_put (r, "metrics.jsonl", lines.data);
  if (s == OK)
    s = store_lines_open (r->dir, "metrics.jsonl", &r->json);
  mem_free (&rows);
  text_clear (&lines);
  return s;
}
