/* store/rows.c -- the rows of metrics.csv as part of a checkpoint.
 *
 * What a clock says is left empty there, so that the same run leaves the same
 * checkpoint.  A start that goes on from a checkpoint takes back the rows that
 * came after it: the steps are taken again.
 */
#include "store/file_impl.h"
#include "store/record_impl.h"

#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

/* Number of a column in the header line, -1 when it is not there. */
static int
column_of (const char *header, const char *name)
{
  size_t n = strlen (name);
  for (int i = 0;; i++) {
    size_t length = strcspn (header, ",\r\n");
    if (length == n && strncmp (header, name, n) == 0)
      return i;
    header += length;
    if (*header++ != ',')
      return -1;
  }
}

/* Where field i of a line begins; its end is a comma or the end of the line. */
static const char *
field_of (const char *line, int i)
{
  while (i-- > 0) {
    line += strcspn (line, ",\n");
    if (*line++ != ',')
      return "";
  }
  return line;
}

static const char *
next_line (const char *line)
{
  line += strcspn (line, "\n");
  return *line ? line + 1 : line;
}

static enum status
read_rows (const struct store_run *r, char **all)
{
  struct text path;
  size_t size = 0;
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
    int n = (int)strcspn (line, ",\n");
    text_add (out, "%s%.*s", i ? "," : "", i == out_1 || i == out_2 ? 0 : n,
              line);
    line += n;
    if (*line++ != ',')
      break;
  }
  text_add (out, "\n");
}

enum status
store_run_rows (const struct store_run *r, struct text *out)
{
  char *all = NULL;
  TRY (read_rows (r, &all));
  int seconds = column_of (all, "seconds");
  int rate = column_of (all, "samples_per_s");
  for (const char *line = all; *line; line = next_line (line))
    add_line (line, line == all ? -1 : seconds, line == all ? -1 : rate, out);
  mem_free (&all);
  return OK;
}

/* Whole rows of text up to step, header included; how many there are. */
static int
rows_until (const char *text, int64_t step, struct text *out)
{
  int at = column_of (text, "step"), n = 0;
  for (const char *line = text; *line; line = next_line (line)) {
    bool late = line != text && at >= 0 &&
                strtoll (field_of (line, at), NULL, 10) > step;
    size_t length = strcspn (line, "\n");
    if (late || !line[length])
      continue;
    text_add (out, "%.*s\n", (int)length, line);
    n++;
  }
  return n;
}

enum status
store_run_rows_back (struct store_run *r, int64_t step, const char *kept)
{
  char *all = NULL;
  struct text there, known;
  CHECK (!r->metrics, "metrics.csv is open already");
  TRY (read_rows (r, &all));
  text_init (&there);
  text_init (&known);
  /* A file that lost rows, as when a disk was full or a node went down, has
   * less than the checkpoint knows. */
  bool lost = rows_until (all, step, &there) < rows_until (kept, step, &known);
  const char *rows = lost ? known.data : there.data;
  enum status s = rows && strcmp (rows, all) != 0
                      ? store_run_put (r, "metrics.csv", rows)
                      : OK;
  text_clear (&there);
  text_clear (&known);
  mem_free (&all);
  return s;
}
