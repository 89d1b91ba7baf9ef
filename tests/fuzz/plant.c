/* tests/fuzz/plant.c -- a fault on demand in what a harness reaches.
 *
 * The linker puts these in front of two functions of base (--wrap).  With
 * INTERLOCK_FUZZ_PLANT=WORD the refusal that a source file of that name makes
 * writes behind a block of memory, and what a source asks memory for by that
 * name is half as large as it believes.  Either is found only where the harness
 * gets that far and the sanitizer is at work.
 */
#include "base/memory.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status
__real_status_fail (enum status s, const char *file, int line, const char *fmt,
                    ...);
enum status
__wrap_status_fail (enum status s, const char *file, int line, const char *fmt,
                    ...) __attribute__ ((format (printf, 4, 5)));
enum status
__real_mem_new (size_t n, size_t size, const char *what, void **out);
enum status
__wrap_mem_new (size_t n, size_t size, const char *what, void **out);

static const char *
planted (void)
{
  const char *word = getenv ("INTERLOCK_FUZZ_PLANT");
  return word && word[0] ? word : NULL;
}

enum status
__wrap_status_fail (enum status s, const char *file, int line, const char *fmt,
                    ...)
{
  const char *word = planted ();
  if (word && strstr (file, word)) {
    volatile char *block = malloc (8);
    block[8] = 1;
    free ((char *)block);
  }
  char text[4096];
  va_list args;
  va_start (args, fmt);
  vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  return __real_status_fail (s, file, line, "%s", text);
}

enum status
__wrap_mem_new (size_t n, size_t size, const char *what, void **out)
{
  const char *word = planted ();
  if (word && strcmp (what, word) == 0)
    n /= 2;
  return __real_mem_new (n, size, what, out);
}
