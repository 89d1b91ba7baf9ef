/* import/interrupt.c -- what an import that a signal ends has to remove. */
#include "import/import_impl.h"

#include "store/file.h"
#include <string.h>
#include <unistd.h>

/* All that import makes beside its output: see corpus.c and text.c.  Runs in a
 * handler. */
static void
remove_all (char *path, size_t bytes)
{
  static const char *const parts[] = {"", ".train", ".valid", ".test", ".spm"};
  static const char *const kinds[] = {"",     ".txt",   ".ends", ".ids",
                                      ".err", ".model", ".vocab"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
      size_t n = strlen (parts[i]), m = strlen (kinds[k]);
      memcpy (path + bytes, parts[i], n);
      memcpy (path + bytes + n, kinds[k], m + 1);
      unlink (path);
    }
}

void
import_interrupt_guard (const char *part)
{
  store_interrupt_guard (part, remove_all);
}
