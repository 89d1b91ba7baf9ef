/* tests/data/refused.h -- whether a call has failed as it should, and said
 * why.
 */
#ifndef TESTS_DATA_REFUSED_H
#define TESTS_DATA_REFUSED_H

#include "base/status.h"
#include "tests/scratch.h"
#include "tests/tap.h"

enum { REFUSED_WORDS = 4 };

/* The status, and every word is in the message, which is cleared; words: at
 * most REFUSED_WORDS, NULL after the last if fewer. */
SCRATCH_FN bool
refused (enum status got, enum status wanted, const char *const *words)
{
  bool good = got == wanted;
  for (int i = 0; i < REFUSED_WORDS && words[i]; i++)
    good = good && strstr (fail_message (), words[i]);
  if (!good)
    tap_note ("status %d: %s", (int)got, fail_message ());
  fail_clear ();
  return good;
}

#endif
