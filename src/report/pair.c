/* report/pair.c -- two runs: after which step, and in which stage, are they no
 * longer the same, and what is not the same about them?
 *
 * Three kinds of record can tell: digests of weights, losses, checkpoints.  The
 * earliest difference counts.  If two kinds name the same step, the one counts
 * that knows the stage.
 */
#include "report/pair_impl.h"

#include "store/checkpoint.h"
#include <string.h>

#define KINDS 3

static enum status
side_open (struct pool *p, const char *path, struct side *s)
{
  char *text = NULL;
  int n_files = 0;
  *s = (struct side){.metrics = ""};
  TRY (run_read (p, path, &s->run));
  if (store_run_get (path, "metrics.csv", &text) == OK)
    s->metrics = pool_text (p, "%s", text);
  mem_free (&text);
  fail_clear ();
  TRY (store_history_read (path, &s->history));
  return store_checkpoint_candidates (path, &s->found, &s->n_found, &n_files);
}

static void
side_close (struct side *s)
{
  store_history_destroy (&s->history);
  mem_free (&s->found);
}

static void
tell_side (const char *name, const struct side *s, struct text *out)
{
  text_add (out, "%s  %s: %s", name, s->run.path, s->run.state);
  if (s->run.steps > 0)
    text_add (out, ", recorded until step %.0f", s->run.steps);
  text_add (out, "\n");
}

/* The earliest difference; NULL: none. */
static const struct apart *
first_of (const struct apart f[KINDS])
{
  const struct apart *first = NULL;
  for (int i = 0; i < KINDS; i++)
    if (f[i].step >= 0 && (!first || f[i].step < first->step))
      first = &f[i];
  return first;
}

/* The last step of any record that is equal and lies before `step`. */
static int64_t
same_until (const struct apart f[KINDS], int64_t step)
{
  int64_t same = -1;
  for (int i = 0; i < KINDS; i++)
    if (f[i].same > same && (step < 0 || f[i].same < step))
      same = f[i].same;
  return same;
}

static void
tell_verdict (const struct apart f[KINDS], const struct apart *first,
              struct text *out)
{
  int64_t same = same_until (f, first ? first->step : -1);
  if (!first) {
    text_add (out,
              "no difference: equal until step %lld, the last that both "
              "have recorded\n",
              (long long)same);
    return;
  }
  text_add (out, "first difference: at step %lld", (long long)first->step);
  if (first->stage >= 0)
    text_add (out, ", %s stage %d", first->before ? "in or before" : "in",
              first->stage);
  text_add (out, " (by %s)\n", first->kind);
  if (same >= 0)
    text_add (out, "equal until step %lld\n", (long long)same);
  else
    text_add (out, "that is the first step that both have recorded\n");
}

static void
tell_kind (const struct apart *f, struct text *out)
{
  text_add (out, "  %s: ", f->kind);
  if (f->steps == 0)
    text_add (out, "no step that both have");
  else if (f->step < 0)
    text_add (out, "equal in all that both have, until step %lld",
              (long long)f->same);
  else
    text_add (out, "differ at step %lld", (long long)f->step);
  if (f->words.size)
    text_add (out, "; %s", f->words.data);
  text_add (out, "\n");
}

static enum status
compare (struct pool *p, const struct side *a, const struct side *b,
         bool *differ, struct text *out)
{
  struct apart f[KINDS];
  int steps = 0;
  pair_digests (p, a, b, &f[0]);
  pair_losses (p, a, b, &f[1]);
  if (pair_checkpoints (p, a, b, &f[2]) != OK) {
    text_add (&f[2].words, "%s%s", f[2].words.size ? "; " : "",
              fail_message ());
    fail_clear (); /* the others may tell enough */
  }
  tell_side ("A", a, out);
  tell_side ("B", b, out);
  for (int i = 0; i < KINDS; i++)
    steps += f[i].steps;
  const struct apart *first = first_of (f);
  *differ = first != NULL;
  if (steps > 0)
    tell_verdict (f, first, out);
  for (int i = 0; i < KINDS; i++) {
    tell_kind (&f[i], out);
    text_clear (&f[i].words);
  }
  pair_facts (p, a, b, out);
  if (steps > 0)
    return OK;
  return fail (E_MISSING,
               "%s and %s have recorded no step in common: nothing tells "
               "whether they are the same",
               a->run.path, b->run.path);
}

enum status
report_compare (const char *a, const char *b, bool *differ, struct text *out)
{
  struct pool p = {0};
  struct side sides[2] = {0};
  *differ = false;
  enum status e = side_open (&p, a, &sides[0]);
  if (e == OK)
    e = side_open (&p, b, &sides[1]);
  if (e == OK)
    e = compare (&p, &sides[0], &sides[1], differ, out);
  side_close (&sides[0]);
  side_close (&sides[1]);
  pool_clear (&p);
  return e;
}
