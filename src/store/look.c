/* store/look.c -- how far a run is, seen from outside and without its lock.
 *
 * The file status, or where there is none the last event, says how the last
 * start ended, or that one is under way; the lock says whether that is still
 * true.  A start that was killed leaves "running" and a lock whose process is
 * gone or, on another host, a lock that is no longer touched.  Nothing is
 * changed here.
 */
#include "store/metrics.h"
#include "store/record_impl.h"

#include "base/csv.h"
#include "base/memory.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* "WORD CODE step=N ...". */
static bool
read_status (const char *dir, struct store_run_look *out)
{
  char *text = NULL;
  if (store_run_get (dir, "status", &text) != OK) {
    fail_clear ();
    return false;
  }
  const char *step = strstr (text, "step=");
  const char *code = strchr (text, ' ');
  out->state = strncmp (text, "finished", 8) == 0 ? STORE_RUN_FINISHED
               : strncmp (text, "failed", 6) == 0 ? STORE_RUN_FAILED
                                                  : STORE_RUN_STOPPED;
  out->code = code ? (int)strtol (code, NULL, 10) : 0;
  out->step = step ? strtoll (step + 5, NULL, 10) : 0;
  mem_free (&text);
  return true;
}

/* Without a status, as before the first start that left one: the last event. */
static bool
read_events (const char *dir, struct store_run_look *out)
{
  char *text = NULL;
  if (store_run_get (dir, "events.jsonl", &text) != OK) {
    fail_clear ();
    return false;
  }
  size_t n = strlen (text);
  while (n > 0 && text[n - 1] == '\n')
    n--;
  text[n] = '\0';
  const char *line = strrchr (text, '\n');
  json_t *j = json_loads (line ? line + 1 : text, 0, NULL);
  const char *event = json_string_value (json_object_get (j, "event"));
  const char *status = json_string_value (json_object_get (j, "status"));
  event = event ? event : "";
  status = status ? status : "";
  out->state = STORE_RUN_STOPPED;
  if (strcmp (event, "finished") == 0)
    out->state = STORE_RUN_FINISHED;
  else if (strcmp (event, "stopped") == 0 &&
           strcmp (status, status_text (E_STOPPED)) != 0) {
    out->state = STORE_RUN_FAILED;
    for (int s = OK; s < STATUS_COUNT; s++)
      if (strcmp (status, status_text ((enum status)s)) == 0)
        out->code = status_exit ((enum status)s);
  }
  json_decref (j);
  mem_free (&text);
  return true;
}

/* The step of the last row of metrics.csv. */
static bool
read_metrics (const char *dir, int64_t *step)
{
  char *text = NULL;
  if (store_run_get (dir, "metrics.csv", &text) != OK) {
    fail_clear ();
    return false;
  }
  size_t n = strlen (text);
  while (n > 0 && text[n - 1] == '\n')
    n--;
  text[n] = '\0';
  const char *row = strrchr (text, '\n');
  int column = csv_find (text, METRIC_STEP);
  const char *word = row && column >= 0 ? csv_field (row + 1, column, &n) : "";
  int64_t last = strtoll (word, NULL, 10);
  if (last > *step)
    *step = last;
  mem_free (&text);
  return true;
}

void
store_run_look (const char *dir, struct store_run_look *out)
{
  *out = (struct store_run_look){.state = STORE_RUN_MISSING};
  bool told = read_status (dir, out) || read_events (dir, out);
  bool held = store_lock_held (dir, out->host, out->job);
  bool rows = read_metrics (dir, &out->step);
  if (held)
    out->state = STORE_RUN_RUNNING;
  else if (!told && rows)
    out->state = STORE_RUN_STOPPED;
}

const char *
store_run_state_name (enum store_run_state s)
{
  static const char *const names[] = {"missing", "running", "stopped",
                                      "finished", "failed"};
  return names[s];
}
