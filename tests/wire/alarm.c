/* ranks: 1 2 3 4 */
/* tests/wire/alarm.c -- one rank leaves its work, and all others hear of it
 * without a fence; afterwards another may tell. */
#include "tests/wire/tool.h"

#include "base/clock.h"

/* Whether the others have heard within half a minute. */
static bool
heard (struct wire *w)
{
  double start = clock_now_s ();
  while (!wire_alarmed (w) && clock_now_s () < start + 30)
    wire_rest (start);
  return wire_alarmed (w);
}

int
main (int argc, char **argv)
{
  struct wire *w = NULL;
  if (wire_open (&argc, &argv, &w) != OK)
    return 1;
  int size = wire_size (w), rank = wire_rank (w);
  for (int from = 0; from < size; from++) {
    tap_ok (!wire_alarmed (w), "nobody has told");
    wire_barrier (w);
    if (rank == from) {
      wire_alarm (w);
      wire_alarm (w);
    }
    tap_ok (rank == from || heard (w), "rank %d tells, all others hear", from);
    tap_ok (wire_alarm_end (w) == OK, "it is over");
  }
  wire_alarm (w);
  tap_ok (size == 1 || heard (w), "all tell, all hear");
  tap_ok (wire_alarm_end (w) == OK && !wire_alarmed (w), "and it is over");
  wire_close (&w);
  return tap_done ();
}
