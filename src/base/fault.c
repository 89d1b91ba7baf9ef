/* base/fault.c -- faults that tests plant. */
#include "base/fault.h"
#include "base/place.h"
#include "base/status.h"
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAULT_UNREAD, FAULT_NONE, FAULT_PLANTED };

static struct {
  _Atomic int state;
  char place[32];
  long nth;  /* first call is 1 */
  long rank; /* -1: every rank */
  _Atomic long calls;
} fault;

/* "kernel", "kernel:3", "kernel@1", "kernel:3@1".  The text is written by hand
 * for a test, and a test that plants nothing would pass for the wrong reason:
 * what cannot be read is a failed check. */
void
fault_plant (const char *spec)
{
  if (spec == NULL || spec[0] == '\0') {
    atomic_store (&fault.state, FAULT_NONE);
    return;
  }
  size_t n = strcspn (spec, ":@");
  CHECK (n > 0 && n < sizeof fault.place, "INTERLOCK_FAIL=%s: no place", spec);
  memcpy (fault.place, spec, n);
  fault.place[n] = '\0';
  fault.nth = 1;
  fault.rank = -1;
  char *rest = (char *)(uintptr_t)(spec + n);
  if (*rest == ':')
    fault.nth = strtol (rest + 1, &rest, 10);
  if (*rest == '@')
    fault.rank = strtol (rest + 1, &rest, 10);
  CHECK (*rest == '\0' && fault.nth >= 1 && fault.rank >= -1,
         "INTERLOCK_FAIL=%s: expected PLACE:NTH@RANK", spec);
  atomic_store (&fault.calls, 0);
  atomic_store (&fault.state, FAULT_PLANTED);
}

bool
fault_planted (void)
{
  if (atomic_load_explicit (&fault.state, memory_order_acquire) == FAULT_UNREAD)
    fault_plant (getenv ("INTERLOCK_FAIL"));
  return atomic_load_explicit (&fault.state, memory_order_acquire) ==
         FAULT_PLANTED;
}

bool
fault_here (const char *place)
{
  if (!fault_planted ())
    return false;
  if (strcmp (place, fault.place) != 0)
    return false;
  if (fault.rank >= 0 && fault.rank != place_rank ())
    return false;
  return atomic_fetch_add (&fault.calls, 1) + 1 == fault.nth;
}

void
fault_hang (const char *place)
{
  if (fault_here (place))
    for (;;)
      pause ();
}
