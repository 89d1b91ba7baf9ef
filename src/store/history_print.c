/* store/history_print.c -- the history of a run, for people. */
#include "store/file.h"
#include "store/record_impl.h"

#include "base/memory.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct telling {
  const char *dir;
  const struct store_history *h;
  struct store_mark mark;
  bool held; /* somebody is at work in it */
  struct text *out;
  int first;   /* event that began the start under way; -1: none */
  double seen; /* time of its last sign of life */
  int starts, deaths;
  double lost, spent_s;
};

static const char *
word (const struct telling *t, int i, const char *name)
{
  return store_history_word (t->h, i, name);
}

static double
number (const struct telling *t, int i, const char *name)
{
  return strtod (word (t, i, name), NULL);
}

static bool
is_event (const struct telling *t, int i, const char *name)
{
  return strcmp (word (t, i, "event"), name) == 0;
}

static bool
begins (const struct telling *t, int i)
{
  return is_event (t, i, "start") || is_event (t, i, "resume");
}

static bool
ends (const struct telling *t, int i)
{
  return is_event (t, i, "stopped") || is_event (t, i, "finished") ||
         is_event (t, i, "failed");
}

static void
stamp (const struct telling *t, double time, const char *what)
{
  char day[32] = "?";
  time_t seconds = (time_t)time;
  struct tm tm;
  if (localtime_r (&seconds, &tm))
    strftime (day, sizeof day, "%Y-%m-%d %H:%M:%S", &tm);
  text_add (t->out, "  %s  %-10s ", day, what);
}

/* ", 4 ranks" where the event tells it. */
static void
counted (const struct telling *t, int i, const char *name, const char *one)
{
  const char *n = word (t, i, name);
  if (n[0])
    text_add (t->out, ", %s %s%s", n, one, strcmp (n, "1") == 0 ? "" : "s");
}

static void
told (const struct telling *t, int i, const char *name, const char *before)
{
  const char *w = word (t, i, name);
  if (w[0] && strcmp (w, "null") != 0)
    text_add (t->out, "%s%s", before, w);
}

static void
tell_begin (struct telling *t, int i)
{
  const char *file = word (t, i, "file");
  stamp (t, number (t, i, "time"), word (t, i, "event"));
  text_add (t->out, "step %s", word (t, i, "step"));
  if (file[0])
    text_add (t->out, " from %s", store_file_name (file));
  counted (t, i, "ranks", "rank");
  counted (t, i, "replicas", "replica");
  counted (t, i, "threads", "thread");
  told (t, i, "job", ", job ");
  told (t, i, "restart", ", restart ");
  told (t, i, "host", ", on ");
  text_add (t->out, "\n");
  if (is_event (t, i, "resume")) {
    bool exact = strcmp (word (t, i, "exact"), "true") == 0;
    text_add (t->out, "    %s; steps lost: %s\n",
              exact ? "exact: the same bits as without the stop" : "not exact",
              word (t, i, "lost")[0] ? word (t, i, "lost") : "not known");
    told (t, i, "reasons", "    ");
    if (word (t, i, "reasons")[0])
      text_add (t->out, "\n");
    told (t, i, "fresh", "    fresh: ");
    if (word (t, i, "fresh")[0])
      text_add (t->out, "\n");
  }
  t->lost += number (t, i, "lost");
  t->first = i;
  t->starts++;
  t->seen = number (t, i, "time");
}

/* The start under way was killed: it left no event of its end. */
static void
tell_death (struct telling *t, bool last)
{
  double begin;
  if (t->first < 0)
    return;
  begin = number (t, t->first, "time");
  if (last && t->mark.time > t->seen)
    t->seen = t->mark.time;
  stamp (t, t->seen, last && t->held ? "last seen" : "died");
  if (last)
    text_add (t->out, "at step %lld, ", (long long)t->mark.step);
  text_add (t->out, "after %s%s\n", text_seconds (t->seen - begin),
            last ? "" : ", without a word: killed, or a node was lost");
  t->spent_s += t->seen - begin;
  t->deaths += !last || !t->held;
  t->first = -1;
}

static void
tell_end (struct telling *t, int i)
{
  double time = number (t, i, "time");
  stamp (t, time, word (t, i, "event"));
  if (word (t, i, "step")[0])
    text_add (t->out, "step %s", word (t, i, "step"));
  if (t->first >= 0) {
    double took = time - number (t, t->first, "time");
    text_add (t->out, " after %s", text_seconds (took));
    t->spent_s += took;
  }
  told (t, i, "reason", ": ");
  if (!is_event (t, i, "finished"))
    told (t, i, "status", "; ");
  text_add (t->out, "\n");
  t->first = -1;
}

static void
tell_event (struct telling *t, int i)
{
  t->seen = number (t, i, "time");
  stamp (t, t->seen, word (t, i, "event"));
  if (word (t, i, "step")[0])
    text_add (t->out, "step %s", word (t, i, "step"));
  if (word (t, i, "file")[0])
    text_add (t->out, ", %s", store_file_name (word (t, i, "file")));
  told (t, i, "dial", ", "); /* of a phase */
  text_add (t->out, "\n");
}

static void
tell_status (const struct telling *t)
{
  char *status = NULL;
  text_add (t->out, "run %s: ", t->dir);
  if (store_run_get (t->dir, "status", &status) != OK)
    text_add (t->out, "no status\n");
  else if (strncmp (status, "running", 7) == 0 && !t->held)
    text_add (t->out, "died at step %lld: no process holds the lock\n",
              (long long)t->mark.step);
  else
    text_add (t->out, "%.*s\n", (int)strcspn (status, "\n"), status);
  fail_clear ();
  mem_free (&status);
}

static void
tell_all (struct telling *t)
{
  tell_status (t);
  for (int i = 0; i < store_history_count (t->h); i++)
    if (begins (t, i)) {
      tell_death (t, false);
      tell_begin (t, i);
    } else if (ends (t, i))
      tell_end (t, i);
    else
      tell_event (t, i);
  bool open = t->first >= 0;
  tell_death (t, true);
  text_add (t->out,
            "  in all: %d start%s, %d of them died%s, %.0f steps lost, %s\n",
            t->starts, t->starts == 1 ? "" : "s", t->deaths,
            !open     ? ""
            : t->held ? ", the last is running"
                      : ", the last of them",
            t->lost, text_seconds (t->spent_s));
  int damaged = store_history_damaged (t->h);
  if (damaged > 0)
    text_add (t->out, "  %d line%s of events.jsonl cannot be read\n", damaged,
              damaged == 1 ? "" : "s");
}

enum status
store_run_print (const char *dir, struct text *out)
{
  struct store_history *h = NULL;
  TRY (store_history_read (dir, &h));
  enum status s = OK;
  if (store_history_count (h) == 0)
    s = fail (E_MISSING, "%s: no events: not a run directory", dir);
  struct telling t = {.dir = dir, .h = h, .out = out, .first = -1};
  struct store_run_look look;
  store_run_look (dir, &look);
  t.held = look.state == STORE_RUN_RUNNING;
  store_mark_read (dir, &t.mark);
  if (s == OK)
    tell_all (&t);
  store_history_destroy (&h);
  return s;
}
