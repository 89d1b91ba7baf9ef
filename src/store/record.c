/* store/record.c -- a run directory: lock, log, metrics.csv and its twin, whole
 * files.
 *
 * Rows and lines are flushed one by one, so that of a killed run everything is
 * there.  Half a line at the end is removed when the directory is opened again.
 */
#include "store/file.h"
#include "store/metrics.h"
#include "store/record_impl.h"

#include "base/csv.h"
#include "base/log.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* -- lines ----------------------------------------------------------------- */

/* Cut a file behind its last newline. */
static enum status
trim (const char *path)
{
  char *data = NULL;
  size_t size = 0;
  if (store_file_bytes (path) <= 0)
    return OK;
  TRY (store_file_read (path, &data, &size));
  size_t keep = size;
  while (keep > 0 && data[keep - 1] != '\n')
    keep--;
  mem_free (&data);
  if (keep < size && truncate (path, (off_t)keep) != 0)
    return fail (E_IO, "%s: last line not cut: %s", path, strerror (errno));
  return OK;
}

enum status
store_lines_open (const char *dir, const char *name, FILE **out)
{
  struct text path;
  text_init (&path);
  text_add (&path, "%s/%s", dir, name);
  enum status s = trim (path.data);
  if (s == OK) {
    FILE *f = fopen (path.data, "a+e"); /* rows.c reads, too */
    if (f)
      *out = f;
    else
      s = fail (E_IO, "%s: not opened: %s", path.data, strerror (errno));
  }
  text_clear (&path);
  return s;
}

static enum status
flushed (FILE *f, const char *dir, const char *name)
{
  if (fflush (f) != 0 || ferror (f))
    return fail (E_IO, "%s/%s: not written: %s", dir, name, strerror (errno));
  return OK;
}

/* -- open and close -------------------------------------------------------- */

enum status
store_run_log_open (struct store_run *r)
{
  TRY (store_lines_open (r->dir, "log", &r->log));
  setvbuf (r->log, NULL, _IOLBF, 0);
  return OK;
}

enum status
store_run_open (const char *dir, struct store_run **out)
{
  struct store_run *r = NULL;
  TRY (store_file_folder (dir));
  TRY (MEM_NEW (1, &r, "run directory"));
  r->mark = -1;
  enum status s = store_lock_take (dir, &r->lock);
  if (s == OK)
    s = mem_text (dir, &r->dir);
  if (s == OK)
    s = store_run_check_plain (dir);
  if (s == OK)
    s = store_aside_finish (r);
  if (s == OK)
    s = store_run_log_open (r);
  if (s == OK)
    *out = r;
  else {
    if (r->events)
      fclose (r->events);
    store_lock_release (&r->lock);
    mem_free (&r->dir);
    mem_free (&r);
  }
  return s;
}

static void
forget_columns (struct store_run *r)
{
  for (int i = 0; i < r->n_columns; i++)
    mem_free (&r->column[i]);
  mem_free (&r->column);
  r->n_columns = 0;
}

void
store_run_close (struct store_run **out)
{
  struct store_run *r = *out;
  if (!r)
    return;
  if (r->metrics)
    fclose (r->metrics);
  if (r->json)
    fclose (r->json);
  if (r->events)
    fclose (r->events);
  if (r->log)
    fclose (r->log);
  forget_columns (r);
  if (r->mark >= 0)
    close (r->mark);
  store_lock_release (&r->lock);
  mem_free (&r->dir);
  mem_free (out);
}

enum status
store_run_mine (const struct store_run *r)
{
  return store_lock_mine (r->lock);
}

bool
store_run_lost (const struct store_run *r)
{
  return store_lock_lost (r->lock);
}

FILE *
store_run_log (struct store_run *r)
{
  return r->log;
}

enum status
store_run_put (struct store_run *r, const char *name, const char *text)
{
  struct text path;
  TRY (store_run_mine (r));
  text_init (&path);
  text_add (&path, "%s/%s", r->dir, name);
  enum status s = store_file_parents (path.data);
  if (s == OK)
    s = store_file_put (path.data, text);
  text_clear (&path);
  return s;
}

