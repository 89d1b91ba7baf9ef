/* store/json.c -- JSON as text. */
#include "store/json.h"

#include <math.h>

#define DIGITS 9

json_t *
store_json_text (const char *word)
{
  json_t *j = json_string (word);
  return j ? j : json_string ("(not UTF-8)");
}

json_t *
store_json_number (double v)
{
  return isfinite (v) ? json_real (v) : json_null ();
}

static int
add_part (const char *part, size_t n, void *out)
{
  text_add (out, "%.*s", (int)n, part);
  return 0;
}

enum status
store_json_put (json_t *j, size_t flags, const char *what, struct text *out)
{
  const int failed =
      j ? json_dump_callback (j, add_part, out,
                              flags | JSON_REAL_PRECISION (DIGITS))
        : -1;
  json_decref (j);
  if (failed)
    return fail (E_MEMORY, "no memory for %s as JSON", what);
  text_add (out, "\n");
  return OK;
}
