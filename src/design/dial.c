/* design/dial.c -- a strategy that changes in the course of a run: from words
 * to phases, each with its table.
 *
 * As with a table by hand, the configuration holds rows where a file was named.
 */
#include "design/design_impl.h"

#include <math.h>
#include <stdio.h>

#define PHASE_NAME 64

static const char *
name_of (int number, char out[PHASE_NAME])
{
  snprintf (out, PHASE_NAME, "%s, phase %d", KEY_NAME (dial), number);
  return out;
}

/* -- from what was said to rows ------------------------------------------- */

static enum status
resolve_phase (const struct config_source *source, const struct config *c,
               const struct config_phase *p, int number,
               struct complaints *said, struct text *out)
{
  char name[PHASE_NAME];
  struct text words, rows;
  enum status s = OK;
  text_init (&words);
  text_init (&rows);
  config_phase_words (p, &words);
  if (config_phase_is_table (p))
    s = route_rows (source, name_of (number, name), words.data, (int)c->count,
                    said, &rows);
  config_phase_add (p, config_phase_is_table (p) ? rows.data : words.data, out);
  text_clear (&rows);
  text_clear (&words);
  return s;
}

static enum status
resolve (const struct config_source *source, struct config *c,
         struct complaints *said)
{
  struct config_dial dial;
  struct text out;
  TRY (config_dial_parse (c->dial, &dial));
  text_init (&out);
  enum status s = OK;
  for (int i = 0; s == OK && i < dial.n; i++)
    s = resolve_phase (source, c, &dial.phase[i], i, said, &out);
  if (s == OK)
    s = route_keep (KEY_OF (dial), &out, c);
  text_clear (&out);
  return s;
}

void
dial_resolve (const struct config_source *source, struct config *c,
              struct complaints *said)
{
  const int before = said->n;
  if (!c->dial[0] || c->count < 1)
    return;
  complaints_note (resolve (source, c, said), said);
  if (said->n > before)
    c->dial[0] = '\0'; /* so that nothing is said twice */
}

/* -- tables ------------------------------------------------------------------
 */

/* The message of a failed call, and of which phase it is. */
static enum status
said_of (const char *name, enum status s)
{
  char why[512];
  snprintf (why, sizeof why, "%s", fail_message ());
  fail_clear ();
  return fail (s, "%s: %s", name, why);
}

static enum status
reach (const struct config *c, const struct config_phase *p, const char *words,
       int K, double *route)
{
  const double own = isnan (p->own) ? c->own : p->own;
  if (p->own > 0 && c->mix != CONFIG_FURTHEST)
    return fail (E_CONFIG, "own=%g is for %s = furthest, which is %s here",
                 p->own, KEY_NAME (mix), key_word (KEY_OF (mix), c));
  return derive_reach (c, words, own, K, route);
}

static enum status
rows (const struct config *c, const char *name, const char *words, int K,
      double *route)
{
  TRY (route_parse (name, words, K, route)); /* which says where */
  enum status s = derive_check_shared (c, K, route);
  return s == OK ? OK : said_of (name, s);
}

/* The table [K x K] of a phase. */
static enum status
table (const struct config *c, const struct config_phase *p, int number, int K,
       double *route)
{
  char name[PHASE_NAME];
  struct text words;
  enum status s;
  name_of (number, name);
  text_init (&words);
  config_phase_words (p, &words);
  if (config_phase_is_table (p))
    s = rows (c, name, words.data, K, route);
  else if ((s = reach (c, p, words.data, K, route)) != OK)
    s = said_of (name, s);
  text_clear (&words);
  return s;
}

/* What part of the run a phase is, where only that can be told. */
static double
share_of (const struct config_dial *d, int i)
{
  const double end = i + 1 < d->n ? d->phase[i + 1].at : 100;
  for (int j = 1; j < d->n; j++)
    if (!d->phase[j].share)
      return NAN;
  return (end - d->phase[i].at) / 100;
}