enum status
store_run_overwrite (struct store_run *r, const char *name, const char *text)
{
  struct text path;
  TRY (store_run_mine (r));
  text_init (&path);
  text_add (&path, "%s/%s", r->dir, name);
  enum status s = store_file_overwrite (path.data, text);
  text_clear (&path);
  return s;
}

enum status
store_run_get (const char *dir, const char *name, char **text)
{
  struct text path;
  size_t size;
  text_init (&path);
  text_add (&path, "%s%s%s", dir, dir[0] ? "/" : "", name);
  enum status s = store_file_read (path.data, text, &size);
  text_clear (&path);
  return s;
}

/* -- metrics.csv ----------------------------------------------------------- */

static enum status
add_column (struct store_run *r, const char *name, size_t length)
{
  char *copy = NULL;
  TRY (mem_new (length + 1, 1, "column", (void **)&copy));
  memcpy (copy, name, length);
  enum status s =
      mem_grow (&r->column, (size_t)r->n_columns, (size_t)r->n_columns + 1,
                sizeof *r->column, "columns");
  if (s == OK)
    r->column[r->n_columns++] = copy;
  else
    mem_free (&copy);
  return s;
}

static int
find_column (const struct store_run *r, const char *name)
{
  for (int i = 0; i < r->n_columns; i++)
    if (strcmp (r->column[i], name) == 0)
      return i;
  return -1;
}

/* Or a file of an earlier version goes on without it. */
static bool
has_column (const struct store_run *r, const char *name)
{
  return find_column (r, name) >= 0 || store_metric_is_new (name);
}

/* The header of a file that is there already. */
static enum status
read_header (struct store_run *r, const char *path)
{
  char *data = NULL;
  size_t size = 0;
  if (store_file_bytes (path) <= 0)
    return OK;
  TRY (store_file_read (path, &data, &size));
  enum status s = OK;
  int n = strcspn (data, "\r\n") > 0 ? csv_count (data) : 0;
  for (int i = 0; s == OK && i < n; i++) {
    size_t length;
    const char *name = csv_field (data, i, &length);
    s = add_column (r, name, length);
  }
  mem_free (&data);
  return s;
}

static bool
is_named (int n, const char *const *columns, const char *name)
{
  for (int i = 0; i < n; i++)
    if (strcmp (columns[i], name) == 0)
      return true;
  return false;
}

/* Whether rows may be added to the file: it has all their columns, but for new
 * ones, and none of other heads.  Of a network with fewer stages the last head
 * is the output, and must not go on in the column of an inner head. */
static bool
header_fits (const struct store_run *r, int n, const char *const *columns)
{
  int head;
  const char *metric;
  bool fits = find_column (r, METRIC_SPLIT) >= 0;
  for (int i = 0; fits && i < n; i++)
    fits = has_column (r, columns[i]);
  for (int k = 0; fits && k < r->n_columns; k++)
    fits = !store_metric_is_head (r->column[k], &head, &metric) ||
           is_named (n, columns, r->column[k]);
  return fits;
}

/* The earlier file is kept beside a new one.  why: what the user is told. */
static enum status
move_aside (struct store_run *r, const char *path, const char *why)
{
  struct text to;
  text_init (&to);
  for (int i = 1; to.size == 0 || store_file_bytes (to.data) >= 0; i++) {
    text_clear (&to);
    text_init (&to);
    text_add (&to, "%s/metrics-%d.csv", r->dir, i);
  }
  tell (LOG_INFO, "%s %s; kept as %s", path, why, to.data);
  forget_columns (r);
  enum status s = store_file_rename (path, to.data);
  text_clear (&to);
  return s;
}

