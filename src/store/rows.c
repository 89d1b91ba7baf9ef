/* store/rows.c -- the rows of metrics.csv as part of a checkpoint.
 *
 * Columns of time are left empty in it, so that the same run leaves the same
 * checkpoint.  A start that goes on from a checkpoint removes
 * the rows that came after it, since these steps are taken again.
 */
#include "store/file.h"
#include "store/metrics.h"
#include "store/record_impl.h"

#include "base/csv.h"
#include "base/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All of it; through the file that is open for writing where one is, so that a
 * save needs no further descriptor and has the rows of this very run. */
static enum status
read_open (const struct store_run *r, char **all)
{
  struct stat st;
  int fd = fileno (r->metrics);
  if (fstat (fd, &st) != 0)
    return fail (E_IO, "%s/metrics.csv: %s", r->dir, strerror (errno));
  TRY (mem_new ((size_t)st.st_size + 1, 1, "metrics", (void **)all));
  for (off_t at = 0; at < st.st_size;) {
    ssize_t n = pread (fd, *all + at, (size_t)(st.st_size - at), at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      mem_free (all);
      return fail (E_IO, "%s/metrics.csv: not read: %s", r->dir,
                   n < 0 ? strerror (errno) : "the file ends");
    }
    at += n;
  }
  return OK;
}

enum status
store_rows_read (const struct store_run *r, char **all)
{
  struct text path;
  size_t size = 0;
  if (r->metrics)
    return read_open (r, all);
  text_init (&path);
  text_add (&path, "%s/metrics.csv", r->dir);
  enum status s = store_file_bytes (path.data) > 0
                      ? store_file_read (path.data, all, &size)
                      : mem_text ("", all);
  text_clear (&path);
  return s;
}

/* One line; of two columns the values stay out. */
static void
add_line (const char *line, int out_1, int out_2, struct text *out)
{
  for (int i = 0;; i++) {
    int n = (int)csv_length (line);
    text_add (out, "%s%.*s", i ? "," : "", i == out_1 || i == out_2 ? 0 : n,
              line);
    line += n;
    if (*line++ != ',')
      break;
  }
  text_add (out, "\n");
}

static int64_t
step_of (const char *line, int column)
{
  size_t n;
  return strtoll (csv_field (line, column, &n), NULL, 10);
}

bool
store_run_has_row (const struct store_run *r, const char *split, int64_t step)
{
  char *all = NULL;
  bool found = false;
  size_t n;
  if (store_rows_read (r, &all) != OK) {
    fail_clear ();
    return false;
  }
  int at = csv_find (all, METRIC_STEP), name = csv_find (all, METRIC_SPLIT);
  for (const char *line = csv_next (all);
       *line && at >= 0 && name >= 0 && !found; line = csv_next (line)) {
    const char *word = csv_field (line, name, &n);
    found = strchr (line, '\n') && n == strlen (split) &&
            strncmp (word, split, n) == 0 && step_of (line, at) == step;
  }
  mem_free (&all);
  return found;
}

enum status
store_run_rows (const struct store_run *r, struct text *out)
{
  char *all = NULL;
  TRY (store_rows_read (r, &all));
  int seconds = csv_find (all, METRIC_SECONDS);
  int rate = csv_find (all, METRIC_RATE);
  for (const char *line = all; *line; line = csv_next (line))
    add_line (line, line == all ? -1 : seconds, line == all ? -1 : rate, out);
  mem_free (&all);
  return OK;
}

/* Whole rows of text up to step, header included; how many there are. */
static int
rows_until (const char *text, int64_t step, struct text *out)
{
  int at = csv_find (text, METRIC_STEP), n = 0;
  for (const char *line = text; *line; line = csv_next (line)) {
    bool late = line != text && at >= 0 && step_of (line, at) > step;
    size_t length = strcspn (line, "\n");
    if (late || !line[length])
      continue;
    text_add (out, "%.*s\n", (int)length, line);
    n++;
  }
  return n;
}

static bool
same_header (const char *a, const char *b)
{
  size_t n = strcspn (a, "\r\n");
  return n == strcspn (b, "\r\n") && strncmp (a, b, n) == 0;
}

/* The file that was moved aside last; *path "" when there is none. */
static enum status
newest_aside (const struct store_run *r, struct text *path, char **all)
{
  size_t size = 0;
  for (int i = 1;; i++) {
    struct text next;
    text_init (&next);
    text_add (&next, "%s/metrics-%d.csv", r->dir, i);
    bool there = store_file_bytes (next.data) >= 0;
    if (there) {
      text_clear (path);
      text_add (path, "%s", next.data);
    }
    text_clear (&next);
    if (!there)
      break;
  }
  return path->size > 0 ? store_file_read (path->data, all, &size)
                        : mem_text ("", all);
}

/* A start with other stages put the rows aside and left no checkpoint of its
 * own: they come back, with their times. */
static enum status
take_back (struct store_run *r, int64_t step, const struct text *known, int n,
           bool *done)
{
  char *all = NULL;
  struct text path, rows;
  text_init (&path);
  text_init (&rows);
  enum status s = newest_aside (r, &path, &all);
  if (s == OK && path.size && known->size && same_header (all, known->data) &&
      rows_until (all, step, &rows) >= n) {
    s = store_run_put (r, "metrics.csv", rows.data);
    if (s == OK && unlink (path.data) != 0)
      s = fail (E_IO, "%s: not removed: %s", path.data, strerror (errno));
    *done = s == OK;
  }
  mem_free (&all);
  text_clear (&path);
  text_clear (&rows);
  return s;
}

enum status
store_run_rows_back (struct store_run *r, int64_t step, const char *kept)
{
  char *all = NULL;
  struct text there, known;
  bool done = false;
  CHECK (!r->metrics, "metrics.csv is open already");
  TRY (store_rows_read (r, &all));
  text_init (&there);
  text_init (&known);
  /* A file that lost rows, as when a disk was full or a node went down, has
   * less than the checkpoint knows. */
  int n = rows_until (kept, step, &known);
  bool other = all[0] && kept[0] && !same_header (all, kept);
  bool lost = rows_until (all, step, &there) < n || other;
  enum status s = lost ? take_back (r, step, &known, n, &done) : OK;
  const char *rows = lost ? known.data : there.data;
  if (s == OK && !done && rows && strcmp (rows, all) != 0)
    s = store_run_put (r, "metrics.csv", rows);
  text_clear (&there);
  text_clear (&known);
  mem_free (&all);
  return s;
}
