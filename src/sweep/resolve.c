/* sweep/resolve.c -- what the words of a run come to: its configuration, and
 * what that says of it.
 *
 * One configuration is at hand at a time, that of the words resolved last.
 */
#include "sweep/sweep_impl.h"

#include "base/log.h"
#include "design/ask.h"
#include <stdio.h>
#include <string.h>

int
sweep_resolve (struct sweep *s, int n, const char *const *words,
               struct text *wrong)
{
  struct complaints said = {.n = 0};
  enum log_level level = log_level_get ();
  text_init (&said.lines);
  s->source.n_words = n;
  s->source.words = words;
  log_level_set (LOG_ERROR); /* warnings come when the run does */
  design_configure_parse (&s->source, &s->c, &said);
  log_level_set (level);
  text_add (wrong, "%s", said.lines.data);
  text_clear (&said.lines);
  return said.n;
}

void
sweep_get (const struct sweep *s, const char *name, const char *value,
           struct text *out)
{
  const struct key *k = key_named (name);
  if (k)
    config_get (&s->c, k, value, out);
}

/* Words of keys that this version does not use keep their runs apart too. */
void
sweep_canonical (const struct sweep *s, struct text *out)
{
  char name[2 * CONFIG_WORD];
  config_canonical (&s->c, out);
  for (int i = 0; i < s->source.n_words; i++) {
    const char *word = s->source.words[i];
    const char *value = strchr (word, '=') + 1;
    snprintf (name, sizeof name, "%.*s", (int)(value - 1 - word), word);
    const struct key *k = key_named (name);
    if (k && (!key_applies (k, &s->c) || key_is_later (k, value)))
      text_add (out, "%s\n", word);
  }
}

/* What the text says of a key, like what c has; a text without it is of a
 * version that did not know it. */
static bool
says (const struct sweep *s, const struct ini *text, const struct key *k)
{
  const char *value = ini_get (text, k->full);
  struct text is, was;
  if (!value)
    return true;
  text_init (&is);
  text_init (&was);
  config_get (&s->c, k, NULL, &is);
  config_get (&s->c, k, value, &was);
  bool same = strcmp (is.data, was.data) == 0;
  /* What was chosen for the run is what `yes` comes to. */
  if (k == KEY_OF (tune) && strcmp (is.data, "yes") == 0)
    same = strcmp (was.data, "no") != 0;
  text_clear (&is);
  text_clear (&was);
  return same;
}

/* Keys that say how a run is done, or where files lie, make no other
 * experiment; swept ones are what the set is about. */
enum sweep_like
sweep_likeness (const struct sweep *s, const struct ini *was)
{
  struct text other;
  text_init (&other);
  design_compare (&s->c, was, &other);
  bool differs = other.size > 0;
  text_clear (&other);
  for (int i = 0; !differs && i < s->n_axes; i++) {
    const struct key *k = key_named (s->axis[i].key);
    if (k &&
        (k->resume == KEY_RESUME_SAME_RUN || k->resume == KEY_RESUME_BEGUN))
      differs = !says (s, was, k);
  }
  if (differs)
    return SWEEP_OTHER;
  if (!says (s, was, KEY_OF (steps)) || !says (s, was, KEY_OF (epochs)))
    return SWEEP_LENGTH;
  return says (s, was, KEY_OF (file)) && says (s, was, KEY_OF (init))
             ? SWEEP_SAME
             : SWEEP_MOVED;
}

int
sweep_ranks (const struct sweep *s)
{
  const struct config *c = &s->c;
  int64_t pipe = s->ranks > 0 ? s->ranks / c->replicas : c->count;
  if (pipe > c->count)
    pipe = c->count;
  return (int)(c->replicas * (pipe < 1 ? 1 : pipe));
}

/* Samples of the training split; 0 when that cannot be told. */
static int64_t
training_samples (struct sweep *s)
{
  struct data_set *d = NULL;
  if (strcmp (s->data, s->c.file) != 0) {
    snprintf (s->data, sizeof s->data, "%s", s->c.file);
    memset (&s->info, 0, sizeof s->info);
    if (data_open (s->c.file, &d) == OK)
      data_info (d, &s->info);
    data_close (&d);
    fail_clear ();
  }
  int64_t n =
      data_info_samples (&s->info, (enum data_split)s->c.train, s->c.context,
                         s->c.stride, s->c.order == CONFIG_SHUFFLE);
  return s->c.limit > 0 && s->c.limit < n ? s->c.limit : n;
}

int64_t
sweep_steps (struct sweep *s)
{
  if (s->c.steps == 0 && (!s->count || s->c.file[0] == '\0'))
    return 0;
  return design_steps (&s->c, s->c.steps > 0 ? 0 : training_samples (s));
}