enum status
store_run_rows_aside (struct store_run *r, const char *why)
{
  CHECK (!r->metrics, "metrics.csv is open already");
  struct text path;
  text_init (&path);
  text_add (&path, "%s/metrics.csv", r->dir);
  enum status s =
      store_file_bytes (path.data) > 0 ? move_aside (r, path.data, why) : OK;
  text_clear (&path);
  return s;
}

/* step and epoch, where they lead, stand before the split. */
static enum status
new_header (struct store_run *r, int n, const char *const *columns)
{
  int i = 0;
  for (; i < n && (!strcmp (columns[i], METRIC_STEP) ||
                   !strcmp (columns[i], METRIC_EPOCH));
       i++)
    TRY (add_column (r, columns[i], strlen (columns[i])));
  TRY (add_column (r, METRIC_SPLIT, strlen (METRIC_SPLIT)));
  for (; i < n; i++)
    TRY (add_column (r, columns[i], strlen (columns[i])));
  for (int k = 0; k < r->n_columns; k++)
    fprintf (r->metrics, "%s%s", k ? "," : "", r->column[k]);
  fputc ('\n', r->metrics);
  return flushed (r->metrics, r->dir, "metrics.csv");
}

static enum status
open_metrics (struct store_run *r, int n, const char *const *columns)
{
  struct text path;
  text_init (&path);
  text_add (&path, "%s/metrics.csv", r->dir);
  enum status s = trim (path.data);
  if (s == OK)
    s = read_header (r, path.data);
  if (s == OK && r->n_columns > 0 && !header_fits (r, n, columns))
    s = move_aside (r, path.data, "has other columns"); /* other heads */
  if (s == OK)
    s = store_lines_open (r->dir, "metrics.csv", &r->metrics);
  if (s == OK && r->n_columns == 0)
    s = new_header (r, n, columns);
  if (s == OK)
    s = store_rows_json_open (r);
  text_clear (&path);
  return s;
}

static void
add_value (double v, struct text *out)
{
  if (isnan (v))
    return;
  if (v == floor (v) && fabs (v) < 1e15)
    text_add (out, "%.0f", v);
  else
    text_add (out, "%.9g", v);
}

static void
add_row (const struct store_run *r, int n, const char *const *columns,
         const char *split, const double *values, const char *const *texts,
         struct text *out)
{
  for (int k = 0; k < r->n_columns; k++) {
    text_add (out, "%s%s", k > 0 ? "," : "",
              strcmp (r->column[k], METRIC_SPLIT) == 0 ? split : "");
    for (int i = 0; i < n; i++)
      if (strcmp (r->column[k], columns[i]) != 0)
        continue;
      else if (texts && texts[i])
        text_add (out, "%s", texts[i]);
      else
        add_value (values[i], out);
  }
  text_add (out, "\n");
}

/* In both forms, the table first: the other follows from it. */
static enum status
put_row (struct store_run *r, const char *row)
{
  struct text line;
  fputs (row, r->metrics);
  TRY (flushed (r->metrics, r->dir, "metrics.csv"));
  text_init (&line);
  enum status s = store_row_json (r, row, &line);
  if (s == OK) {
    fputs (line.data, r->json);
    s = flushed (r->json, r->dir, "metrics.jsonl");
  }
  text_clear (&line);
  return s;
}

enum status
store_run_row (struct store_run *r, int n, const char *const *columns,
               const char *split, const double *values,
               const char *const *texts)
{
  if (!r->metrics)
    TRY (open_metrics (r, n, columns));
  for (int i = 0; i < n; i++)
    CHECK (has_column (r, columns[i]),
           "metrics.csv has no column \"%s\": the first row names all",
           columns[i]);
  struct text row;
  text_init (&row);
  add_row (r, n, columns, split, values, texts, &row);
  enum status s = put_row (r, row.data);
  text_clear (&row);
  return s;
}

enum status
store_run_metrics (struct store_run *r, int n, const char *const *columns,
                   const char *split, const double *values)
{
  return store_run_row (r, n, columns, split, values, NULL);
}