static enum status
put_words (const struct config_phase *p, char **out)
{
  struct text words, whole;
  text_init (&words);
  text_init (&whole);
  config_phase_words (p, &words);
  config_phase_add (p, words.data, &whole);
  enum status s = mem_text (whole.data, out);
  text_clear (&words);
  text_clear (&whole);
  return s;
}

static enum status
set_phases (const struct config *c, const struct config_dial *d, int K,
            int64_t steps, struct design_phase *phase)
{
  int64_t first[CONFIG_PHASES];
  if (steps > 0)
    TRY (config_dial_steps (d, steps, first));
  for (int i = 0; i < d->n; i++) {
    struct design_phase *p = &phase[i];
    p->first = steps > 0 ? first[i] : i == 0 ? 0 : -1;
    p->share = share_of (d, i);
    if (steps > 0)
      p->share = (double)((i + 1 < d->n ? first[i + 1] : steps) - first[i]) /
                 (double)steps;
    TRY (put_words (&d->phase[i], &p->words));
    TRY (MEM_NEW ((size_t)(K * K), &p->route, "route"));
    TRY (table (c, &d->phase[i], i, K, p->route));
  }
  return OK;
}

enum status
derive_phases (const struct config *c, int K, int64_t steps, int *n,
               struct design_phase **out)
{
  struct config_dial d = {.n = 1};
  if (c->dial[0])
    TRY (config_dial_parse (c->dial, &d));
  TRY (MEM_NEW ((size_t)d.n, out, "phases"));
  *n = d.n;
  enum status s = OK;
  if (c->dial[0])
    s = set_phases (c, &d, K, steps, *out);
  else
    s = MEM_NEW ((size_t)(K * K), &(*out)->route, "route");
  if (s == OK && !c->dial[0]) {
    (*out)->share = 1;
    s = derive_route (c, K, (*out)->route);
  }
  if (s != OK)
    design_phases_clear (n, out);
  return s;
}

void
design_phases_clear (int *n, struct design_phase **phases)
{
  for (int i = 0; *phases && i < *n; i++) {
    mem_free (&(*phases)[i].words);
    mem_free (&(*phases)[i].route);
    plan_destroy (&(*phases)[i].plan);
  }
  mem_free (phases);
  *n = 0;
}

/* -- what can be asked before there is a run ---------------------------------
 */

enum status
dial_check (const struct config *c)
{
  struct design_phase *phases = NULL;
  int n;
  TRY (derive_phases (c, (int)c->count, c->steps, &n, &phases));
  design_phases_clear (&n, &phases);
  return OK;
}

bool
dial_follows_length (const struct config *c)
{
  struct config_dial d = {.n = 0};
  bool follows = false;
  if (c->dial[0] && config_dial_parse (c->dial, &d) != OK)
    fail_clear ();
  for (int i = 1; i < d.n; i++)
    follows = follows || d.phase[i].share;
  return follows;
}

/* Where the number of steps is not known, shares are compared. */
static bool
same_phase (const struct design_phase *a, const struct design_phase *b, int K)
{
  bool same = a->first == b->first &&
              (a->share == b->share || (isnan (a->share) && isnan (b->share)));
  for (int i = 0; same && i < K * K; i++)
    same = a->route[i] == b->route[i];
  return same;
}

bool
dial_same (const struct config *a, const struct config *b)
{
  const int K = (int)b->count;
  struct design_phase *x = NULL, *y = NULL;
  int n = 0, m = 0;
  bool same = derive_phases (a, K, b->steps, &n, &x) == OK &&
              derive_phases (b, K, b->steps, &m, &y) == OK && n == m;
  for (int i = 0; same && i < n; i++)
    same = same_phase (&x[i], &y[i], K);
  design_phases_clear (&n, &x);
  design_phases_clear (&m, &y);
  fail_clear ();
  return same;
}
