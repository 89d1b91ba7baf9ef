/* store/trace.c -- trace.json: JSON in Chrome's trace format ("Trace Event
 * Format", complete events), one event in a line.
 *
 * It is read line by line: a damaged line costs no other.
 */
#include "store/record_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- writing --------------------------------------------------------------- */

static int
add (const char *words, size_t n, void *out)
{
  text_add (out, "%.*s", (int)n, words);
  return 0;
}

static void
put (json_t *event, struct text *out)
{
  if (out->size > 0)
    text_add (out, ",\n");
  CHECK (json_dump_callback (event, add, out,
                             JSON_COMPACT | JSON_REAL_PRECISION (15)) == 0,
         "no memory for an event of a trace");
  json_decref (event);
}

void
store_trace_rank (int rank, const char *host, struct text *out)
{
  struct text name;
  text_init (&name);
  text_add (&name, "rank %d (%s)", rank, host);
  put (json_pack ("{s:s, s:s, s:i, s:{s:o}}", "ph", "M", "name", "process_name",
                  "pid", rank, "args", "name", store_json_text (name.data)),
       out);
  text_clear (&name);
}

/* To the nanosecond. */
static double
microseconds (double s)
{
  return rint (s * 1e9) / 1e3;
}

void
store_trace_op (const struct store_trace_op *op, struct text *out)
{
  put (json_pack ("{s:s, s:s, s:i, s:i, s:f, s:f, s:{s:I, s:i, s:i, s:i}}",
                  "ph", "X", "name", op->verb, "pid", op->rank, "tid",
                  op->stage, "ts", microseconds (op->begin_s), "dur",
                  microseconds (op->end_s - op->begin_s), "args", "step",
                  (json_int_t)op->step, "stage", op->stage, "micro", op->micro,
                  "stream", op->stream),
       out);
}

enum status
store_run_trace (struct store_run *r, int n, char *const *parts)
{
  struct text all;
  text_init (&all);
  text_add (&all, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
  for (int i = 0; i < n; i++)
    text_add (&all, "%s%s", i > 0 ? ",\n" : "", parts[i]);
  text_add (&all, "\n]}\n");
  enum status s = store_run_put (r, "trace.json", all.data);
  text_clear (&all);
  return s;
}

/* -- reading --------------------------------------------------------------- */

static double
number (const json_t *object, const char *key)
{
  const json_t *j = json_object_get (object, key);
  return json_is_number (j) ? json_number_value (j) : NAN;
}

static bool
read_event (const json_t *j, struct store_trace_op *out)
{
  const char *kind = json_string_value (json_object_get (j, "ph"));
  const char *verb = json_string_value (json_object_get (j, "name"));
  const json_t *args = json_object_get (j, "args");
  if (!kind || strcmp (kind, "X") != 0 || !verb)
    return false;
  double begin = number (j, "ts"), took = number (j, "dur");
  double rank = number (j, "pid"), step = number (args, "step");
  double stage = number (args, "stage"), micro = number (args, "micro");
  if (!(begin > -1e18 && took >= 0 && took < 1e18 && rank >= 0 && rank < 1e6 &&
        fabs (step) < 2e9 && fabs (stage) < 1e6 && fabs (micro) < 1e6))
    return false;
  *out = (struct store_trace_op){.rank = (int)rank,
                                 .stage = (int)stage,
                                 .micro = (int)micro,
                                 .step = (int64_t)step,
                                 .begin_s = begin * 1e-6,
                                 .end_s = (begin + took) * 1e-6};
  snprintf (out->verb, sizeof out->verb, "%s", verb);
  return true;
}

/* Behind the value there may be the comma of a list. */
bool
store_trace_read (const char *line, size_t n, struct store_trace_op *out)
{
  json_t *j = json_loadb (line, n, JSON_DISABLE_EOF_CHECK, NULL);
  bool good = read_event (j, out);
  json_decref (j);
  return good;
}
