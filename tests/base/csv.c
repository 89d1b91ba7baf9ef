/* ranks: 0 */
/* tests/base/csv.c -- fields of lines that end in each way, quoted or not; what
 * is not there is said so.
 */
#include "base/csv.h"
#include "tests/tap.h"
#include <string.h>

static const struct {
  const char *line;
  int count;
  const char *field[4];
} lines[] = {
    {"a,b,c", 3, {"a", "b", "c", ""}},
    {"a,b,c\nd,e", 3, {"a", "b", "c", ""}},
    {"a,b,c\r\nd", 3, {"a", "b", "c", ""}},
    {"", 1, {"", "", "", ""}},
    {"\na,b", 1, {"", "", "", ""}},
    {",,\n", 3, {"", "", "", ""}},
    {"1,,3", 3, {"1", "", "3", ""}},
    {"\"x,y\",z\n", 2, {"\"x,y\"", "z", "", ""}},
    {"\"x\"\"y\",z", 2, {"\"x\"\"y\"", "z", "", ""}},
    {"\"open,\nz", 1, {"\"open,", "", "", ""}},
    {"\"q\"\r\n", 1, {"\"q\"", "", "", ""}},
};

static bool
fields_agree (int row)
{
  bool same = csv_count (lines[row].line) == lines[row].count;
  for (int i = 0; i < 4; i++) {
    size_t n;
    const char *at = csv_field (lines[row].line, i, &n);
    const char *wanted = lines[row].field[i];
    same = same && n == strlen (wanted) && strncmp (at, wanted, n) == 0;
  }
  return same;
}

int
main (void)
{
  for (int i = 0; i < (int)(sizeof lines / sizeof lines[0]); i++)
    tap_ok (fields_agree (i), "line %d: its fields", i);
  tap_ok (csv_find ("step,split,steps\n", "split") == 1 &&
              csv_find ("step,split,steps", "steps") == 2,
          "a column by its whole name");
  tap_ok (csv_find ("step,split\nloss", "loss") == -1 &&
              csv_find ("step,split", "spli") == -1 && csv_find ("", "x") == -1,
          "columns that are not there");
  const char *text = "a\nb\n\nc";
  const char *line = csv_next (text);
  tap_ok (strcmp (line, "b\n\nc") == 0 &&
              strcmp (csv_next (csv_next (line)), "c") == 0 &&
              *csv_next (csv_next (csv_next (line))) == '\0',
          "line by line, to the end");
  return tap_done ();
}
