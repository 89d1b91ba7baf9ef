/* run/generate.c -- the command `generate`. */
#include "run/run_impl.h"

enum status
run_generate (struct wire *w, const struct run_config *c,
              const char *checkpoint, const struct run_generate *g)
{
  (void)c;
  (void)g;
  return wire_agree (w, fail (E_UNSUPPORTED, "%s", checkpoint));
}
