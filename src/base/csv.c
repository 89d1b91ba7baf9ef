/* base/csv.c -- lines of comma-separated fields. */
#include "base/csv.h"

#include <stdbool.h>
#include <string.h>

size_t
csv_length (const char *s)
{
  bool quoted = false;
  size_t n = 0;
  if (s[0] != '"')
    return strcspn (s, ",\r\n");
  for (; s[n] && s[n] != '\n' && (quoted || s[n] != ','); n++)
    quoted ^= s[n] == '"';
  return n - (n > 0 && s[n - 1] == '\r');
}

int
csv_count (const char *line)
{
  int n = 1;
  while (*(line += csv_length (line)) == ',') {
    line++;
    n++;
  }
  return n;
}

const char *
csv_field (const char *line, int i, size_t *n)
{
  *n = csv_length (line);
  for (; i > 0; i--) {
    if (line[*n] != ',') {
      *n = 0;
      return "";
    }
    line += *n + 1;
    *n = csv_length (line);
  }
  return line;
}

int
csv_find (const char *line, const char *name)
{
  size_t wanted = strlen (name);
  for (int i = 0;; i++) {
    size_t n = csv_length (line);
    if (n == wanted && strncmp (line, name, n) == 0)
      return i;
    if (line[n] != ',')
      return -1;
    line += n + 1;
  }
}

const char *
csv_next (const char *line)
{
  line += strcspn (line, "\n");
  return *line ? line + 1 : line;
}
