/* store/events.c -- events.jsonl: one JSON object in a line. */
#include "store/record_impl.h"

#include "base/clock.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A number, true, false or null as they stand, anything else as a string: also
 * a digest that happens to be all digits. */
static json_t *
value_of (const char *word)
{
  enum { NUMBER_MOST = 30 };
  if (strlen (word) > NUMBER_MOST)
    return store_json_text (word);
  json_t *j = json_loads (word, JSON_DECODE_ANY, NULL);
  if (json_is_number (j) || json_is_boolean (j) || json_is_null (j))
    return j;
  json_decref (j);
  return store_json_text (word);
}

static json_t *
event_object (const char *event, int n, const char *const (*fields)[2])
{
  const char *job = getenv ("SLURM_JOB_ID");
  json_t *j = json_object ();
  json_object_set_new (j, "event", json_string (event));
  json_object_set_new (j, "time", json_real (clock_wall_s ()));
  json_object_set_new (j, "job", job ? json_string (job) : json_null ());
  for (int i = 0; i < n; i++)
    json_object_set_new (j, fields[i][0], value_of (fields[i][1]));
  return j;
}

enum status
store_run_event (struct store_run *r, const char *event, int n,
                 const char *const (*fields)[2])
{
  TRY (store_run_mine (r));
  if (!r->events)
    TRY (store_lines_open (r->dir, "events.jsonl", &r->events));
  json_t *j = event_object (event, n, fields);
  bool good =
      j &&
      json_dumpf (j, r->events, JSON_COMPACT | JSON_REAL_PRECISION (15)) == 0 &&
      fputc ('\n', r->events) != EOF && fflush (r->events) == 0;
  json_decref (j);
  if (!good)
    return fail (E_IO, "%s/events.jsonl: not written: %s", r->dir,
                 strerror (errno));
  return OK;
}
