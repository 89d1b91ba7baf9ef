/* sweep/line.c -- what every reader of a sweep file's lines needs: complaints,
 * and the parts of a list. */
#include "sweep/sweep_impl.h"

#include "base/memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
sweep_complain (struct sweep *s, int line, const char *fmt, ...)
{
  char what[1024];
  va_list args;
  va_start (args, fmt);
  vsnprintf (what, sizeof what, fmt, args);
  va_end (args);
  if (line > 0)
    text_add (&s->wrong, "%s:%d: %s\n", s->file, line, what);
  else
    text_add (&s->wrong, "%s: %s\n", s->file, what);
  s->n_wrong++;
}

bool
sweep_next (const char **at, const char *separators, char **part)
{
  const char *from = *at;
  if (!from)
    return false;
  size_t n = strcspn (from, separators);
  *at = from[n] ? from + n + 1 : NULL;
  while (n > 0 && strchr (" \t", from[0])) {
    from++;
    n--;
  }
  while (n > 0 && strchr (" \t", from[n - 1]))
    n--;
  struct text t;
  text_init (&t);
  text_add (&t, "%.*s", (int)n, from);
  enum status e = mem_text (t.data, part);
  if (e != OK)
    status_end (e);
  text_clear (&t);
  return true;
}
