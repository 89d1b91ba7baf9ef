/* report/pool.c -- memory of a report, given back as a whole. */
#include "report/report_impl.h"

#include <stdarg.h>
#include <stdio.h>

struct pool_block {
  struct pool_block *before;
  _Alignas(16) char data[];
};

void *
pool_take (struct pool *p, size_t n, size_t size)
{
  struct pool_block *b = NULL;
  size_t bytes = n * size;
  CHECK (size == 0 || bytes / size == n, "a report beyond all memory");
  enum status s = mem_new (sizeof *b + bytes, 1, "a report", (void **)&b);
  if (s != OK)
    status_end (s);
  b->before = p->last;
  p->last = b;
  return b->data;
}

char *
pool_text (struct pool *p, const char *fmt, ...)
{
  va_list args;
  va_start (args, fmt);
  int n = vsnprintf (NULL, 0, fmt, args);
  va_end (args);
  char *out = pool_take (p, (size_t)n + 1, 1);
  va_start (args, fmt);
  vsnprintf (out, (size_t)n + 1, fmt, args);
  va_end (args);
  return out;
}

void
pool_clear (struct pool *p)
{
  while (p->last) {
    struct pool_block *b = p->last;
    p->last = b->before;
    mem_free (&b);
  }
}
