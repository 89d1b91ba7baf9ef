/* run/wait.c -- waiting for messages, and where that time is booked. */
#include "run/session.h"

/* Time until the neighbour has sent is waiting for it (CLOCK_WAIT); time after
 * that is transfer that no arithmetic hides (CLOCK_EXPOSED). */
enum status
session_await (struct session *s, int *request, const struct wire_id *id)
{
  if (*request == WIRE_NONE)
    return OK;
  double late = 0;
  enum clock_class was = s->account.running;
  clock_switch (&s->account, id ? CLOCK_WAIT : CLOCK_EXPOSED);
  double before = s->account.spent_s[CLOCK_WAIT];
  enum status r = wire_wait (s->wire, request, id, &late);
  clock_switch (&s->account, was);
  double waited = s->account.spent_s[CLOCK_WAIT] - before;
  if (id && late > 0)
    clock_move (&s->account, CLOCK_WAIT, CLOCK_EXPOSED,
                late < waited ? late : waited);
  return r;
}
