/* base/halt.c -- whether this rank is to stop in the middle of long work. */
#include "base/halt.h"
#include "base/place.h"

static bool (*hook) (void *context);
static void *hook_context;

void
halt_hook (bool (*asked) (void *context), void *context)
{
  hook = asked;
  hook_context = context;
}

enum status
halt_check (const char *what)
{
  place_move ();
  if (!hook || !hook (hook_context))
    return OK;
  return fail (E_STOPPED, "asked to stop while %s", what);
}
