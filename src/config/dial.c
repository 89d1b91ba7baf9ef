/* config/dial.c -- a strategy that changes in the course of a run: where its
 * phases begin, and the words for the reach in each.
 */
#include "config/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool
is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r';
}

/* Without the blanks at both ends. */
static void
trim (const char **at, size_t *n)
{
  while (*n > 0 && is_blank (**at))
    ++*at, --*n;
  while (*n > 0 && is_blank ((*at)[*n - 1]))
    --*n;
}

/* "30%" or "300". */
static enum status
take_at (const char *word, size_t n, int number, struct config_phase *p)
{
  char at[CONFIG_WORD];
  int64_t step;
  trim (&word, &n);
  snprintf (at, sizeof at, "%.*s", (int)n, word);
  p->share = n > 0 && n < sizeof at && at[n - 1] == '%';
  if (p->share)
    at[n - 1] = '\0';
  if (p->share ? !text_to_double (at, &p->at) || p->at < 0 || p->at >= 100
               : !text_to_long (at, &step) || step < 0)
    return fail (E_CONFIG,
                 "%s, phase %d: \"%.*s\" is neither a step, 0 or more, nor a "
                 "share of the run, from 0%% to below 100%%",
                 KEY_NAME (dial), number, (int)n, word);
  if (!p->share)
    p->at = (double)step;
  return OK;
}

/* "2 own=0.2": the weight goes into *p, and off the end. */
static enum status
take_own (int number, struct config_phase *p)
{
  char word[CONFIG_WORD];
  size_t n = p->n_words;
  while (n > 0 && !is_blank (p->words[n - 1]))
    n--;
  const char *last = p->words + n;
  p->own = NAN;
  if (strncmp (last, "own=", 4) != 0 || p->n_words - n < 4)
    return OK;
  snprintf (word, sizeof word, "%.*s", (int)(p->n_words - n - 4), last + 4);
  if (!text_to_double (word, &p->own) || p->own < 0)
    return fail (E_CONFIG, "%s, phase %d: own=%s is no number, 0 or more",
                 KEY_NAME (dial), number, word);
  p->n_words = n;
  trim (&p->words, &p->n_words);
  return OK;
}

/* The text up to `end` of the phase that begins at `from`. */
static enum status
take_phase (const char *from, const char *end, struct config_dial *d)
{
  const char *colon = memchr (from, ':', (size_t)(end - from));
  const int number = d->n;
  if (number == CONFIG_PHASES)
    return fail (E_CONFIG, "%s: more than %d phases", KEY_NAME (dial),
                 CONFIG_PHASES);
  struct config_phase *p = &d->phase[d->n++];
  if (!colon)
    return fail (E_CONFIG,
                 "%s: \"%.*s\" does not say when it begins: wanted as in "
                 "0:local, 30%%:2, 70%%:all",
                 KEY_NAME (dial), (int)(end - from), from);
  TRY (take_at (from, (size_t)(colon - from), number, p));
  p->words = colon + 1;
  p->n_words = (size_t)(end - p->words);
  trim (&p->words, &p->n_words);
  TRY (take_own (number, p));
  if (p->n_words == 0)
    return fail (E_CONFIG, "%s, phase %d: no reach is given", KEY_NAME (dial),
                 number);
  if (p->own >= 0 && config_phase_is_table (p))
    return fail (E_CONFIG,
                 "%s, phase %d: own=%g is for a reach in words; a table says "
                 "all of it",
                 KEY_NAME (dial), number, p->own);
  return OK;
}

static enum status
check_order (const struct config_dial *d)
{
  if (d->phase[0].at != 0)
    return fail (E_CONFIG, "%s: the first phase begins at 0, not %g%s",
                 KEY_NAME (dial), d->phase[0].at, d->phase[0].share ? "%" : "");
  for (int i = 1; i < d->n; i++)
    for (int j = i - 1; j >= 0; j--)
      if (d->phase[i].share == d->phase[j].share &&
          d->phase[i].at <= d->phase[j].at)
        return fail (E_CONFIG,
                     "%s: phase %d begins at %.15g%s, no later than phase %d "
                     "at %.15g%s",
                     KEY_NAME (dial), i, d->phase[i].at,
                     d->phase[i].share ? "%" : "", j, d->phase[j].at,
                     d->phase[j].share ? "%" : "");
  return OK;
}

enum status
config_dial_parse (const char *text, struct config_dial *out)
{
  const char *from = text, *next;
  out->n = 0;
  for (const char *comma = text; *comma; comma = next) {
    comma += strcspn (comma, ",");
    next = *comma ? comma + 1 : comma;
    size_t item = strcspn (next, ",");
    if (*comma && !memchr (next, ':', item))
      continue; /* it goes on */
    TRY (take_phase (from, comma, out));
    from = next;
  }
  if (out->n == 0)
    return fail (E_CONFIG, "%s has no phase", KEY_NAME (dial));
  return check_order (out);
}

bool
config_phase_is_table (const struct config_phase *p)
{
  return p->words[0] == '@' || memchr (p->words, '/', p->n_words) != NULL;
}

void
config_phase_words (const struct config_phase *p, struct text *out)
{
  const bool table = config_phase_is_table (p);
  for (size_t i = 0; i < p->n_words; i++)
    if (table || !is_blank (p->words[i]))
      text_add (out, "%c", p->words[i]);
}

void
config_phase_add (const struct config_phase *p, const char *words,
                  struct text *out)
{
  text_add (out, "%s%.15g%s:%s", out->size ? ", " : "", p->at,
            p->share ? "%" : "", words);
  if (p->own >= 0) {
    text_add (out, " own=");
    text_add_real (out, p->own);
  }
}

enum status
config_dial_steps (const struct config_dial *d, int64_t steps, int64_t *first)
{
  for (int i = 0; i < d->n; i++) {
    const struct config_phase *p = &d->phase[i];
    first[i] =
        p->share ? llround (p->at / 100 * (double)steps) : (int64_t)p->at;
    if (first[i] >= steps)
      return fail (E_CONFIG,
                   "%s: phase %d begins at step %lld of a run of %lld steps",
                   KEY_NAME (dial), i, (long long)first[i], (long long)steps);
    if (i > 0 && first[i] <= first[i - 1])
      return fail (E_CONFIG,
                   "%s: phases %d and %d begin at steps %lld and %lld of a run "
                   "of %lld steps: each must begin after the one before",
                   KEY_NAME (dial), i - 1, i, (long long)first[i - 1],
                   (long long)first[i], (long long)steps);
  }
  return OK;
}
