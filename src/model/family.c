/* model/family.c -- the table of families, and presets of all of them. */
#include "model/family.h"
#include "base/text.h"
#include <string.h>

#define PRESETS 64 /* names to compare a wrong one with */

#define ROW(word, it) extern const struct family it;
MODEL_FAMILIES (ROW)
#undef ROW
#define ROW(word, it) [word] = &it,
static const struct family *const families[] = {MODEL_FAMILIES (ROW)};
#undef ROW
#define FAMILIES (sizeof families / sizeof *families)

const struct family *
family_at (enum model_family f)
{
  return families[f];
}

enum status
model_spec_preset (const char *preset, struct model_spec *spec)
{
  const char *names[PRESETS], *name;
  size_t n = 0;
  for (size_t f = 0; f < FAMILIES; f++)
    for (size_t i = 0; (name = families[f]->preset (i, NULL)) != NULL; i++) {
      if (strcmp (preset, name) == 0) {
        families[f]->preset (i, spec);
        spec->family = (enum model_family)f;
        return OK;
      }
      if (n < PRESETS)
        names[n++] = name;
    }
  const char *near = text_nearest (preset, names, n);
  return fail (E_CONFIG, "unknown preset \"%s\"%s%s%s", preset,
               near ? " (did you mean \"" : "", near ? near : "",
               near ? "\"?)" : "");
}
