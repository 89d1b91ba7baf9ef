/* report/pair_facts.c -- what is not the same about two runs: settings, data,
 * program, libraries, machines.
 *
 * Of a run of several starts each value is told, in the order of the starts.
 */
#include "report/pair_impl.h"

#include <string.h>

static const char *
shown (const char *value)
{
  return value[0] ? value : "(none)";
}

static void
tell (struct text *out, const char *name, const char *a, const char *b)
{
  text_add (out, "  %s: %s | %s\n", name, shown (a), shown (b));
}

/* -- settings ----------------------------------------------------------------
 */

/* Where and how a run is watched and saved: no number depends on it. */
static bool
is_aside (const char *key)
{
  const struct key *k = key_named (key);
  enum key_resume means = key_resume (key);
  return (means == KEY_RESUME_SAME_RUN || means == KEY_RESUME_CONTENT) &&
         !(k && (k == KEY_OF (replicas) || k == KEY_OF (isa)));
}

static bool
has_key (const struct words *w, const char *key)
{
  for (int i = 0; i < w->n; i++)
    if (strcmp (w->pair[i][0], key) == 0)
      return true;
  return false;
}

static void
tell_keys (const struct words *a, const struct words *b, bool aside,
           struct text *out)
{
  for (int i = 0; i < a->n; i++) {
    const char *key = a->pair[i][0], *other = words_get (b, key);
    if (is_aside (key) == aside && strcmp (a->pair[i][1], other) != 0)
      tell (out, key, a->pair[i][1], other);
  }
  for (int i = 0; i < b->n; i++)
    if (is_aside (b->pair[i][0]) == aside && b->pair[i][1][0] &&
        !has_key (a, b->pair[i][0]))
      tell (out, b->pair[i][0], "", b->pair[i][1]);
}

/* -- starts ------------------------------------------------------------------
 */

static bool
is_start (const struct store_history *h, int i)
{
  const char *event = store_history_word (h, i, "event");
  return strcmp (event, "start") == 0 || strcmp (event, "resume") == 0;
}

/* The value of each start, where it is another than that of the one before. */
static const char *
values_of (struct pool *p, const struct side *s, const char *name)
{
  const char *last = "", *all = "";
  for (int i = 0; i < store_history_count (s->history); i++) {
    const char *v = store_history_word (s->history, i, name);
    if (!is_start (s->history, i) || !v[0] || strcmp (v, last) == 0)
      continue;
    all = all[0] ? pool_text (p, "%s, then %s", all, v) : v;
    last = v;
  }
  return all;
}

static void
tell_starts (struct pool *p, const struct side *a, const struct side *b,
             struct text *out)
{
  static const char *const facts[][2] = {{"program", "program"},
                                         {"build", "build of the program"},
                                         {"kernels", "kernel library"},
                                         {"isa", "instruction set"},
                                         {"processor", "processor"},
                                         {"tuning", "kernel choices"},
                                         {"mpi", "MPI"},
                                         {"hdf5", "HDF5"},
                                         {"images", "decoder of images"},
                                         {"ranks", "ranks"},
                                         {"pipe", "pipe ranks"},
                                         {"replicas", "replicas"},
                                         {"threads", "threads of a rank"},
                                         {"hosts", "hosts"},
                                         {"init", "digest of train.init"}};
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    const char *x = values_of (p, a, facts[i][0]);
    const char *y = values_of (p, b, facts[i][0]);
    if (strcmp (x, y) != 0)
      tell (out, facts[i][1], x[0] ? x : "not recorded",
            y[0] ? y : "not recorded");
  }
}

void
pair_facts (struct pool *p, const struct side *a, const struct side *b,
            struct text *out)
{
  const char *data[2] = {words_get (&a->run.facts, "facts.data"),
                         words_get (&b->run.facts, "facts.data")};
  struct text bears, aside;
  text_init (&bears);
  text_init (&aside);
  tell_keys (&a->run.config, &b->run.config, false, &bears);
  if (strcmp (data[0], data[1]) != 0)
    tell (&bears, "digest of the data set", data[0], data[1]);
  tell_starts (p, a, b, &bears);
  tell_keys (&a->run.config, &b->run.config, true, &aside);
  text_add (out, "%s (A | B)\n%s",
            bears.size ? "what is not the same"
                       : "settings, data, program and machines are the same",
            bears.data);
  if (aside.size)
    text_add (out,
              "settings that say where things are, how a run is watched and "
              "saved (A | B)\n%s",
              aside.data);
  text_clear (&bears);
  text_clear (&aside);
}
