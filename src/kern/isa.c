/* kern/isa.c -- instruction sets: what this machine has, what two machines have
 * in common, and the limit under which the library works.
 *
 * Levels go by the library's names, since its numbers of them differ between
 * its generations.  The library accepts a limit only before its first use, and
 * the question which level it would use counts as one.  So a child process asks
 * that: its answer does not bind this process.
 */
#include "kern/kern_impl.h"

#include "base/spawn.h"
#include <stdio.h>
#include <string.h>

/* Where the library has no level that we know. */
#define GENERIC "generic"

/* The level that this process uses; NULL: not settled. */
static const char *settled;

/* -- names ----------------------------------------------------------------- */

static const struct kern_lib_isa *
level_of (const char *name)
{
  if (strcmp (name, "avx512") == 0) /* as people say */
    name = "avx512_core";
  for (const struct kern_lib_isa *l = kern_lib_isa (); l->name != NULL; l++)
    if (strcmp (l->name, name) == 0)
      return l;
  return NULL;
}

/* Levels are sets of bits: one that holds another's has all of it. */
static bool
includes (unsigned have, unsigned want)
{
  return (have & want) == want;
}

/* The highest level in all of these bits. */
static const char *
highest (unsigned bits)
{
  const char *name = GENERIC;
  for (const struct kern_lib_isa *l = kern_lib_isa (); l->name != NULL; l++)
    if (includes (bits, l->bits))
      name = l->name;
  return name;
}

static unsigned
bits_of (const char *name)
{
  const struct kern_lib_isa *l = level_of (name);
  return l == NULL ? 0 : l->bits;
}

bool
kern_isa_known (const char *name)
{
  return level_of (name) != NULL;
}

void
kern_isa_names (struct text *out)
{
  for (const struct kern_lib_isa *l = kern_lib_isa (); l->name != NULL; l++)
    text_add (out, "%s%s", out->size ? " " : "", l->name);
}

bool
kern_isa_includes (const char *have, const char *want)
{
  return includes (bits_of (have), bits_of (want));
}

const char *
kern_isa_common (const char *a, const char *b)
{
  return highest (bits_of (a) & bits_of (b));
}

/* -- what there is --------------------------------------------------------- */

static unsigned
ask (void)
{
  return (unsigned)dnnl_get_effective_cpu_isa ();
}

/* From here on the level is fixed: asking the library settles it. */
static void
settle (void)
{
  if (settled == NULL)
    settled = highest (ask ());
}

const char *
kern_isa_have (void)
{
  static const char *have;
  unsigned bits = 0;
  if (settled != NULL)
    return settled;
  if (have == NULL && spawn_ask (ask, &bits))
    have = highest (bits);
  if (have != NULL)
    return have;
  settle ();
  return settled;
}

const char *
kern_isa_use (void)
{
  settle ();
  return settled;
}

/* -- the limit ------------------------------------------------------------- */

enum status
kern_isa_limit (const char *name)
{
  const struct kern_lib_isa *l = level_of (name);
  if (settled == NULL && l != NULL && strcmp (l->name, kern_isa_have ()) != 0)
    (void)dnnl_set_max_cpu_isa ((dnnl_cpu_isa_t)l->bits);
  settle (); /* and look what has come of it */
  if (strcmp (settled, l != NULL ? l->name : name) == 0)
    return OK;
  return fail (E_UNSUPPORTED,
               "oneDNN works with %s in this process and cannot be brought to "
               "%s",
               settled, name);
}
