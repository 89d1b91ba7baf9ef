/* wire/alarm.c -- one rank tells all others that it leaves its work for the
 * next fence.
 *
 * For long work that each rank does for itself between two fences, such as
 * measuring: when one rank fails or is asked to stop, the others would go on
 * for minutes before they meet it at the fence.  So they look for an alarm now
 * and then (wire_alarmed).
 */
#include "base/memory.h"
#include "wire/wire_impl.h"

#define ALARM_TAG 0

void
wire_alarm (struct wire *w)
{
  if (w->alone || w->size == 1 || w->alarm)
    return;
  if (MEM_NEW ((size_t)w->size, &w->alarm, "an alarm") != OK) {
    fail_clear (); /* the others come to the fence in their own time */
    return;
  }
  for (int r = 0; r < w->size; r++) {
    w->alarm[r] = MPI_REQUEST_NULL;
    if (r != w->rank)
      MPI_Isend (NULL, 0, MPI_BYTE, r, ALARM_TAG, w->rounds, &w->alarm[r]);
  }
}

bool
wire_alarmed (struct wire *w)
{
  int told = 0;
  if (!w->alone && w->size > 1)
    MPI_Iprobe (MPI_ANY_SOURCE, ALARM_TAG, w->rounds, &told, MPI_STATUS_IGNORE);
  return told != 0;
}

enum status
wire_alarm_end (struct wire *w)
{
  double mine = w->alarm != NULL, *all = NULL;
  if (w->alone || w->size == 1)
    return OK;
  TRY (wire_agree (w, MEM_NEW ((size_t)w->size, &all, "alarms")));
  enum status s = wire_all_gather (w, &mine, 1, all);
  for (int r = 0; s == OK && r < w->size; r++)
    if (r != w->rank && all[r] > 0)
      MPI_Recv (NULL, 0, MPI_BYTE, r, ALARM_TAG, w->rounds, MPI_STATUS_IGNORE);
  for (int r = 0; s == OK && w->alarm && r < w->size; r++)
    wire_complete (w, &w->alarm[r]);
  mem_free (&all);
  mem_free (&w->alarm);
  return s;
}
